/*
 * The files of TLS contexts, good and bad, and what is said of bad ones.
 */
#include "core/tls_file.h"

#include "t/unit/suite.h"
#include "t/unit/tls_files.h"

#include <check.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char text[512];
static const struct tls_why why = { .text = text, .size = sizeof(text) };
static struct tls_file file;

static void teardown(void)
{
	tls_file_done(&file);
}

/* The sentence that is said of a path; `rest` follows it. */
static void ck_assert_said(const char *before, const char *path,
			   const char *rest)
{
	char wanted[512];

	(void)snprintf(wanted, sizeof(wanted), "%s%s%s", before, path, rest);
	ck_assert_str_eq(text, wanted);
}

/* Reads a file that can be read. */
static void open_file(const char *path)
{
	tls_file_done(&file);
	ck_assert_int_eq(tls_file_read(&file, path, &why), 0);
}

/* A file with two pieces of text, the first cut to `len` (-1: whole). */
static const char *joined(const char *first, long len, const char *second)
{
	static unsigned count;
	char name[32], *bytes = NULL;
	const char *path;
	size_t size;
	FILE *out = open_memstream(&bytes, &size);

	open_file(first);
	(void)fwrite(file.bytes, 1, len < 0 ? file.len : (size_t)len, out);
	if (second) {
		open_file(second);
		(void)fwrite(file.bytes, 1, file.len, out);
	}
	(void)fclose(out);
	(void)snprintf(name, sizeof(name), "joined%u", ++count);
	path = tls_files_write(name, bytes, size);
	free(bytes);
	return path;
}

/* --- Reading ------------------------------------------------------------ */

START_TEST(a_file_is_read_whole)
{
	const char *path = tls_files_write("x", "some\0bytes", 10);

	open_file(path);
	ck_assert_uint_eq(file.len, 10);
	ck_assert_mem_eq(file.bytes, "some\0bytes", 11);
	ck_assert_str_eq(file.path, path);
}
END_TEST

START_TEST(a_file_that_is_not_there_is_named)
{
	const char *path = tls_files_path("absent");

	ck_assert_int_eq(tls_file_read(&file, path, &why), -ENOENT);
	ck_assert_said("cannot read ", path, ": No such file or directory");
	ck_assert_ptr_null(file.bytes);
}
END_TEST

START_TEST(a_directory_is_named)
{
	const char *path = tls_files_path(".");

	ck_assert_int_eq(tls_file_read(&file, path, &why), -EISDIR);
	ck_assert_said("cannot read ", path, ": Is a directory");
}
END_TEST

START_TEST(a_pipe_is_refused_and_not_waited_for)
{
	const char *path = tls_files_path("fifo");

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(tls_file_read(&file, path, &why), -EINVAL);
	ck_assert_said("", path, " is no regular file");
	ck_assert_int_eq(tls_file_read(&file, "/dev/null", &why), -EINVAL);
}
END_TEST

START_TEST(an_empty_file_is_named)
{
	const char *path = tls_files_write("empty", "", 0);

	ck_assert_int_eq(tls_file_read(&file, path, &why), -EINVAL);
	ck_assert_said("", path, " is empty");
}
END_TEST

START_TEST(a_file_may_have_64_mib)
{
	const char *path = tls_files_write("long", "x", 1);

	ck_assert_int_eq(truncate(path, (off_t)TLS_FILE_MAX + 1), 0);
	ck_assert_int_eq(tls_file_read(&file, path, &why), -EINVAL);
	ck_assert_said("", path, " is longer than 64 MiB");
	ck_assert_int_eq(truncate(path, (off_t)TLS_FILE_MAX), 0);
	open_file(path);
	ck_assert_uint_eq(file.len, TLS_FILE_MAX);
}
END_TEST

