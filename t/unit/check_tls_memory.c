/*
 * TLS contexts when memory runs out: wherever it does, none is made, somebody
 * is told, and nothing is leaked.
 */
#include "core/tls.h"

#include "t/unit/suite.h"
#include "t/unit/tls_files.h"

#include <check.h>
#include <openssl/crypto.h>
#include <string.h>

/* Between two allocations that fail; each costs half a context. */
#define STRIDE 101

/* How many allocations of OpenSSL succeed from now on; negative: all. */
static long left = -1;

static bool may_allocate(void)
{
	if (left > 0)
		left--;
	return left != 0;
}

static void *allocate(size_t size, const char *file UNUSED, int line UNUSED)
{
	return may_allocate() ? malloc(size) : NULL;
}

static void *resize(void *p, size_t size, const char *file UNUSED,
		    int line UNUSED)
{
	return may_allocate() ? realloc(p, size) : NULL;
}

static void release(void *p, const char *file UNUSED, int line UNUSED)
{
	free(p);
}

/* Makes a context of all that there is, with so many allocations. */
static int make(const struct tcp_tls_options *o, long allocations)
{
	struct tcp_tls *t = NULL;
	char why[256];
	int r;

	left = allocations;
	r = tcp_tls_new(&t, o, why, sizeof(why));
	left = -1;
	if (r < 0) {
		ck_assert_ptr_null(t);
		ck_assert_uint_gt(strlen(why), 0);
	}
	ck_assert_msg(r == 0 || r == -ENOMEM || r == -EINVAL || r == -EIO,
		      "%d: %s", r, why);
	tcp_tls_unref(t);
	return r;
}

START_TEST(without_memory_no_context_is_made)
{
	static const unsigned nobody[] = { 0 };
	static const char *const protocols[] = { "h2" };
	struct tcp_tls_certificate two[] = {
		TLS_FILES(.san = "DNS:a.test", .staple = TLS_STAPLE),
		TLS_FILES(.san = "DNS:a.test,DNS:b.test", .key = TLS_RSA,
			  .issuer = TLS_MIDDLE),
	};
	struct tcp_tls_options o = {
		.certificates = two,
		.certificate_count = 2,
		.verify = TCPSERVER_TLS_VERIFY_REQUIRED,
		.ca_file = tls_files_root(),
		.crl_file = tls_files_crl(nobody, nobody),
		.alpn = protocols,
		.alpn_count = 1,
	};
	unsigned failures = 0;

	/* What OpenSSL makes once is made by the first. */
	ck_assert_int_eq(make(&o, -1), 0);
	for (long n = 0; make(&o, n) < 0; n += STRIDE)
		failures++;
	ck_assert_uint_gt(failures, 50);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tls_memory");
	TCase *t = tcase_create("all");

	if (CRYPTO_set_mem_functions(allocate, resize, release) != 1)
		return EXIT_FAILURE;
	tcase_add_unchecked_fixture(t, tls_files_open, tls_files_close);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, without_memory_no_context_is_made);
	suite_add_tcase(s, t);
	return run_suite(s);
}
