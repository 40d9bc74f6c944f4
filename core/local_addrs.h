/*
 * The addresses of this machine's interfaces, followed over rtnetlink(7) by
 * one loop: what is asked here is true as of the last event.
 */
#pragma once

#include "core/addr.h"
#include "core/loop.h"

struct local_addrs;

/*
 * Reads the addresses and follows them on this thread's loop.  `l` may be
 * NULL: read once only.  -errno of socket(2) or of the kernel's answer.
 */
int local_addrs_new(struct local_addrs **ret, struct loop *l) MUST_CHECK;
void local_addrs_free(struct local_addrs *t);

/* Lets `fn` be called on the loop after each change of the table. */
void local_addrs_on_change(struct local_addrs *t, void (*fn)(void *ctx),
			   void *ctx);

/* Tells whether the machine itself answers on this address. */
bool local_addrs_has(const struct local_addrs *t, const struct tcp_addr *a);

/*
 * Asks the kernel whether the machine takes an address as its own though no
 * interface has it, as it does those of a route of type local, ip-route(8).
 * 1, 0, or -errno.
 */
int local_addrs_routed_here(const struct tcp_addr *a) MUST_CHECK;

/*
 * Writes into ret[max] those addresses of a family that connections from an
 * interface come from, in the kernel's order, and returns how many there are:
 * the global ones; none such, those that are deprecated (RFC 4862 §5.5.4);
 * else those of its link.  Never one that is still being tried (DAD).  Port 0.
 * -ENODEV: no such interface.
 */
int local_addrs_sources(const struct local_addrs *t, const char *interface,
			sa_family_t family, struct tcp_addr *ret, size_t max)
	MUST_CHECK;

/* The first of them.  -ENODEV; -EADDRNOTAVAIL: there is none. */
int local_addrs_of(const struct local_addrs *t, const char *interface,
		   sa_family_t family, struct tcp_addr *ret) MUST_CHECK;

/*
 * Writes all addresses of an interface into ret[max]; returns how many it
 * has.  -ENODEV.
 */
int local_addrs_all(const struct local_addrs *t, const char *interface,
		    struct tcp_addr *ret, size_t max) MUST_CHECK;
