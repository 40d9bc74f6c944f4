/*
 * Filters of sessions: what they let through, and what is no filter.
 */
#include "daemon/filter.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct row row;

static void setup(void)
{
	row = (struct row){ .age_ms = 3600000, .idle_ms = 60000 };
	(void)snprintf(row.host, sizeof(row.host), "WWW.Example.com");
	row.host_len = strlen(row.host);
	(void)snprintf(row.listener, sizeof(row.listener), "lan");
	(void)snprintf(row.rule, sizeof(row.rule), "web");
	row.session.generation = 3;
	row.session.state = SESSION_RELAY;
	row.session.protocol = PROTOCOL_HTTP;
	row.session.command = COMMAND_CONNECT;
	row.session.bytes_up = 1024;
	row.session.bytes_down = 2048;
	ck_assert_int_eq(
		tcp_addr_parse(&row.session.client, "10.1.2.3:5000", -1), 0);
	ck_assert_int_eq(
		tcp_addr_parse(&row.session.target, "[2001:db8::5]:443", -1),
		0);
}

static bool passes(const char *text)
{
	struct filters f = { .count = 0 };
	char why[FILTER_WHY_BYTES] = "";
	int r = filters_add(&f, text, why);

	ck_assert_msg(r == 0, "%s: %s", text, why);
	return filters_match(&f, &row);
}

static void refused(const char *text, const char *part)
{
	struct filters f = { .count = 0 };
	char why[FILTER_WHY_BYTES] = "";

	ck_assert_int_eq(filters_add(&f, text, why), -EINVAL);
	ck_assert_msg(strstr(why, part), "'%s' does not say '%s'", why, part);
	ck_assert_uint_eq(f.count, 0);
}

START_TEST(without_filters_all_pass)
{
	struct filters f = { .count = 0 };

	ck_assert(filters_match(&f, &row));
}
END_TEST

