/*
 * The configuration without a file: what it serves, to whom, and that it
 * dumps as a file.
 */
#include "conf/conf.h"

#include "t/unit/conf_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>

START_TEST(it_serves_this_machine_on_both_families)
{
	char text[TCPSERVER_ADDR_STRLEN];
	struct conf *c = NULL;

	ck_assert_int_eq(conf_default(&c), 0);
	ck_assert_ptr_null(c->path);
	ck_assert_uint_eq(c->listener_count, 1);
	ck_assert_str_eq(c->listeners[0].name, "default");
	ck_assert(c->listeners[0].optional);
	ck_assert_uint_eq(c->listeners[0].protocols,
			  CONF_SOCKS5 | CONF_SOCKS4 | CONF_HTTP);
	ck_assert_uint_eq(c->rules[0].commands,
			  CONF_CONNECT | CONF_BIND | CONF_UDP | CONF_REQUEST);
	ck_assert_uint_eq(c->clients[0].auth.set, CONF_AUTH_NONE);
	ck_assert_uint_eq(c->listeners[0].address.count, 2);
	ck_assert_str_eq(conf_endpoint_format(&c->listeners[0].address.at[0],
					      true, text, sizeof(text)),
			 "127.0.0.1:1080");
	ck_assert_str_eq(conf_endpoint_format(&c->listeners[0].address.at[1],
					      true, text, sizeof(text)),
			 "[::1]:1080");
	conf_free(c);
}
END_TEST

START_TEST(only_loopback_is_allowed_and_may_go_anywhere)
{
	struct conf *c = NULL;

	ck_assert_int_eq(conf_default(&c), 0);
	ck_assert_uint_eq(c->client_count, 1);
	ck_assert_int_eq(c->clients[0].action, CONF_ALLOW);
	ck_assert_uint_eq(c->clients[0].from.count, 1);
	ck_assert_uint_eq(c->clients[0].from.at[0].class, ADDR_CLASS_LOOPBACK);
	ck_assert_uint_eq(c->rule_count, 1);
	ck_assert_int_eq(c->rules[0].action, CONF_ALLOW);
	ck_assert_uint_eq(c->rules[0].to.count, 2);
	ck_assert_uint_eq(c->rules[0].to.at[1].class, ADDR_CLASS_LOOPBACK);
	conf_free(c);
}
END_TEST

START_TEST(its_values_are_the_defaults)
{
	struct conf *c = NULL;

	ck_assert_int_eq(conf_default(&c), 0);
	ck_assert_uint_eq(c->workers, 0);
	ck_assert_str_eq(c->user, "");
	ck_assert_ptr_null(c->log.path);
	ck_assert(!c->log.journal);
	ck_assert_int_eq(c->log.level, CONF_LOG_INFO);
	ck_assert_int_eq(c->log.access, CONF_ACCESS_LOGFMT);
	ck_assert_uint_eq(c->listeners[0].backlog, 4096);
	ck_assert(c->listeners[0].keepalive);
	ck_assert(c->listeners[0].nodelay);
	ck_assert(c->listeners[0].v6only);
	ck_assert_str_eq(c->listeners[0].device, "");
	ck_assert(c->outbound.nodelay);
	ck_assert_int_eq(c->outbound.prefer, CONF_PREFER_NONE);
	ck_assert_str_eq(c->names.hosts, "/etc/hosts");
	ck_assert_int_eq(c->names.timeout_ms, 5000);
	ck_assert_int_eq(c->timeouts.handshake_ms, 15000);
	ck_assert_int_eq(c->timeouts.idle_ms, 3600000);
	ck_assert_int_eq(c->timeouts.half_closed_ms, 60000);
	ck_assert_int_eq(c->timeouts.session_ms, 0);
	ck_assert_int_eq(c->timeouts.start_ms, 30000);
	ck_assert_int_eq(c->timeouts.drain_ms, 0);
	ck_assert_int_eq(c->timeouts.watchdog_ms, 10000);
	ck_assert_uint_eq(c->limits.connections, 0);
	ck_assert_uint_eq(c->limits.buffers, 67108864);
	ck_assert_uint_eq(c->limits.pipes, 64);
	ck_assert_uint_eq(c->limits.generations, 8);
	ck_assert_int_eq(c->sandbox, CONF_SANDBOX_ON);
	ck_assert_str_eq(c->admin.socket, "auto");
	ck_assert_int_eq(c->debug.relay, CONF_RELAY_ADAPTIVE);
	conf_free(c);
}
END_TEST

START_TEST(it_dumps_as_a_file)
{
	struct conf *c = NULL, *again;
	char *text;

	ck_assert_int_eq(conf_default(&c), 0);
	text = conf_text_dump(c);
	again = conf_text_load(text);
	ck_assert_uint_eq(again->listeners[0].address.count, 2);
	free(text);
	conf_free(again);
	conf_free(c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("default");
	TCase *t = tcase_create("default");

	tcase_add_test(t, it_serves_this_machine_on_both_families);
	tcase_add_test(t, only_loopback_is_allowed_and_may_go_anywhere);
	tcase_add_test(t, its_values_are_the_defaults);
	tcase_add_test(t, it_dumps_as_a_file);
	suite_add_tcase(s, t);
	return run_suite(s);
}
