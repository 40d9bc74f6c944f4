/*
 * What splicedctl shows of counts against bounds: sums over generations, the
 * fullest first, and nothing that a terminal obeys.
 */
#include "daemon/ctl/show_limits.h"

#include "daemon/proxy/limits.h"
#include "daemon/proxy/limits_steps.h"
#include "daemon/publish.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static struct conf *c;
static struct published p[2];
static struct limits *l[2];
static struct rule_action actions[1];
static struct tcp_addr client[3];
static struct reply reply;
static FILE *out;
static char *text;
static size_t text_len;

/* A generation, its limits under the key of the first. */
static void start(unsigned i)
{
	struct limits_setup s = {
		.options = { .per_client = 4,
			     .per_user = 2,
			     .client_prefix4 = 24,
			     .client_prefix6 = 64 },
		.rules = { actions, 1 },
		.workers = 1,
		.slots = 16,
	};

	ck_assert_int_eq(publish_init(&p[i], c, i + 1, 1, 16), 0);
	s.memory = p[i].limits;
	actions[0].sessions = 100;
	ck_assert_int_eq(limits_new(&l[i], &s), 0);
	limits_use_key(l[i], &p[0].limits.about->key);
}

static void setup(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(dup2(null, STDERR_FILENO), 0);
	close_fd(&null);
	ck_assert_int_eq(conf_default(&c), 0);
	ck_assert_int_eq(tcp_addr_parse(&client[0], "10.1.1.1", 1), 0);
	ck_assert_int_eq(tcp_addr_parse(&client[1], "2001:db8::1", 1), 0);
	ck_assert_int_eq(tcp_addr_parse(&client[2], "10.1.2.3", 1), 0);
	start(0);
	start(1);
	out = open_memstream(&text, &text_len);
	ck_assert_ptr_nonnull(out);
	memset(&reply, 0, sizeof(reply));
	reply.last = json_pack("{s:[i,i]}", "generations", 1, 2);
}

static void teardown(void)
{
	for (int i = 0; i < 2; i++) {
		limits_free(l[i]);
		publish_done(&p[i]);
	}
	json_decref(reply.last);
	conf_free(c);
	free(text);
}

static void add_fd(int fd)
{
	ck_assert_int_ge(fd, 0);
	reply.fds[reply.fd_count++] = fd;
}

static void add_both(void)
{
	for (int i = 0; i < 2; i++)
		add_fd(fcntl(segment_fd(p[i].segment), F_DUPFD_CLOEXEC, 0));
}

static void come(unsigned i, uint32_t slot, unsigned who, const char *user)
{
	struct limits_who w = { &client[who], 1, 1 };
	struct limits_session s = { .slot = slot, .client = &client[who] };
	unsigned ticket;

	s.user = (struct span){ (const uint8_t *)user, strlen(user) };
	if (limits_admit(l[i], 0, &w, 1000, &ticket) != OUTCOME_NONE)
		return;
	limits_begin(l[i], slot, ticket);
	if (limits_user(l[i], &s) == OUTCOME_NONE)
		(void)!limits_rule(l[i], &s, 1);
}

static const char *shown(void)
{
	ck_assert_int_eq(fflush(out), 0);
	return text;
}

START_TEST(counts_of_all_generations_are_added_the_fullest_first)
{
	come(0, 1, 0, "");
	come(0, 2, 1, "");
	come(1, 1, 0, "an\x1bna");
	come(1, 2, 0, "an\x1bna");
	add_both();
	ck_assert_int_eq(show_limits(out, &reply, false), 0);
	ck_assert_str_eq(
		shown(),
		"COUNT  BOUND  FULL  LIMIT              OF      WHO\n"
		"    2      2  100%  limits.per_user    -       an\\x1bna\n"
		"    3      4   75%  limits.per_client  -       10.1.1.0/24\n"
		"    1      4   25%  limits.per_client  -       "
		"2001:db8::/64\n"
		"    4    100    4%  rules.sessions     rule-1  -\n");
	ck_assert_int_eq(fclose(out), 0);
}
END_TEST

