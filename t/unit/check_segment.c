/*
 * Segments: what their maker and their readers see, and foreign descriptors
 * of every wrong kind.
 */
#include "daemon/segment.h"
#include "t/unit/suite.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Where things stand in a segment. */
enum {
	AT_MAGIC = 0,
	AT_LAYOUT = 8,
	AT_TABLE_COUNT = 12,
	AT_DIRECTORY = 64,
	ENTRY_BYTES = 32,
	IN_ENTRY_SIZE = 16,
	IN_ENTRY_COUNT = 20,
	IN_ENTRY_OFFSET = 24,
	HEADER_BYTES = 64 + 32 * 32,
};

#define ALL_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE)

static const struct segment_spec two[] = {
	{ .name = "pairs", .size = 16, .count = 5 },
	{ .name = "fifteen-letters", .size = 256, .count = 1000 },
};

static struct segment *mine, *theirs;

static void teardown(void)
{
	segment_free(mine);
	segment_free(theirs);
	mine = theirs = NULL;
}

static size_t open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t count = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		count++;
	ck_assert_int_eq(closedir(d), 0);
	return count;
}

static void make(void)
{
	ck_assert_int_eq(segment_new(&mine, two, ARRAY_SIZE(two)), 0);
}

/* Opens it anew, as somebody who got the descriptor. */
static void open_theirs(void)
{
	int fd = fcntl(segment_fd(mine), F_DUPFD_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(segment_open(&theirs, fd), 0);
}

static bool is_zero(const char *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (at[i])
			return false;
	return true;
}

/* --- In order ----------------------------------------------------------- */

START_TEST(tables_are_zeroed_aligned_and_apart)
{
	uint32_t count = 0;
	char *pairs, *long_name;

	make();
	pairs = segment_table(mine, "pairs", 16, &count);
	ck_assert_ptr_nonnull(pairs);
	ck_assert_uint_eq(count, 5);
	long_name = segment_table(mine, "fifteen-letters", 256, &count);
	ck_assert_ptr_nonnull(long_name);
	ck_assert_uint_eq(count, 1000);
	ck_assert_uint_eq((uintptr_t)pairs % 64, 0);
	ck_assert_uint_eq((uintptr_t)long_name % 64, 0);
	ck_assert(long_name >= pairs + 5 * 16);
	ck_assert(is_zero(pairs, 5 * 16));
	ck_assert(is_zero(long_name, 1000 * 256));
}
END_TEST

START_TEST(what_the_maker_writes_a_reader_sees)
{
	uint32_t count;
	uint64_t *from;
	const uint64_t *to;

	make();
	open_theirs();
	from = segment_table(mine, "pairs", 16, &count);
	to = segment_table(theirs, "pairs", 16, &count);
	ck_assert_uint_eq(count, 5);
	ck_assert_ptr_ne(from, to);
	from[9] = 77;
	ck_assert_uint_eq(to[9], 77);
	/* Also when the maker is gone. */
	segment_free(TAKE_PTR(mine));
	ck_assert_uint_eq(to[9], 77);
}
END_TEST

START_TEST(a_table_of_other_name_or_size_is_not_there)
{
	uint32_t count = 99;

	make();
	ck_assert_ptr_null(segment_table(mine, "pair", 16, &count));
	ck_assert_ptr_null(segment_table(mine, "pairs2", 16, &count));
	ck_assert_ptr_null(segment_table(mine, "", 16, &count));
	ck_assert_ptr_null(segment_table(mine, "pairs", 15, &count));
	ck_assert_ptr_null(segment_table(mine, "pairs", 32, &count));
	ck_assert_uint_eq(count, 99);
}
END_TEST

START_TEST(empty_tables_and_no_tables_are_fine)
{
	const struct segment_spec none = { "rules", 64, 0 };
	uint32_t count = 1;

	ck_assert_int_eq(segment_new(&mine, &none, 1), 0);
	open_theirs();
	ck_assert_ptr_nonnull(segment_table(theirs, "rules", 64, &count));
	ck_assert_uint_eq(count, 0);
	teardown();
	ck_assert_int_eq(segment_new(&mine, NULL, 0), 0);
	open_theirs();
}
END_TEST

START_TEST(as_many_tables_as_there_may_be)
{
	struct segment_spec specs[SEGMENT_TABLES_MAX + 1];
	char names[SEGMENT_TABLES_MAX + 1][8];
	uint32_t count;

	for (unsigned i = 0; i < ARRAY_SIZE(specs); i++) {
		(void)snprintf(names[i], sizeof(names[i]), "t%u", i);
		specs[i] = (struct segment_spec){ names[i], i + 1, i };
	}
	ck_assert_int_eq(segment_new(&mine, specs, SEGMENT_TABLES_MAX + 1),
			 -EINVAL);
	ck_assert_int_eq(segment_new(&mine, specs, SEGMENT_TABLES_MAX), 0);
	open_theirs();
	for (unsigned i = 0; i < SEGMENT_TABLES_MAX; i++) {
		ck_assert_ptr_nonnull(
			segment_table(theirs, names[i], i + 1, &count));
		ck_assert_uint_eq(count, i);
	}
}
END_TEST

START_TEST(tables_that_make_no_sense_are_refused)
{
	static const struct segment_spec bad[][2] = {
		{ { "", 8, 8 }, { "b", 8, 8 } },
		{ { "sixteen-letters-", 8, 8 }, { "b", 8, 8 } },
		{ { "a", 0, 8 }, { "b", 8, 8 } },
		{ { "a", 8, 8 }, { "a", 8, 8 } },
	};
	static const struct segment_spec huge[] = {
		{ "a", UINT32_MAX, UINT32_MAX }, { "b", 8, 8 }
	};
	size_t before = open_descriptors();

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(segment_new(&mine, bad[i], 2), -EINVAL);
	ck_assert_int_eq(segment_new(&mine, huge, 2), -ENOMEM);
	ck_assert_ptr_null(mine);
	ck_assert_uint_eq(open_descriptors(), before);
	segment_free(NULL);
}
END_TEST

START_TEST(a_large_one_costs_what_is_touched)
{
	static const struct segment_spec large = { "sessions", 256, 8000000 };
	struct stat st;
	uint32_t count;
	char *at;

	ck_assert_int_eq(segment_new(&mine, &large, 1), 0);
	at = segment_table(mine, "sessions", 256, &count);
	ck_assert_ptr_nonnull(at);
	at[0] = at[256 * 7999999] = 1;
	ck_assert_int_eq(fstat(segment_fd(mine), &st), 0);
	ck_assert_int_gt(st.st_size, 2000000000);
	/* Three pages, or as many huge ones where the system is set so. */
	ck_assert_int_le(st.st_blocks * 512, 3 * (2 << 20));
	open_theirs();
}
END_TEST

START_TEST(without_descriptors_none_is_made)
{
	struct rlimit limit, none;
	int r;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	r = segment_new(&mine, two, ARRAY_SIZE(two));
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(r, -EMFILE);
}
END_TEST

/* --- What nobody else can do -------------------------------------------- */

static sigjmp_buf escape;

static void on_fault(int number)
{
	(void)number;
	siglongjmp(escape, 1);
}

START_TEST(a_reader_cannot_write)
{
	const struct sigaction sa = { .sa_handler = on_fault };
	struct sigaction old;
	uint32_t count;
	volatile char *at;
	volatile bool written = false;

	make();
	open_theirs();
	at = segment_table(theirs, "pairs", 16, &count);
	ck_assert_int_eq(sigaction(SIGSEGV, &sa, &old), 0);
	if (sigsetjmp(escape, 1) == 0) {
		*at = 1;
		written = true;
	}
	ck_assert_int_eq(sigaction(SIGSEGV, &old, NULL), 0);
	ck_assert(!written);
}
END_TEST

START_TEST(the_descriptor_gives_no_way_to_change_it)
{
	char byte = 1, path[64];
	struct stat st;
	int fd, again;
	void *p;

	make();
	fd = segment_fd(mine);
	ck_assert_int_eq(fstat(fd, &st), 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 2; i++) {
		int d = i == 0 ? fd : again;

		if (d < 0)
			continue;
		p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, d, 0);
		ck_assert_ptr_eq(p, MAP_FAILED);
		p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, d, 0);
		ck_assert_ptr_ne(p, MAP_FAILED);
		ck_assert_int_lt(mprotect(p, 4096, PROT_READ | PROT_WRITE), 0);
		ck_assert_int_eq(munmap(p, 4096), 0);
		ck_assert_int_lt(pwrite(d, &byte, 1, 0), 0);
		ck_assert_int_lt(ftruncate(d, 0), 0);
		ck_assert_int_lt(ftruncate(d, st.st_size + 1), 0);
		ck_assert_int_lt(
			fallocate(d, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  0, 4096),
			0);
		ck_assert_int_lt(fcntl(d, F_ADD_SEALS, F_SEAL_WRITE), 0);
	}
	close_fd(&again);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
}
END_TEST

