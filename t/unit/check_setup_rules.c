/*
 * What clients and rules, users, groups and lists become for the proxy.
 */
#include "daemon/load.h"
#include "daemon/proxy/users.h"
#include "daemon/setup_internal.h"
#include "t/unit/conf_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct conf *c;

/* --- Rules -------------------------------------------------------------- */

static struct tcp_addr address(const char *text)
{
	struct tcp_addr a;

	ck_assert_int_eq(tcp_addr_parse(&a, text, 0), 0);
	return a;
}

static bool allowed(const struct rules *rules, enum session_command command)
{
	struct rule_query q = { .client = address("127.0.0.1"),
				.target = address("192.0.2.1"),
				.command = command,
				.port = 80,
				.listener = 1 };

	return rules_request(rules, &q).allow;
}

static void allows(const char *commands, bool connect, bool bind, bool udp)
{
	struct rules *rules;
	char text[512];

	(void)snprintf(text, sizeof(text),
		       CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
		       "rules: ( { action = \"allow\"; %s } );",
		       commands);
	c = conf_text_load(text);
	ck_assert_int_eq(setup_rules(&rules, c, NULL), 0);
	ck_assert(allowed(rules, COMMAND_CONNECT) == connect);
	ck_assert(allowed(rules, COMMAND_BIND) == bind);
	ck_assert(allowed(rules, COMMAND_UDP) == udp);
	rules_free(rules);
	conf_free(c);
}

START_TEST(rules_are_about_their_commands)
{
	allows("", true, true, true);
	allows("commands = \"connect\";", true, false, false);
	allows("commands = [ \"udp\", \"bind\" ];", false, true, true);
	allows("commands = \"udp\";", false, false, true);
}
END_TEST

static bool holds(const struct rules *rules, unsigned day, unsigned hour)
{
	struct rule_query q = { .client = address("127.0.0.1"),
				.target = address("192.0.2.1"),
				.command = COMMAND_CONNECT,
				.port = 80,
				.listener = 1 };

	q.week_minute = (uint16_t)(1 + (day * 24 + hour) * 60);
	return rules_request(rules, &q).allow;
}

START_TEST(times_go_over_midnight_and_over_the_week)
{
	struct rules *rules;

	c = conf_text_load(CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
			   "rules: ( { action = \"allow\"; when = [ "
			   "\"wed,sun 22:00-06:00\", \"tue\" ]; } );");
	ck_assert_int_eq(setup_rules(&rules, c, NULL), 0);
	ck_assert(holds(rules, 0, 0) && holds(rules, 0, 5));
	ck_assert(!holds(rules, 0, 6) && !holds(rules, 0, 23));
	ck_assert(holds(rules, 1, 0) && holds(rules, 1, 23));
	ck_assert(!holds(rules, 2, 0) && !holds(rules, 2, 21));
	ck_assert(holds(rules, 2, 22) && holds(rules, 3, 5));
	ck_assert(!holds(rules, 3, 6) && !holds(rules, 6, 21));
	ck_assert(holds(rules, 6, 22) && holds(rules, 6, 23));
	rules_free(rules);
	conf_free(c);
}
END_TEST

static bool may_be(const struct rules *rules, const char *userid)
{
	struct span id = { (const uint8_t *)userid, strlen(userid) };

	return rules_client_userid(rules, 1, id);
}

START_TEST(clients_have_their_logins_and_user_ids)
{
	struct rules *rules;

	c = conf_text_load(
		CONF_TEXT_LISTENERS CONF_TEXT_RULES
		"auth: { users_file = \"/users\"; };"
		"clients: ( { action = \"allow\"; from = \"loopback\"; auth = "
		"[ "
		"\"password\", \"none\" ]; userid = [ \"joe\", \"amy\" ]; },"
		"{ action = \"allow\"; from = \"private\"; auth = "
		"\"password\"; "
		"}, { action = \"allow\"; from = \"10.0.0.0/8\"; listener = "
		"\"lan\"; } );");
	ck_assert_int_eq(setup_rules(&rules, c, NULL), 0);
	ck_assert_uint_eq(rules_client_auth(rules, 1),
			  AUTH_BIT(AUTH_NONE) | AUTH_BIT(AUTH_PASSWORD));
	ck_assert_uint_eq(rules_client_auth(rules, 2), AUTH_BIT(AUTH_PASSWORD));
	ck_assert_uint_eq(rules_client_auth(rules, 3), AUTH_BIT(AUTH_NONE));
	ck_assert(may_be(rules, "joe"));
	ck_assert(may_be(rules, "amy"));
	ck_assert(!may_be(rules, "jo"));
	ck_assert(!may_be(rules, ""));
	rules_free(rules);
	conf_free(c);
}
END_TEST