START_TEST(refusals_are_told)
{
	for (uint32_t i = 0; i < 7; i++)
		come(0, i + 1, 0, "");
	p[1].limits.about->refused_rate[LIMITS_RULE] = 5;
	p[1].limits.about->uncounted = 9;
	add_both();
	ck_assert_int_eq(show_limits(out, &reply, false), 0);
	ck_assert_ptr_nonnull(strstr(shown(),
				     "\nrefused by limits.per_client: 3\n"
				     "refused by rules.rate: 5\n"
				     "let in uncounted, limits.table was "
				     "full: 9\n"));
	ck_assert_int_eq(fclose(out), 0);
}
END_TEST

START_TEST(json_tells_all_of_them)
{
	struct limits_who w = { &client[2], 1, 1 };
	char address[32];
	json_t *j;
	int rows = 0;
	char *line;

	for (unsigned i = 0; i < 50; i++) {
		(void)snprintf(address, sizeof(address), "10.9.%u.1", i);
		ck_assert_int_eq(tcp_addr_parse(&client[2], address, 1), 0);
		come(0, i % 16, 2, "\xff");
		limits_end(l[0], i % 16, &w);
		come(0, i % 16, 2, i ? "" : "\xff");
		memset(&client[2], 0, sizeof(client[2]));
		if (i % 16 == 15)
			break;
	}
	add_both();
	ck_assert_int_eq(show_limits(out, &reply, true), 0);
	(void)shown();
	for (char *at = text; (line = strsep(&at, "\n")) && *line; rows++) {
		j = json_loads(line, 0, NULL);
		ck_assert_ptr_nonnull(j);
		ck_assert(json_object_get(j, "limit") ||
			  json_object_get(j, "refused"));
		json_decref(j);
	}
	ck_assert_int_eq(rows, 16 + 1 + 1 + 1);
	ck_assert_int_eq(fclose(out), 0);
}
END_TEST

START_TEST(long_lists_are_cut_for_people)
{
	char address[32];

	for (unsigned i = 0; i < 40; i++) {
		struct limits_who w = { &client[2], 1, 1 };
		unsigned ticket;

		(void)snprintf(address, sizeof(address), "10.9.%u.1", i);
		ck_assert_int_eq(tcp_addr_parse(&client[2], address, 1), 0);
		ck_assert_int_eq(limits_admit(l[0], 0, &w, 1, &ticket),
				 OUTCOME_NONE);
	}
	add_both();
	ck_assert_int_eq(show_limits(out, &reply, false), 0);
	ck_assert_ptr_nonnull(strstr(shown(), "\n... and 10 more, see --json"));
	ck_assert_int_eq(fclose(out), 0);
}
END_TEST

START_TEST(what_cannot_be_read_does_not_hide_the_rest)
{
	come(1, 1, 0, "");
	add_fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
	add_fd(fcntl(segment_fd(p[1].segment), F_DUPFD_CLOEXEC, 0));
	ck_assert_int_eq(show_limits(out, &reply, false), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(shown(), "10.1.1.0/24"));
	ck_assert_int_eq(fclose(out), 0);
}
END_TEST

START_TEST(a_full_disk_is_noticed)
{
	FILE *full = fopen("/dev/full", "we");

	ck_assert_ptr_nonnull(full);
	setbuf(full, NULL);
	add_both();
	ck_assert_int_eq(show_limits(full, &reply, true), -EIO);
	ck_assert_int_eq(fclose(full), 0);
	full = fopen("/dev/full", "we");
	setbuf(full, NULL);
	reply.fd_count = 0;
	add_both();
	ck_assert_int_eq(show_limits(full, &reply, false), -EIO);
	ck_assert_int_eq(fclose(full), 0);
	ck_assert_int_eq(fclose(out), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("show_limits");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t,
		       counts_of_all_generations_are_added_the_fullest_first);
	tcase_add_test(t, refusals_are_told);
	tcase_add_test(t, json_tells_all_of_them);
	tcase_add_test(t, long_lists_are_cut_for_people);
	tcase_add_test(t, what_cannot_be_read_does_not_hide_the_rest);
	tcase_add_test(t, a_full_disk_is_noticed);
	suite_add_tcase(s, t);
	return run_suite(s);
}
