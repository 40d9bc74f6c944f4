/*
 * Sources, and choices of them.
 */
#include "t/unit/sources.h"

#include <check.h>
#include <stdio.h>

struct outbound_source sources[1200];
struct outbound_options source_options = { .sources = sources,
					   .secret = { { 1, 2 } } };
struct outbound *out;
struct outbound_choice choice;
struct tcp_addr inbound;

void sources_drop(void)
{
	outbound_free(out);
	out = NULL;
}

struct tcp_addr address(const char *text)
{
	struct tcp_addr a;

	ck_assert_int_eq(addr_parse_ip(&a, text), 0);
	return a;
}

void sources_add(const char *text)
{
	struct outbound_source *s = &sources[source_options.source_count++];
	unsigned bits = 0;
	char ip[64];

	*s = (struct outbound_source){ 0 };
	(void)sscanf(text, "%63[^/]/%u", ip, &bits);
	s->prefix_bits = (uint8_t)bits;
	if (addr_parse_ip(&s->addr, ip) < 0)
		s->interface = text;
}

void sources_make(enum outbound_rotate rotate)
{
	source_options.rotate = rotate;
	sources_drop();
	ck_assert_int_eq(outbound_new(&out, &source_options, NULL), 0);
}

void choose_for(const char *client, sa_family_t family)
{
	struct tcp_addr a = address(client);

	a.port = 40000;
	outbound_choose(out, family, &a, &inbound, &choice);
}

void choose(void)
{
	choose_for("10.0.0.1", AF_UNSPEC);
}

bool source_is(const struct tcp_addr *a, const char *text)
{
	struct tcp_addr b = address(text);

	return addr_equal(a, &b);
}

void choose_for_number(unsigned n)
{
	char client[32];

	(void)snprintf(client, sizeof(client), "10.1.%u.%u", n / 250, n % 250);
	choose_for(client, AF_UNSPEC);
}