START_TEST(clients_have_their_methods_in_order)
{
	enum auth_method order[AUTH_METHODS];
	struct rules *rules;

	c = conf_text_load(CONF_TEXT_LISTENERS CONF_TEXT_RULES
			   "auth: { users_file = \"/users\"; };"
			   "clients: ( { action = \"allow\"; from = "
			   "\"loopback\"; auth = [ "
			   "\"system\", \"password\", \"none\", \"pam\" ]; }, "
			   "{ action = \"deny\"; } );");
	ck_assert_int_eq(setup_rules(&rules, c, NULL), 0);
	ck_assert_uint_eq(rules_client_order(rules, 1, order), 4);
	ck_assert_int_eq(order[0], AUTH_SYSTEM);
	ck_assert_int_eq(order[1], AUTH_PASSWORD);
	ck_assert_int_eq(order[2], AUTH_NONE);
	ck_assert_int_eq(order[3], AUTH_PAM);
	ck_assert_uint_eq(rules_client_order(rules, 2, order), 1);
	ck_assert_int_eq(order[0], AUTH_NONE);
	rules_free(rules);
	conf_free(c);
}
END_TEST

static bool by(const struct rules *rules, enum session_protocol protocol,
	       const char *user, const char *target)
{
	struct rule_query q = {
		.client = address("127.0.0.1"),
		.target = address(target),
		.user = { (const uint8_t *)user, strlen(user) },
		.protocol = protocol,
		.command = COMMAND_CONNECT,
		.port = 80,
		.listener = 1,
	};

	return rules_request(rules, &q).allow;
}

START_TEST(rules_are_about_protocols_and_users)
{
	struct rules *rules;

	c = conf_text_load(
		CONF_TEXT_LISTENERS
		"clients: ( { action = \"allow\"; from = \"loopback\"; auth = "
		"[ "
		"\"pam\", \"none\" ]; } );"
		"rules: ( { action = \"deny\"; protocols = [ \"socks4\", "
		"\"http\" ]; }, { action = \"allow\"; users = [ \"joe\", "
		"\"ann\" ]; } );");
	ck_assert_int_eq(setup_rules(&rules, c, NULL), 0);
	ck_assert(by(rules, PROTOCOL_SOCKS5, "joe", "192.0.2.1"));
	ck_assert(by(rules, PROTOCOL_SOCKS5, "ann", "192.0.2.1"));
	ck_assert(!by(rules, PROTOCOL_SOCKS5, "eve", "192.0.2.1"));
	ck_assert(!by(rules, PROTOCOL_SOCKS5, "", "192.0.2.1"));
	ck_assert(!by(rules, PROTOCOL_SOCKS4, "joe", "192.0.2.1"));
	ck_assert(!by(rules, PROTOCOL_HTTP, "joe", "192.0.2.1"));
	rules_free(rules);
	conf_free(c);
}
END_TEST

/* --- Users -------------------------------------------------------------- */

static const char hash[] = "$6$saltsalt$"
			   "qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/"
			   "jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";

static char path[64];
static char why[LOAD_WHY_BYTES];
static struct policy *policy;

/* With a file of users that holds `text`. */
static int policy_of(const char *text)
{
	char conf[512];
	int fd, r;

	(void)snprintf(path, sizeof(path), "/tmp/check_setup_rules.XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
	close_fd(&fd);
	(void)snprintf(conf, sizeof(conf),
		       CONF_TEXT_LISTENERS CONF_TEXT_RULES
		       "clients: ( { action = \"allow\"; from = \"loopback\"; "
		       "auth = [ \"none\", \"password\" ]; } );"
		       "auth: { users_file = \"%s\"; };",
		       path);
	c = conf_text_load(conf);
	policy = NULL;
	r = setup_policy(&policy, c, why, sizeof(why));
	(void)unlink(path);
	conf_free(c);
	return r;
}

START_TEST(without_a_file_there_are_no_users)
{
	c = conf_text_load(CONF_TEXT);
	ck_assert_int_eq(setup_policy(&policy, c, why, sizeof(why)), 0);
	ck_assert_ptr_null(policy_users(policy));
	policy_unref(policy);
	conf_free(c);
}
END_TEST

START_TEST(users_are_read)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "# us\n\njoe:%s\n", hash);
	ck_assert_int_eq(policy_of(text), 0);
	ck_assert_uint_eq(users_count(policy_users(policy)), 1);
	policy_unref(policy);
}
END_TEST

