/*
 * The users' file: what it may hold, what is told of one that is wrong, who
 * is found in it.
 */
#include "daemon/proxy/users.h"

#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define MD5    "$1$abc$OGyl6dDvZCDiGmIVbeuCq/"
#define SHA256 "$5$abc$sCOGUciM.GdmYMCUvmUcgu03oRH87O0clF96.9mwWGB"
#define BCRYPT "$2b$10$abcdefghijklmnopqrstuu4T826PRnz0Hu6YlprUuxkZxOOj5Fw5S"
#define YESCRYPT                                                               \
	"$y$j9T$abcdefghijklmnop$xxI14acrF4kcY59GsyqJ1DqdhVdc9N0f1.omTKnq.61"

static char path[64];
static struct users *users;
static struct users_fault fault;

static void setup(void)
{
	int fd;

	(void)snprintf(path, sizeof(path), "/tmp/spliced-users-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	users = NULL;
	fault = (struct users_fault){ .line = 99 };
}

static void teardown(void)
{
	(void)unlink(path);
	users_free(users);
}

static int load_bytes(const void *text, size_t len)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
	return users_load(&users, path, &fault);
}

static int load(const char *text)
{
	return load_bytes(text, strlen(text));
}

static void assert_fault(const char *text, unsigned line)
{
	ck_assert_int_eq(load(text), -EBADMSG);
	ck_assert_ptr_null(users);
	ck_assert_uint_eq(fault.line, line);
	ck_assert_uint_gt(strlen(fault.why), 0);
}

static struct span of(const char *text)
{
	return (struct span){ (const uint8_t *)text, strlen(text) };
}

START_TEST(users_are_found)
{
	ck_assert_int_eq(load("# people\n\nalice:" SHA256 "\r\nbob:" BCRYPT
			      " \t\n#eve:x\n\xc3\xa4 b:" MD5
			      "\ncarol:" YESCRYPT),
			 0);
	ck_assert_uint_eq(users_count(users), 4);
	ck_assert_str_eq(users_hash(users, of("alice")), SHA256);
	ck_assert_str_eq(users_hash(users, of("bob")), BCRYPT);
	ck_assert_str_eq(users_hash(users, of("carol")), YESCRYPT);
	ck_assert_str_eq(users_hash(users, of("\xc3\xa4 b")), MD5);
	ck_assert_ptr_null(users_hash(users, of("")));
	ck_assert_ptr_null(users_hash(users, of("Alice")));
	ck_assert_ptr_null(users_hash(users, of("alic")));
	ck_assert_ptr_null(users_hash(users, of("alicee")));
	ck_assert_ptr_null(users_hash(users, of("#eve")));
	ck_assert_ptr_null(users_hash(users, of("alice:" SHA256)));
	ck_assert_ptr_null(
		users_hash(users, (struct span){ (const uint8_t *)"bob", 4 }));
}
END_TEST

START_TEST(a_name_may_be_known_in_part)
{
	ck_assert_int_eq(load("alice:" MD5 "\nalison:" MD5 "\n"), 0);
	ck_assert(users_has(users, of("alice"), false));
	ck_assert(users_has(users, of("alice"), true));
	ck_assert(users_has(users, of("ali"), true));
	ck_assert(!users_has(users, of("ali"), false));
	ck_assert(!users_has(users, of("alicee"), true));
	ck_assert(!users_has(users, of("bob"), true));
}
END_TEST

START_TEST(names_of_each_length_may_be_known_in_part)
{
	static const char *const heads[] = { "al", "b", "bob", "zed", "m" };
	static const char *const others[] = { "ala", "c", "bob-", "ze", "y" };

	ck_assert_int_eq(load("alm:" MD5 "\nbobby:" MD5 "\nbobo:" MD5
			      "\nmmmmmmmmm:" MD5 "\naaaaa:" MD5
			      "\nzed-of-all:" MD5 "\nzzzzz:" MD5 "\n"),
			 0);
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		ck_assert(users_has(users, of(heads[i]), true));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		ck_assert(users_has(users, of(others[i]), true) ==
			  (strcmp(others[i], "ze") == 0));
}
END_TEST