START_TEST(a_writer_that_is_killed_leaves_what_it_wrote)
{
	uint32_t count;
	const volatile uint64_t *seen;
	uint64_t last;
	int status;
	pid_t pid;

	make();
	open_theirs();
	seen = segment_table(theirs, "pairs", 16, &count);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		uint64_t *at = segment_table(mine, "pairs", 16, &count);

		for (uint64_t i = 1;; i++)
			__atomic_store_n(&at[3], i, __ATOMIC_RELAXED);
	}
	segment_free(TAKE_PTR(mine));
	while (seen[3] < 1000)
		;
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	last = seen[3];
	ck_assert_uint_ge(last, 1000);
	ck_assert_uint_eq(seen[3], last);
}
END_TEST

/* --- Foreign descriptors ------------------------------------------------ */

static uint8_t image[HEADER_BYTES + 4096];

static void set32(size_t at, uint32_t value)
{
	memcpy(image + at, &value, sizeof(value));
}

static void set64(size_t at, uint64_t value)
{
	memcpy(image + at, &value, sizeof(value));
}

static void set_entry(unsigned i, const char *name, uint32_t size,
		      uint32_t count, uint64_t offset)
{
	size_t at = AT_DIRECTORY + (size_t)i * ENTRY_BYTES;

	memset(image + at, 0, ENTRY_BYTES);
	memcpy(image + at, name, strlen(name));
	set32(at + IN_ENTRY_SIZE, size);
	set32(at + IN_ENTRY_COUNT, count);
	set64(at + IN_ENTRY_OFFSET, offset);
}