static void put(char *name, const char *text)
{
	int fd = mkstemp(name);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
	close_fd(&fd);
}

START_TEST(groups_and_lists_are_compiled_and_let_go)
{
	char groups[] = "/tmp/check_setup_rules.XXXXXX";
	char nets[] = "/tmp/check_setup_rules.XXXXXX";
	const struct rules *rules;
	char text[1024];

	put(groups, "staff:x:1:joe,ann\n");
	put(nets, "192.0.2.0/24\nexample.com\n");
	(void)snprintf(text, sizeof(text),
		       CONF_TEXT_LISTENERS
		       "auth: { groups_file = \"%s\"; helper = \"/dev/null\"; "
		       "};\n"
		       "clients: ( { action = \"allow\"; from = \"loopback\"; "
		       "auth = [ \"pam\", \"none\" ]; } );"
		       "rules: ( { action = \"allow\"; to = \"@%s\"; groups = "
		       "\"staff\"; } );",
		       groups, nets);
	c = conf_text_load(text);
	ck_assert_int_eq(setup_policy(&policy, c, why, sizeof(why)), 0);
	(void)unlink(groups);
	rules = policy_rules(policy);
	ck_assert(by(rules, PROTOCOL_SOCKS5, "joe", "192.0.2.9"));
	ck_assert(!by(rules, PROTOCOL_SOCKS5, "joe", "192.0.3.9"));
	ck_assert(!by(rules, PROTOCOL_SOCKS5, "eve", "192.0.2.9"));
	ck_assert(!by(rules, PROTOCOL_SOCKS5, "", "192.0.2.9"));
	policy_unref(policy);
	policy = NULL;
	/* Both faults are counted, the first is told. */
	(void)unlink(nets);
	ck_assert_int_eq(setup_policy(&policy, c, why, sizeof(why)), -ENOENT);
	ck_assert_ptr_null(policy);
	ck_assert_ptr_nonnull(strstr(why, ": cannot be read: No such file or "
					  "directory (correct the path, or "
					  "make the file) (and 1 more)"));
	conf_free(c);
}
END_TEST

START_TEST(users_that_are_wrong_are_told_with_their_line)
{
	char want[128];

	ck_assert_int_eq(policy_of("\n# us\njoe:secret\n"), -EBADMSG);
	ck_assert_ptr_null(policy);
	(void)snprintf(want, sizeof(want), "%s:3: ", path);
	ck_assert_msg(strstr(why, want) != NULL, "'%s' lacks '%s'", why, want);
	/* What is in the file is not. */
	ck_assert_ptr_null(strstr(why, "secret"));
}
END_TEST

START_TEST(users_that_cannot_be_read_are_told)
{
	c = conf_text_load(CONF_TEXT_LISTENERS CONF_TEXT_RULES
			   "clients: ( { action = \"allow\"; from = "
			   "\"loopback\"; auth = [ "
			   "\"none\", \"password\" ]; } );"
			   "auth: { users_file = \"/nonexistent/users\"; };");
	ck_assert_int_eq(setup_policy(&policy, c, why, sizeof(why)), -ENOENT);
	ck_assert_msg(strstr(why, "/nonexistent/users: cannot be read: No "
				  "such file") != NULL,
		      "%s", why);
	conf_free(c);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("setup_rules");
	TCase *t = tcase_create("all");

	tcase_add_test(t, rules_are_about_their_commands);
	tcase_add_test(t, times_go_over_midnight_and_over_the_week);
	tcase_add_test(t, clients_have_their_logins_and_user_ids);
	tcase_add_test(t, clients_have_their_methods_in_order);
	tcase_add_test(t, rules_are_about_protocols_and_users);
	tcase_add_test(t, groups_and_lists_are_compiled_and_let_go);
	tcase_add_test(t, without_a_file_there_are_no_users);
	tcase_add_test(t, users_are_read);
	tcase_add_test(t, users_that_are_wrong_are_told_with_their_line);
	tcase_add_test(t, users_that_cannot_be_read_are_told);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