static double cpu_seconds(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* As many sessions ask at once when users are gone, and a loop waits. */
START_TEST(long_names_are_found_in_no_time)
{
	char *text = malloc(100000 * 80), *end = text, name[64];
	double began;

	ck_assert_ptr_nonnull(text);
	for (unsigned i = 0; i < 100000; i++)
		end += snprintf(end, 80, "%08x-0000-4000-8000-%012x:" MD5 "\n",
				i, i);
	ck_assert_int_eq(load_bytes(text, (size_t)(end - text)), 0);
	began = cpu_seconds();
	for (unsigned i = 0; i < 2000; i++) {
		(void)snprintf(name, sizeof(name), "%08x-0000-4000-8000-%08x",
			       i, i >> 16);
		ck_assert(users_has(users, of(name), true));
		name[31] = 'x';
		ck_assert(!users_has(users, of(name), true));
	}
	ck_assert_double_lt(cpu_seconds() - began, 0.2);
	free(text);
}
END_TEST

START_TEST(a_file_may_be_empty)
{
	ck_assert_int_eq(load(""), 0);
	ck_assert_uint_eq(users_count(users), 0);
	ck_assert_ptr_null(users_hash(users, of("alice")));
	ck_assert_int_eq(users_decoy(users, of("alice"))[0], '$');
}
END_TEST

START_TEST(names_have_a_longest)
{
	char text[512];

	memset(text, 'n', 256);
	(void)snprintf(text + 255, sizeof(text) - 255, ":" MD5);
	ck_assert_int_eq(load(text), 0);
	text[255] = '\0';
	ck_assert_str_eq(users_hash(users, of(text)), MD5);
	users_free(TAKE_PTR(users));
	text[255] = 'n';
	(void)snprintf(text + 256, sizeof(text) - 256, ":" MD5);
	assert_fault(text, 1);
}
END_TEST

START_TEST(lines_that_are_wrong_are_told)
{
	static const char *const lines[] = {
		"alice",
		":" MD5,
		"al\tice:" MD5,
		"al\x7fice:" MD5,
		"alice:",
		"alice:secret",
		"alice:sEcReTpAsSwOr",
		"alice:" MD5 ":19000",
		"alice:!" MD5,
		"alice:*",
		"alice:$1$abc$",
		"alice:$1$abc$OGyl6dDvZCDiGmIVbeuCq",
		"alice:$apr1$abc$OGyl6dDvZCDiGmIVbeuCq/",
		"alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
		"alice:$nonsense$$OGyl6dDvZCDiGmIVbeuCq/",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char text[256];

		(void)snprintf(text, sizeof(text), "bob:" MD5 "\n\n%s\n",
			       lines[i]);
		assert_fault(text, 3);
	}
	ck_assert_int_eq(load_bytes("a:" MD5 "\nb\0:" MD5, 3 + 29 + 3 + 29),
			 -EBADMSG);
	ck_assert_uint_eq(fault.line, 2);
}
END_TEST

START_TEST(a_name_has_one_line)
{
	assert_fault("a:" MD5 "\nb:" MD5 "\nc:" MD5 "\nb:" SHA256 "\nc:" MD5
		     "\n",
		     4);
}
END_TEST

START_TEST(files_that_cannot_be_read_are_told)
{
	struct stat st;

	ck_assert_int_eq(users_load(&users, "/nonexistent/users", &fault),
			 -ENOENT);
	ck_assert_int_eq(users_load(&users, "/tmp", &fault), -EBADMSG);
	ck_assert_uint_eq(fault.line, 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(users_load(&users, path, &fault), -EBADMSG);
	ck_assert_int_eq(stat(path, &st), 0);
}
END_TEST

START_TEST(files_have_a_largest)
{
	char *text = malloc(USERS_FILE_BYTES + 1);

	ck_assert_ptr_nonnull(text);
	memset(text, '\n', USERS_FILE_BYTES + 1);
	ck_assert_int_eq(load_bytes(text, USERS_FILE_BYTES), 0);
	users_free(TAKE_PTR(users));
	fault.line = 99;
	ck_assert_int_eq(load_bytes(text, USERS_FILE_BYTES + 1), -EFBIG);
	ck_assert_uint_eq(fault.line, 0);
	ck_assert_uint_gt(strlen(fault.why), 0);
	free(text);
}
END_TEST

START_TEST(decoys_are_those_of_users)
{
	unsigned of_bcrypt = 0;

	ck_assert_int_eq(load("a:" MD5 "\nb:" BCRYPT "\n"), 0);
	for (int i = 0; i < 1000; i++) {
		const char *first, *again;
		char name[16];

		(void)snprintf(name, sizeof(name), "user%d", i);
		first = users_decoy(users, of(name));
		again = users_decoy(users, of(name));
		ck_assert_ptr_eq(first, again);
		ck_assert(!strcmp(first, MD5) || !strcmp(first, BCRYPT));
		of_bcrypt += !strcmp(first, BCRYPT);
	}
	ck_assert(of_bcrypt > 350 && of_bcrypt < 650);
}
END_TEST

START_TEST(many_users_are_found)
{
	char *text = malloc(100000 * 48), *end = text;

	ck_assert_ptr_nonnull(text);
	for (unsigned i = 0; i < 100000; i++)
		end += snprintf(end, 48, "user%u:" MD5 "\n", i * 7919 % 100000);
	ck_assert_int_eq(load_bytes(text, (size_t)(end - text)), 0);
	ck_assert_uint_eq(users_count(users), 100000);
	ck_assert_str_eq(users_hash(users, of("user0")), MD5);
	ck_assert_str_eq(users_hash(users, of("user99999")), MD5);
	ck_assert_ptr_null(users_hash(users, of("user100000")));
	free(text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("users");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, users_are_found);
	tcase_add_test(t, a_name_may_be_known_in_part);
	tcase_add_test(t, names_of_each_length_may_be_known_in_part);
	tcase_add_test(t, long_names_are_found_in_no_time);
	tcase_add_test(t, a_file_may_be_empty);
	tcase_add_test(t, names_have_a_longest);
	tcase_add_test(t, lines_that_are_wrong_are_told);
	tcase_add_test(t, a_name_has_one_line);
	tcase_add_test(t, files_that_cannot_be_read_are_told);
	tcase_add_test(t, files_have_a_largest);
	tcase_add_test(t, decoys_are_those_of_users);
	tcase_add_test(t, many_users_are_found);
	suite_add_tcase(s, t);
	return run_suite(s);
}