/* An image as it should be: "a" of 2 x 64 bytes, "b" of all the rest. */
static void good_image(void)
{
	memset(image, 0, sizeof(image));
	memcpy(image + AT_MAGIC, "spliced", 8);
	set32(AT_LAYOUT, 1);
	set32(AT_TABLE_COUNT, 2);
	set_entry(0, "a", 64, 2, HEADER_BYTES);
	set_entry(1, "b", 8, (4096 - 128) / 8, HEADER_BYTES + 128);
}

/* Opens a memfd of the image's first `len` bytes with these seals. */
static int open_image(size_t len, unsigned seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t before;
	int r;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, image, len), (int)len);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	before = open_descriptors();
	r = segment_open(&theirs, fd);
	if (r < 0)
		ck_assert_uint_eq(open_descriptors(), before - 1);
	else
		segment_free(TAKE_PTR(theirs));
	return r;
}

static int open_whole(void)
{
	return open_image(sizeof(image), ALL_SEALS | F_SEAL_SEAL);
}

START_TEST(only_sealed_memory_is_opened)
{
	good_image();
	ck_assert_int_eq(open_whole(), 0);
	for (unsigned seals = 0; seals < 32; seals++) {
		bool enough = (seals & (ALL_SEALS | F_SEAL_SEAL)) ==
			      (ALL_SEALS | F_SEAL_SEAL);

		ck_assert_int_eq(open_image(sizeof(image), seals),
				 enough ? 0 : -EBADMSG);
	}
}
END_TEST