START_TEST(a_file_that_may_not_be_read_is_named)
{
	const char *path = tls_files_write("secret", "x", 1);
	uid_t user = geteuid();

	/* Root may read everything. */
	ck_assert_int_eq(chmod(path, 0), 0);
	if (user == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	ck_assert_int_eq(tls_file_read(&file, path, &why), -EACCES);
	ck_assert_int_eq(seteuid(user), 0);
	ck_assert_said("cannot read ", path, ": Permission denied");
}
END_TEST

START_TEST(closing_twice_is_harmless)
{
	open_file(tls_files_write("x", "y", 1));
	tls_file_done(&file);
	tls_file_done(&file);
}
END_TEST

/* --- Certificates ------------------------------------------------------- */

/* How many there are, or -errno. */
static int certificates(const char *path)
{
	STACK_OF(X509) *all = NULL;
	int r, count;

	open_file(path);
	r = tls_file_certificates(&file, &all, &why);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	count = sk_X509_num(all);
	tls_x509s_free(&all);
	return r < 0 ? r : count;
}

START_TEST(all_certificates_of_a_file_count)
{
	ck_assert_int_eq(certificates(tls_files_root()), 1);
	ck_assert_int_eq(
		certificates(joined(tls_files_root(), -1, tls_files_middle())),
		2);
}
END_TEST

START_TEST(keys_and_text_between_them_are_passed_over)
{
	struct tcp_tls_certificate c = TLS_FILES(.cn = "x", .one_file = true,
						 .password = "secret");
	const char *path = joined(c.chain_file, -1, tls_files_root());

	ck_assert_int_eq(certificates(path), 2);
	path = tls_files_write("note", "Issued by us:\n", 14);
	ck_assert_int_eq(certificates(joined(path, -1, tls_files_root())), 1);
}
END_TEST

START_TEST(a_file_without_a_certificate_is_named)
{
	const char *path = TLS_FILES(.cn = "x").key_file;

	ck_assert_int_eq(certificates(path), -EINVAL);
	ck_assert_said("", path, " has no certificate in PEM");
	path = tls_files_write("der", "\x30\x03\x02\x01\x05", 5);
	ck_assert_int_eq(certificates(path), -EINVAL);
	ck_assert_said("", path, " has no certificate in PEM");
}
END_TEST

START_TEST(a_broken_certificate_is_named)
{
	static const char no_certificate[] =
		"-----BEGIN CERTIFICATE-----\nMAMCAQU=\n"
		"-----END CERTIFICATE-----\n";
	const char *path = joined(tls_files_root(), 300, NULL);

	ck_assert_int_eq(certificates(path), -EINVAL);
	ck_assert_said("a certificate in ", path, " is broken: bad end line");
	path = joined(tls_files_root(), -1, NULL);
	path = joined(path, -1, joined(tls_files_middle(), 300, NULL));
	ck_assert_int_eq(certificates(path), -EINVAL);
	path = tls_files_write("bad", no_certificate,
			       sizeof(no_certificate) - 1);
	ck_assert_int_eq(certificates(path), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, "is broken: "));
}
END_TEST

/* --- Keys --------------------------------------------------------------- */

/* The kind of the key, or -errno. */
static int key_in(const char *path)
{
	EVP_PKEY *key = NULL;
	int r, kind;

	open_file(path);
	r = tls_file_key(&file, &key, &why);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	if (r < 0)
		return r;
	kind = EVP_PKEY_get_base_id(key);
	EVP_PKEY_free(key);
	return kind;
}

START_TEST(keys_of_all_kinds_are_read)
{
	ck_assert_int_eq(key_in(TLS_FILES(.key = TLS_RSA).key_file),
			 EVP_PKEY_RSA);
	ck_assert_int_eq(key_in(TLS_FILES(.key = TLS_P256).key_file),
			 EVP_PKEY_EC);
	ck_assert_int_eq(key_in(TLS_FILES(.key = TLS_ED25519).key_file),
			 EVP_PKEY_ED25519);
}
END_TEST

START_TEST(a_key_may_stand_before_or_behind_certificates)
{
	struct tcp_tls_certificate c = TLS_FILES(.one_file = true);
	const char *path;

	ck_assert_int_eq(key_in(c.chain_file), EVP_PKEY_EC);
	c = TLS_FILES(.key = TLS_RSA);
	path = joined(c.key_file, -1, c.chain_file);
	ck_assert_int_eq(key_in(path), EVP_PKEY_RSA);
}
END_TEST

/* What `openssl ecparam -genkey` writes, and the form before PKCS#8. */
START_TEST(parameters_in_front_of_a_key_are_passed_over)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *bio = BIO_new_file(tls_files_path("ec"), "w");

	ck_assert_int_eq(BIO_puts(bio, "-----BEGIN EC PARAMETERS-----\n"
				       "BggqhkjOPQMBBw==\n"
				       "-----END EC PARAMETERS-----\n") > 0,
			 1);
	ck_assert_int_eq(PEM_write_bio_PrivateKey_traditional(
				 bio, key, NULL, NULL, 0, NULL, NULL),
			 1);
	BIO_free(bio);
	EVP_PKEY_free(key);
	ck_assert_int_eq(key_in(tls_files_path("ec")), EVP_PKEY_EC);
}
END_TEST

