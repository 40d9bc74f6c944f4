/*
 * A DNS server for tests: a thread that answers over UDP and TCP on one port
 * of 127.0.0.1, as the first label of the name that is asked for commands.
 *
 *   v4, v6, both    10.0.0.1 and/or 2001:db8::1, TTL 300
 *   short           both, TTL 1
 *   many            40 addresses of each family
 *   mapped          ::ffff:127.0.0.1 as AAAA
 *   cname           v4 behind two aliases, the second with TTL 1
 *   dangling        an alias to a name that has no address
 *   count           10.0.0.N at the N-th question for an address of IPv4
 *   fresh4          both, TTL 300 for A and 1 for AAAA
 *   nx, nodata      with a SOA record: TTL 3600, MINIMUM 300
 *   brief           NXDOMAIN with MINIMUM 1
 *   bare            NXDOMAIN without a SOA record
 *   fail, refused   SERVFAIL, REFUSED
 *   half            A, and SERVFAIL for AAAA
 *   silent          nothing
 *   silent6         A, and nothing for AAAA
 *   slow            both after 500 ms
 *   slow4, slow6    both, one family after 500 ms, the other at once
 *   zero4           the same as slow4, TTL 0
 *   trunc           cut over UDP, 40 addresses of each family over TCP
 *   garbage         a header and a question, then nonsense
 *   noise           not a DNS message
 *
 * A second label "off" makes any name NXDOMAIN.
 */
#pragma once

#include "core/addr.h"

/* Starts the server of this process. */
void dns_server_start(void);
void dns_server_stop(void);

struct tcp_addr dns_server_addr(void);

/* How many questions came for a name and family (AF_INET, AF_INET6). */
unsigned dns_server_asked(const char *name, int family);

/* How many came over TCP. */
unsigned dns_server_tcp(void);

/* From how many different ports they came, over UDP. */
unsigned dns_server_ports(void);

/* How many came in all. */
unsigned dns_server_total(void);