START_TEST(other_kinds_of_descriptors_are_refused_and_closed)
{
	size_t before = open_descriptors();
	FILE *file = tmpfile();
	int pipes[2], sockets[2];

	ck_assert_ptr_nonnull(file);
	good_image();
	ck_assert_uint_eq(fwrite(image, 1, sizeof(image), file), sizeof(image));
	ck_assert_int_eq(fflush(file), 0);
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	ck_assert_int_eq(segment_open(&theirs, -1), -EBADMSG);
	ck_assert_int_eq(
		segment_open(&theirs, fcntl(fileno(file), F_DUPFD_CLOEXEC, 0)),
		-EBADMSG);
	ck_assert_int_eq(fclose(file), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(segment_open(&theirs, pipes[i]), -EBADMSG);
		ck_assert_int_eq(segment_open(&theirs, sockets[i]), -EBADMSG);
	}
	ck_assert_int_eq(
		segment_open(&theirs, open("/dev/zero", O_RDWR | O_CLOEXEC)),
		-EBADMSG);
	ck_assert_int_eq(segment_open(&theirs, open("/proc/self/status",
						    O_RDONLY | O_CLOEXEC)),
			 -EBADMSG);
	ck_assert_int_eq(
		segment_open(&theirs,
			     open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
		-EBADMSG);
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

START_TEST(one_that_was_cut_is_refused)
{
	good_image();
	for (size_t len = 0; len < sizeof(image); len += len < 64 ? 1 : 97)
		ck_assert_int_eq(open_image(len, ALL_SEALS | F_SEAL_SEAL),
				 -EBADMSG);
	ck_assert_int_eq(open_image(sizeof(image) - 1, ALL_SEALS | F_SEAL_SEAL),
			 -EBADMSG);
}
END_TEST

START_TEST(other_magic_or_layout_is_refused)
{
	for (size_t i = 0; i < 12; i++) {
		good_image();
		image[i] ^= 0x40;
		ck_assert_int_eq(open_whole(), -EBADMSG);
	}
}
END_TEST

START_TEST(the_number_of_tables_is_bounded)
{
	good_image();
	set32(AT_TABLE_COUNT, 0);
	ck_assert_int_eq(open_whole(), 0);
	set32(AT_TABLE_COUNT, SEGMENT_TABLES_MAX + 1);
	ck_assert_int_eq(open_whole(), -EBADMSG);
	set32(AT_TABLE_COUNT, UINT32_MAX);
	ck_assert_int_eq(open_whole(), -EBADMSG);
	/* One more entry, all zero: it has no name. */
	set32(AT_TABLE_COUNT, 3);
	ck_assert_int_eq(open_whole(), -EBADMSG);
}
END_TEST

START_TEST(names_are_terminated_and_differ)
{
	good_image();
	set_entry(1, "a", 64, 2, HEADER_BYTES);
	ck_assert_int_eq(open_whole(), -EBADMSG);
	set_entry(1, "exactly-15-long", 64, 2, HEADER_BYTES);
	ck_assert_int_eq(open_whole(), 0);
	set_entry(1, "sixteen-letters-", 64, 2, HEADER_BYTES);
	ck_assert_int_eq(open_whole(), -EBADMSG);
	set_entry(1, "", 64, 2, HEADER_BYTES);
	ck_assert_int_eq(open_whole(), -EBADMSG);
}
END_TEST

START_TEST(tables_outside_their_place_are_refused)
{
	static const struct {
		uint32_t size, count;
		uint64_t offset;
		bool fine;
	} cases[] = {
		{ 64, 64, HEADER_BYTES, true },
		{ 64, 65, HEADER_BYTES, false },
		{ 4096, 1, HEADER_BYTES, true },
		{ 4097, 1, HEADER_BYTES, false },
		{ 0, 1, HEADER_BYTES, false },
		{ 64, 0, HEADER_BYTES + 4096, true },
		{ 64, 1, HEADER_BYTES + 4096, false },
		{ 64, 0, HEADER_BYTES + 4096 + 64, false },
		{ 64, 1, HEADER_BYTES - 64, false },
		{ 64, 0, 0, false },
		{ 64, 1, 0, false },
		{ 64, 1, HEADER_BYTES + 8, false },
		{ 64, 1, HEADER_BYTES + 1, false },
		{ UINT32_MAX, UINT32_MAX, HEADER_BYTES, false },
		{ 1, UINT32_MAX, HEADER_BYTES, false },
		{ UINT32_MAX, 1, HEADER_BYTES, false },
		{ 1 << 31, 2, HEADER_BYTES, false },
		{ 64, 1, UINT64_MAX, false },
		{ 64, 1, UINT64_MAX - 63, false },
		{ 64, 1, (uint64_t)INT64_MAX + 1, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		good_image();
		set_entry(1, "b", cases[i].size, cases[i].count,
			  cases[i].offset);
		ck_assert_msg(open_whole() == (cases[i].fine ? 0 : -EBADMSG),
			      "case %zu", i);
	}
}
END_TEST

START_TEST(what_the_owner_does_to_the_directory_later_does_not_matter)
{
	uint32_t count;
	uint8_t *own;
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	good_image();
	ck_assert_int_eq(write(fd, image, sizeof(image)), sizeof(image));
	own = mmap(NULL, sizeof(image), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   0);
	ck_assert_ptr_ne(own, MAP_FAILED);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, ALL_SEALS | F_SEAL_SEAL), 0);
	ck_assert_int_eq(segment_open(&theirs, fd), 0);
	memset(own, 0xff, HEADER_BYTES);
	ck_assert_ptr_nonnull(segment_table(theirs, "a", 64, &count));
	ck_assert_uint_eq(count, 2);
	ck_assert_ptr_nonnull(segment_table(theirs, "b", 8, &count));
	ck_assert_uint_eq(count, (4096 - 128) / 8);
	ck_assert_int_eq(munmap(own, sizeof(image)), 0);
}
END_TEST

START_TEST(one_of_absurd_size_is_refused)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	good_image();
	ck_assert_int_eq(write(fd, image, sizeof(image)), sizeof(image));
	ck_assert_int_eq(ftruncate(fd, ((off_t)1 << 41) + 1), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, ALL_SEALS | F_SEAL_SEAL), 0);
	ck_assert_int_eq(segment_open(&theirs, fd), -EBADMSG);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("segment");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, tables_are_zeroed_aligned_and_apart);
	tcase_add_test(t, what_the_maker_writes_a_reader_sees);
	tcase_add_test(t, a_table_of_other_name_or_size_is_not_there);
	tcase_add_test(t, empty_tables_and_no_tables_are_fine);
	tcase_add_test(t, as_many_tables_as_there_may_be);
	tcase_add_test(t, tables_that_make_no_sense_are_refused);
	tcase_add_test(t, a_large_one_costs_what_is_touched);
	tcase_add_test(t, without_descriptors_none_is_made);
	tcase_add_test(t, a_reader_cannot_write);
	tcase_add_test(t, the_descriptor_gives_no_way_to_change_it);
	tcase_add_test(t, a_writer_that_is_killed_leaves_what_it_wrote);
	tcase_add_test(t, only_sealed_memory_is_opened);
	tcase_add_test(t, other_kinds_of_descriptors_are_refused_and_closed);
	tcase_add_test(t, one_that_was_cut_is_refused);
	tcase_add_test(t, other_magic_or_layout_is_refused);
	tcase_add_test(t, the_number_of_tables_is_bounded);
	tcase_add_test(t, names_are_terminated_and_differ);
	tcase_add_test(t, tables_outside_their_place_are_refused);
	tcase_add_test(
		t, what_the_owner_does_to_the_directory_later_does_not_matter);
	tcase_add_test(t, one_of_absurd_size_is_refused);
	suite_add_tcase(s, t);
	return run_suite(s);
}
