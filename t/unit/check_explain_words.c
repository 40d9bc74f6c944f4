/*
 * Questions as lines of the control socket.
 */
#include "daemon/explain.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct explain_words w;
static char line[512], why[EXPLAIN_WHY_BYTES];

static int read_line(const char *text)
{
	memset(&w, 0xff, sizeof(w));
	(void)snprintf(line, sizeof(line), "%s", text);
	return explain_read(&w, line, why);
}

START_TEST(what_is_written_is_read)
{
	const struct explain_words all = {
		.from = "10.0.0.1",
		.to = "[2001:db8::1]:80",
		.address = "192.0.2.1",
		.user = "b%b \xc3\xbc\x01=",
		.command = "udp",
		.listener = "lan 2",
		.protocol = "http",
		.at = "mon 14:00",
	};
	char text[512];

	ck_assert(explain_format(&all, text, sizeof(text)));
	ck_assert_str_eq(text, "10.0.0.1 [2001:db8::1]:80 address=192.0.2.1 "
			       "user=b%25b%20%C3%BC%01= command=udp "
			       "listener=lan%202 protocol=http "
			       "at=mon%2014:00");
	ck_assert_int_eq(read_line(text), 0);
	ck_assert_str_eq(w.from, all.from);
	ck_assert_str_eq(w.to, all.to);
	ck_assert_str_eq(w.address, all.address);
	ck_assert_str_eq(w.user, all.user);
	ck_assert_str_eq(w.command, all.command);
	ck_assert_str_eq(w.listener, all.listener);
	ck_assert_str_eq(w.protocol, all.protocol);
	ck_assert_str_eq(w.at, all.at);
}
END_TEST

START_TEST(what_is_not_said_is_not_written)
{
	const struct explain_words few = { .from = "::1", .to = "a:1" };
	char text[8];

	ck_assert(explain_format(&few, text, sizeof(text)));
	ck_assert_str_eq(text, "::1 a:1");
	ck_assert_int_eq(read_line("  ::1   a:1  "), 0);
	ck_assert_str_eq(w.to, "a:1");
	ck_assert_ptr_null(w.address);
	ck_assert_ptr_null(w.user);
	ck_assert_ptr_null(w.command);
	ck_assert_ptr_null(w.listener);
	ck_assert_ptr_null(w.protocol);
}
END_TEST

START_TEST(what_does_not_fit_is_not_written)
{
	const struct explain_words few = { .from = "::1",
					   .to = "a:1",
					   .user = "b" };
	char text[16];

	for (size_t room = 1; room < sizeof("::1 a:1 user=b"); room++)
		ck_assert(!explain_format(&few, text, room));
	ck_assert(explain_format(&few, text, sizeof("::1 a:1 user=b")));
}
END_TEST

START_TEST(lines_that_make_no_sense_are_refused)
{
	static const struct {
		const char *text, *part;
	} bad[] = {
		{ "", "wants FROM and TO" },
		{ "::1", "wants FROM and TO" },
		{ "::1 a:1 bob", "KEY=VALUE" },
		{ "::1 a:1 port=1", "explain knows" },
		{ "::1 a:1 =1", "explain knows" },
		{ "::1 a:1 user=%", "%XX" },
		{ "::1 a:1 user=%4", "%XX" },
		{ "::1 a:1 user=%4g", "%XX" },
		{ "::1 a:1 user=%00", "%XX" },
		{ "::1 %zz", "%XX" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(read_line(bad[i].text), -EINVAL);
		ck_assert_msg(strstr(why, bad[i].part), "%s: %s", bad[i].text,
			      why);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("explain_words");
	TCase *t = tcase_create("all");

	tcase_add_test(t, what_is_written_is_read);
	tcase_add_test(t, what_is_not_said_is_not_written);
	tcase_add_test(t, what_does_not_fit_is_not_written);
	tcase_add_test(t, lines_that_make_no_sense_are_refused);
	suite_add_tcase(s, t);
	return run_suite(s);
}
