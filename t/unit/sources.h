/*
 * Sources for the tests of outbound.c, and what is chosen of them.
 */
#pragma once

#include "daemon/proxy/outbound.h"

extern struct outbound_source sources[1200];
extern struct outbound_options source_options; /* of these sources */
extern struct outbound *out;
extern struct outbound_choice choice; /* the last one */
extern struct tcp_addr inbound;       /* where all clients come to */

/* Adds "IP", "IP/BITS" or an interface, whose name must stay. */
void sources_add(const char *text);

/* Makes `out` of them, without looking at interfaces; and frees it. */
void sources_make(enum outbound_rotate rotate);
void sources_drop(void);

/* Makes a choice for a client: any, one of many, or that of an address. */
void choose(void);
void choose_for_number(unsigned n);
void choose_for(const char *client, sa_family_t family);

struct tcp_addr address(const char *text);
bool source_is(const struct tcp_addr *a, const char *text);

#define IS4(text)                                                              \
	ck_assert_msg(source_is(&choice.dial.source4, text), "%s", text)
#define IS6(text)                                                              \
	ck_assert_msg(source_is(&choice.dial.source6, text), "%s", text)
#define ROUTED4() ck_assert_int_eq(choice.dial.source4.family, AF_UNSPEC)
#define ROUTED6() ck_assert_int_eq(choice.dial.source6.family, AF_UNSPEC)