START_TEST(users_and_upstreams_are_names)
{
	ck_assert(!passes("user=alice"));
	row.session.user_len = 5;
	memcpy(row.session.user, "alice", 5);
	ck_assert(passes("user=alice"));
	ck_assert(!passes("user=alic") && !passes("user=alicea"));
	memset(row.session.user, 'x', SESSION_USER_BYTES);
	row.session.user_len = SESSION_USER_BYTES;
	ck_assert(passes("user=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
	ck_assert(passes("user=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxyy"));
	ck_assert(!passes("user=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
	refused("user>alice", "user is asked for by =");
	(void)snprintf(row.upstream, sizeof(row.upstream), "abroad");
	ck_assert(passes("upstream=abroad"));
	ck_assert(!passes("upstream=abroa"));
	row.upstream[0] = '\0';
}
END_TEST

START_TEST(a_long_name_of_a_user_may_be_anothers)
{
	static char at_most[] = "user=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
	static char cut[] = "user=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
	char why[FILTER_WHY_BYTES];
	struct filters f = { .count = 0 };

	ck_assert_ptr_null(filters_vague(&f));
	ck_assert_int_eq(filters_add(&f, at_most, why), 0);
	ck_assert_ptr_null(filters_vague(&f));
	ck_assert_int_eq(filters_add(&f, cut, why), 0);
	ck_assert_ptr_nonnull(filters_vague(&f));
}
END_TEST

START_TEST(clients_are_addresses_and_prefixes)
{
	ck_assert(passes("client=10.1.2.3"));
	ck_assert(passes("client=10.0.0.0/8"));
	ck_assert(passes("client=private"));
	ck_assert(!passes("client=10.1.2.4"));
	ck_assert(!passes("client=2001:db8::/32"));
	row.session.client.family = AF_UNSPEC;
	ck_assert(!passes("client=0.0.0.0/0"));
}
END_TEST

START_TEST(hosts_are_names_domains_or_addresses)
{
	ck_assert(passes("host=www.example.com"));
	ck_assert(passes("host=.example.com"));
	ck_assert(passes("host=.EXAMPLE.COM"));
	ck_assert(passes("host=.www.example.com"));
	ck_assert(!passes("host=example.com"));
	ck_assert(!passes("host=.ample.com"));
	ck_assert(passes("host=2001:db8::/32"));
	ck_assert(!passes("host=10.0.0.0/8"));
	row.host_len = 0;
	ck_assert(!passes("host=.example.com"));
	(void)snprintf(row.host, sizeof(row.host), "a b.example.com");
	row.host_len = strlen(row.host);
	ck_assert(!passes("host=.example.com"));
}
END_TEST

START_TEST(texts_and_words_are_exact)
{
	ck_assert(passes("listener=lan"));
	ck_assert(!passes("listener=la"));
	ck_assert(passes("rule=web"));
	ck_assert(!passes("client_rule=web"));
	ck_assert(passes("client_rule="));
	ck_assert(passes("protocol=http"));
	ck_assert(!passes("protocol=socks5"));
	ck_assert(!passes("protocol=socks4"));
	ck_assert(passes("command=connect"));
	ck_assert(!passes("command=bind"));
	ck_assert(!passes("command=udp"));
	ck_assert(passes("state=tunnel"));
	ck_assert(!passes("state=handshake"));
	ck_assert(passes("generation=3"));
	ck_assert(!passes("generation=4"));
}
END_TEST

START_TEST(sizes_and_durations_are_compared)
{
	ck_assert(passes("bytes>3071"));
	ck_assert(!passes("bytes>3k"));
	ck_assert(!passes("bytes<3k"));
	ck_assert(passes("up<1025"));
	ck_assert(passes("down>1k"));
	ck_assert(passes("age>59m"));
	ck_assert(!passes("age>1h"));
	ck_assert(passes("idle<61s"));
	ck_assert(passes("idle>0"));
}
END_TEST

START_TEST(all_must_hold)
{
	struct filters f = { .count = 0 };
	char why[FILTER_WHY_BYTES];

	ck_assert_int_eq(filters_add(&f, "host=.example.com", why), 0);
	ck_assert_int_eq(filters_add(&f, "state=tunnel", why), 0);
	ck_assert(filters_match(&f, &row));
	ck_assert_int_eq(filters_add(&f, "age<1s", why), 0);
	ck_assert(!filters_match(&f, &row));
}
END_TEST

START_TEST(what_is_no_filter_is_explained)
{
	refused("tunnel", "'tunnel' is no filter");
	refused("", "is no filter");
	refused("=x", "there is no filter ''");
	refused("clint=10.0.0.1", "did you mean 'client'?");
	refused("a_key_that_is_longer_than_any_of_them=1", "a_key_that_is");
	refused("state=open", "state=handshake, =name");
	refused("protocol=socks", "=socks5, =socks4 or =http");
	refused("command=associate", "command=connect, =bind or =udp");
	refused("state=", "state=handshake");
	refused("state>tunnel", "state is asked for by =");
	refused("bytes=1M", "bytes is asked for by > or <");
	refused("bytes>lots", "no size such as 64k");
	refused("age>5", "no duration such as 90s");
	refused("generation=x", "no number");
	refused("client=10.1.2.3/8", "10.0.0.0/8");
	refused("client=example.com", "no address, prefix or keyword");
	refused("host=a..b", "no keyword, address, prefix or host name");
}
END_TEST

START_TEST(there_is_an_end_to_filters)
{
	struct filters f = { .count = 0 };
	char why[FILTER_WHY_BYTES];

	for (int i = 0; i < FILTERS_MAX; i++)
		ck_assert_int_eq(filters_add(&f, "state=tunnel", why), 0);
	ck_assert_int_eq(filters_add(&f, "state=tunnel", why), -EINVAL);
	ck_assert(filters_match(&f, &row));
}
END_TEST

START_TEST(the_help_names_every_key)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(out);
	filters_help(out);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_ptr_nonnull(strstr(text, "  client "));
	ck_assert_ptr_nonnull(strstr(text, "  idle "));
	free(text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("filter");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, without_filters_all_pass);
	tcase_add_test(t, users_and_upstreams_are_names);
	tcase_add_test(t, a_long_name_of_a_user_may_be_anothers);
	tcase_add_test(t, clients_are_addresses_and_prefixes);
	tcase_add_test(t, hosts_are_names_domains_or_addresses);
	tcase_add_test(t, texts_and_words_are_exact);
	tcase_add_test(t, sizes_and_durations_are_compared);
	tcase_add_test(t, all_must_hold);
	tcase_add_test(t, what_is_no_filter_is_explained);
	tcase_add_test(t, there_is_an_end_to_filters);
	tcase_add_test(t, the_help_names_every_key);
	suite_add_tcase(s, t);
	return run_suite(s);
}