START_TEST(an_encrypted_key_is_refused_and_nobody_is_asked)
{
	const char *path = TLS_FILES(.password = "secret").key_file;

	ck_assert_int_eq(key_in(path), -EINVAL);
	ck_assert_said("the key in ", path,
		       " is encrypted, and nobody is there to be asked for "
		       "its password");
}
END_TEST

START_TEST(so_is_one_in_the_old_form)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	const char *path = tls_files_path("old");
	BIO *bio = BIO_new_file(path, "w");

	ck_assert_int_eq(PEM_write_bio_PrivateKey_traditional(
				 bio, key, EVP_aes_128_cbc(), NULL, 0, NULL,
				 (char *)"secret"),
			 1);
	BIO_free(bio);
	EVP_PKEY_free(key);
	ck_assert_int_eq(key_in(path), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, "is encrypted"));
}
END_TEST

START_TEST(a_file_without_a_key_is_named)
{
	const char *path = tls_files_root();

	ck_assert_int_eq(key_in(path), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, "no private key can be read from "));
	ck_assert_ptr_nonnull(strstr(text, path));
	path = joined(TLS_FILES(.key = TLS_RSA).key_file, 700, NULL);
	ck_assert_int_eq(key_in(path), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, path));
	ck_assert_ptr_nonnull(strstr(text, ": "));
}
END_TEST

START_TEST(a_key_that_others_may_read_is_taken)
{
	const char *path = TLS_FILES(.cn = "x").key_file;

	ck_assert_int_eq(chmod(path, 0644), 0);
	ck_assert_int_eq(key_in(path), EVP_PKEY_EC);
}
END_TEST

/* --- Lists of revoked certificates -------------------------------------- */

static int crls(const char *path)
{
	STACK_OF(X509_CRL) *all = NULL;
	int r, count;

	open_file(path);
	r = tls_file_crls(&file, &all, &why);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	count = sk_X509_CRL_num(all);
	tls_crls_free(&all);
	return r < 0 ? r : count;
}

START_TEST(all_crls_of_a_file_count)
{
	static const unsigned none[] = { 0 }, some[] = { 5, 7, 0 };

	ck_assert_int_eq(crls(tls_files_crl(none, NULL)), 1);
	ck_assert_int_eq(crls(tls_files_crl(some, none)), 2);
}
END_TEST

START_TEST(a_file_without_a_crl_is_named)
{
	static const unsigned none[] = { 0 };
	const char *path = tls_files_root();

	ck_assert_int_eq(crls(path), -EINVAL);
	ck_assert_said("", path, " has no CRL in PEM");
	path = joined(tls_files_crl(none, NULL), 100, NULL);
	ck_assert_int_eq(crls(path), -EINVAL);
	ck_assert_said("a CRL in ", path, " is broken: bad end line");
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, a_file_is_read_whole);
	tcase_add_test(t, a_file_that_is_not_there_is_named);
	tcase_add_test(t, a_directory_is_named);
	tcase_add_test(t, a_pipe_is_refused_and_not_waited_for);
	tcase_add_test(t, an_empty_file_is_named);
	tcase_add_test(t, a_file_may_have_64_mib);
	tcase_add_test(t, a_file_that_may_not_be_read_is_named);
	tcase_add_test(t, closing_twice_is_harmless);
	tcase_add_test(t, all_certificates_of_a_file_count);
	tcase_add_test(t, keys_and_text_between_them_are_passed_over);
	tcase_add_test(t, a_file_without_a_certificate_is_named);
	tcase_add_test(t, a_broken_certificate_is_named);
	tcase_add_test(t, keys_of_all_kinds_are_read);
	tcase_add_test(t, a_key_may_stand_before_or_behind_certificates);
	tcase_add_test(t, parameters_in_front_of_a_key_are_passed_over);
	tcase_add_test(t, an_encrypted_key_is_refused_and_nobody_is_asked);
	tcase_add_test(t, so_is_one_in_the_old_form);
	tcase_add_test(t, a_file_without_a_key_is_named);
	tcase_add_test(t, a_key_that_others_may_read_is_taken);
	tcase_add_test(t, all_crls_of_a_file_count);
	tcase_add_test(t, a_file_without_a_crl_is_named);
}

int main(void)
{
	Suite *s = suite_create("tls_file");
	TCase *t = tcase_create("all");

	tcase_add_unchecked_fixture(t, tls_files_open, tls_files_close);
	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
