/*
 * Reading what a configuration names: users, groups, lists; and what is said
 * of those that are wrong, missing or doubtful.
 */
#include "daemon/load_data.h"

#include "daemon/proxy/groups.h"
#include "daemon/proxy/match_list.h"
#include "daemon/proxy/users.h"
#include "t/unit/conf_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define HASH                                                                   \
	"$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/"              \
	"jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"

static char dir[] = "/tmp/check_load_data.XXXXXX";
static struct conf *c;
static struct load_data d;
static struct conf_errors e;

static const char *at(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void put(const char *name, const char *what)
{
	FILE *f = fopen(at(name), "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(what, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void set_up(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void tear_down(void)
{
	static const char *const names[] = { "users", "groups", "nets", "names",
					     "pam" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		(void)unlink(at(names[i]));
	ck_assert_int_eq(rmdir(dir), 0);
}

/*
 * With all files in a configuration that lies beside them; the rules are those
 * of lines 5 and 6.
 */
static void load_conf_of(const char *auth, const char *kinds)
{
	struct conf_errors none = { 0 };
	char text[2048], path[64];

	(void)snprintf(path, sizeof(path), "%s/main.conf", dir);
	(void)snprintf(text, sizeof(text),
		       CONF_TEXT_LISTENERS
		       "auth: { %s };\n"
		       "clients: ( { action = \"allow\"; from = [ "
		       "\"loopback\", \"@nets\" ]; auth = %s; } );\nrules: (\n"
		       "{ action = \"deny\"; from = \"@nets\"; users = [ "
		       "\"joe\", \"eve\", \"*\" ]; },\n"
		       "{ action = \"allow\"; to = [ \"@names\", \"any\" ]; "
		       "groups = [ \"staff\", \"none\" ]; } );",
		       auth, kinds);
	ck_assert_int_eq(conf_load_text(&c, text, path, &none), 0);
	ck_assert_uint_eq(none.kept, 0);
}

static int load(void)
{
	char auth[256];

	(void)snprintf(auth, sizeof(auth),
		       "users_file = \"%s/users\"; groups_file = "
		       "\"%s/groups\";",
		       dir, dir);
	load_conf_of(auth, "[ \"password\", \"none\" ]");
	return load_data(&d, c, &e);
}

static void put_all(void)
{
	put("users", "joe:" HASH "\neve:" HASH "\n");
	put("groups", "staff:x:1:joe\nnone:x:2:eve\n");
	put("nets", "# nets\n10.0.0.0/8\n2001:db8::1\n");
	put("names", "example.com\n.example.org\n192.0.2.0/24\n");
}

/* Forgets everything; `text` is in what was said, `rest` is all there is. */
static void said(const char *text, size_t all)
{
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	conf_errors_print(&e, f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_msg(!text || strstr(out, text), "'%s' is not in\n%s", text,
		      out);
	ck_assert_msg(e.kept == all, "%zu, not %zu:\n%s", e.kept, all, out);
	free(out);
	conf_errors_done(&e);
	load_data_done(&d);
	conf_free(c);
}

START_TEST(without_files_there_is_nothing)
{
	c = conf_text_load(CONF_TEXT);
	ck_assert_int_eq(load_data(&d, c, &e), 0);
	ck_assert_ptr_null(d.users);
	ck_assert_ptr_null(d.groups);
	ck_assert_uint_eq(d.file_count, 0);
	ck_assert_ptr_null(load_data_list(&d, CONF_FILE_TARGETS, "/x"));
	said(NULL, 0);
}
END_TEST

START_TEST(all_files_are_read)
{
	const struct match_list *l;
	size_t count;

	put_all();
	ck_assert_int_eq(load(), 0);
	ck_assert_uint_eq(users_count(d.users), 2);
	(void)groups_members(d.groups, "staff", &count);
	ck_assert_uint_eq(count, 1);
	l = load_data_list(&d, CONF_FILE_PREFIXES, at("nets"));
	ck_assert_ptr_nonnull(l);
	(void)match_list_entries(l, &count);
	ck_assert_uint_eq(count, 2);
	l = load_data_list(&d, CONF_FILE_TARGETS, at("names"));
	ck_assert_ptr_nonnull(l);
	(void)match_list_entries(l, &count);
	ck_assert_uint_eq(count, 3);
	/* It is not asked for as one of these. */
	ck_assert_ptr_null(load_data_list(&d, CONF_FILE_PREFIXES, at("names")));
	ck_assert_ptr_null(load_data_list(&d, CONF_FILE_USERS, at("users")));
	said(NULL, 0);
}
END_TEST

/* With one of them wrong, in a way that is told so. */
static void wrong(const char *name, const char *text, int r, const char *why)
{
	put_all();
	if (text)
		put(name, text);
	else
		ck_assert_int_eq(unlink(at(name)), 0);
	ck_assert_int_eq(load(), r);
	ck_assert_ptr_null(d.files);
	said(why, 1);
}

START_TEST(what_is_wrong_is_told_with_file_and_line)
{
	wrong("users", "\njoe:secret\n", -EBADMSG,
	      "/users:2: after the ':' there is no hash");
	wrong("users", "joe\n", -EBADMSG, "/users:1: there is no ':'");
	wrong("groups", "staff:x:1:joe\n\nnone\n", -EBADMSG, "/groups:3: ");
	wrong("nets", "10.0.0.0/8\nexample.com\n", -EBADMSG, "/nets:2: ");
	wrong("names", "a b\n", -EBADMSG, "/names:1: ");
}
END_TEST

START_TEST(what_is_not_there_is_told_with_who_names_it)
{
	char want[256];

	wrong("users", NULL, -ENOENT, "/users: cannot be read: No such file");
	wrong("groups", NULL, -ENOENT, "/groups: cannot be read: No such file");
	(void)snprintf(want, sizeof(want),
		       "/main.conf:3: the list '%s/nets' cannot be read: No "
		       "such file",
		       dir);
	wrong("nets", NULL, -ENOENT, want);
	(void)snprintf(want, sizeof(want),
		       "/main.conf:6: the list '%s/names' cannot be read: No "
		       "such file",
		       dir);
	wrong("names", NULL, -ENOENT, want);
	put_all();
	ck_assert_int_eq(unlink(at("users")), 0);
	ck_assert_int_eq(mkdir(at("users"), 0700), 0);
	ck_assert_int_eq(load(), -EBADMSG);
	said("/users: it is not a regular file", 1);
	ck_assert_int_eq(rmdir(at("users")), 0);
}
END_TEST

START_TEST(all_that_is_wrong_is_told_at_once)
{
	put("users", "joe\n");
	put("nets", "x\n");
	ck_assert_int_eq(load(), -EBADMSG);
	said("/groups: cannot be read", 4);
}
END_TEST

START_TEST(who_does_not_exist_is_warned_of)
{
	put_all();
	put("users", "joe:" HASH "\n");
	ck_assert_int_eq(load(), 0); /* "*" is nobody's name */
	said("main.conf:5: warning: 'rule-1' names the user 'eve', whom '", 1);
	put_all();
	put("groups", "staff:x:1:joe\nnone:x:2:\n");
	ck_assert_int_eq(load(), 0);
	said("main.conf:6: warning: 'rule-2' names the group 'none', of which "
	     "'",
	     1);
	put_all();
	put("nets", "# nothing\n");
	ck_assert_int_eq(load(), 0);
	said("main.conf:3: warning: the list '", 1);
}
END_TEST

/* An account that PAM knows need not be in the file. */
START_TEST(users_of_pam_are_not_doubted_but_its_socket)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	char auth[512];

	put_all();
	put("users", "joe:" HASH "\n");
	(void)snprintf(auth, sizeof(auth),
		       "users_file = \"%s/users\"; groups_file = "
		       "\"%s/groups\"; helper = \"%s/pam\";",
		       dir, dir, dir);
	load_conf_of(auth, "[ \"password\", \"system\", \"none\" ]");
	ck_assert_int_eq(load_data(&d, c, &e), 0);
	said("main.conf: warning: auth: there is no socket '", 1);
	put("pam", "");
	load_conf_of(auth, "[ \"pam\", \"password\", \"none\" ]");
	ck_assert_int_eq(load_data(&d, c, &e), 0);
	said("main.conf: warning: auth: there is no socket '", 1);
	ck_assert_int_eq(unlink(at("pam")), 0);
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/pam", dir);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	load_conf_of(auth, "[ \"password\", \"pam\", \"none\" ]");
	ck_assert_int_eq(load_data(&d, c, &e), 0);
	said(NULL, 0);
	close_fd(&fd);
}
END_TEST

START_TEST(who_checks_need_not_be_who_may_read)
{
	char auth[256];

	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	(void)snprintf(auth, sizeof(auth),
		       "users_file = \"%s/users\"; groups_file = "
		       "\"%s/groups\";",
		       dir, dir);
	load_conf_of(auth, "[ \"password\", \"none\" ]");
	ck_assert_int_eq(load_data(&d, c, &e), -EACCES);
	ck_assert_uint_eq(e.errors, 4);
	conf_errors_done(&e);
	ck_assert_int_eq(load_data_check(c, &e), 0);
	ck_assert_uint_eq(e.errors, 0);
	said("/users: warning: cannot be read: Permission denied", 4);
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(who_checks_is_told_what_is_wrong)
{
	put_all();
	ck_assert_int_eq(load(), 0);
	load_data_done(&d);
	ck_assert_int_eq(load_data_check(c, &e), 0);
	put("nets", "x\n");
	ck_assert_int_eq(load_data_check(c, &e), -EBADMSG);
	said("/nets:1: ", 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("load_data");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, without_files_there_is_nothing);
	tcase_add_test(t, all_files_are_read);
	tcase_add_test(t, what_is_wrong_is_told_with_file_and_line);
	tcase_add_test(t, what_is_not_there_is_told_with_who_names_it);
	tcase_add_test(t, all_that_is_wrong_is_told_at_once);
	tcase_add_test(t, who_does_not_exist_is_warned_of);
	tcase_add_test(t, users_of_pam_are_not_doubted_but_its_socket);
	tcase_add_test(t, who_checks_need_not_be_who_may_read);
	tcase_add_test(t, who_checks_is_told_what_is_wrong);
	suite_add_tcase(s, t);
	return run_suite(s);
}
