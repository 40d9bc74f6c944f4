/*
 * Reading never waits: what is no regular file is refused, lest a pipe that
 * nobody writes to stop a daemon that reloads.  Who else may read a key file
 * is its owner's business.
 */
#include "core/tls_file.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void free_bio(BIO **bio)
{
	BIO_free(*bio);
}

void tls_x509s_free(STACK_OF(X509) * *s)
{
	sk_X509_pop_free(*s, X509_free);
}

void tls_crls_free(STACK_OF(X509_CRL) * *s)
{
	sk_X509_CRL_pop_free(*s, X509_CRL_free);
}

/* --- Bytes -------------------------------------------------------------- */

static int say_errno(const struct tls_why *why, int r, const char *path)
{
	return tls_why_say(why, r, "cannot read %s: %s", path, strerror(-r));
}

static int size_of(int fd, const char *path, size_t *ret,
		   const struct tls_why *why)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return say_errno(why, -errno, path);
	if (S_ISDIR(st.st_mode))
		return say_errno(why, -EISDIR, path);
	if (!S_ISREG(st.st_mode))
		return tls_why_say(why, -EINVAL, "%s is no regular file", path);
	if (st.st_size == 0)
		return tls_why_say(why, -EINVAL, "%s is empty", path);
	if ((uintmax_t)st.st_size > TLS_FILE_MAX)
		return tls_why_say(why, -EINVAL, "%s is longer than %zu MiB",
				   path, TLS_FILE_MAX >> 20);
	*ret = (size_t)st.st_size;
	return 0;
}

/* A file that shrinks meanwhile is taken as it is then. */
static int read_all(int fd, struct tls_file *f, size_t size)
{
	while (f->len < size) {
		ssize_t n = read(fd, f->bytes + f->len, size - f->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		f->len += (size_t)n;
	}
	f->bytes[f->len] = '\0';
	return 0;
}

int tls_file_read(struct tls_file *ret, const char *path,
		  const struct tls_why *why)
{
	CLEANUP(close_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	CLEANUP(tls_file_done) struct tls_file f = { .path = path };
	size_t size = 0;
	int r;

	if (fd < 0)
		return say_errno(why, -errno, path);
	r = size_of(fd, path, &size, why);
	if (r < 0)
		return r;
	f.bytes = malloc(size + 1);
	if (!f.bytes)
		return -ENOMEM;
	r = read_all(fd, &f, size);
	if (r < 0)
		return say_errno(why, r, path);
	*ret = f;
	f.bytes = NULL;
	return 0;
}

void tls_file_done(struct tls_file *f)
{
	if (f->bytes)
		OPENSSL_cleanse(f->bytes, f->len);
	free(f->bytes);
	f->bytes = NULL;
}

/* --- What is in them ---------------------------------------------------- */

/* OpenSSL's own callback would ask on the terminal. */
static int no_password(char *out UNUSED, int size UNUSED, int writing UNUSED,
		       void *asked)
{
	*(bool *)asked = true;
	return -1;
}

static BIO *open_bytes(const struct tls_file *f)
{
	ERR_clear_error();
	return BIO_new_mem_buf(f->bytes, (int)f->len);
}

/* Tells whether a PEM reader stopped for want of anything more to read. */
static bool is_at_end(void)
{
	unsigned long error = ERR_peek_last_error();

	return ERR_GET_LIB(error) == ERR_LIB_PEM &&
	       ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

int tls_file_certificates(const struct tls_file *f, STACK_OF(X509) * *ret,
			  const struct tls_why *why)
{
	CLEANUP(tls_x509s_free) STACK_OF(X509) *all = sk_X509_new_null();
	CLEANUP(free_bio) BIO *bio = open_bytes(f);
	bool asked = false;
	X509 *one;

	if (!all || !bio)
		return -ENOMEM;
	while ((one = PEM_read_bio_X509(bio, NULL, no_password, &asked))) {
		if (sk_X509_push(all, one) > 0)
			continue;
		X509_free(one);
		return -ENOMEM;
	}
	if (!is_at_end())
		return tls_why_openssl(why, "a certificate in %s is broken",
				       f->path);
	ERR_clear_error();
	if (sk_X509_num(all) == 0)
		return tls_why_say(why, -EINVAL, "%s has no certificate in PEM",
				   f->path);
	*ret = TAKE_PTR(all);
	return 0;
}

int tls_file_crls(const struct tls_file *f, STACK_OF(X509_CRL) * *ret,
		  const struct tls_why *why)
{
	CLEANUP(tls_crls_free) STACK_OF(X509_CRL) *all = sk_X509_CRL_new_null();
	CLEANUP(free_bio) BIO *bio = open_bytes(f);
	bool asked = false;
	X509_CRL *one;

	if (!all || !bio)
		return -ENOMEM;
	while ((one = PEM_read_bio_X509_CRL(bio, NULL, no_password, &asked))) {
		if (sk_X509_CRL_push(all, one) > 0)
			continue;
		X509_CRL_free(one);
		return -ENOMEM;
	}
	if (!is_at_end())
		return tls_why_openssl(why, "a CRL in %s is broken", f->path);
	ERR_clear_error();
	if (sk_X509_CRL_num(all) == 0)
		return tls_why_say(why, -EINVAL, "%s has no CRL in PEM",
				   f->path);
	*ret = TAKE_PTR(all);
	return 0;
}

int tls_file_key(const struct tls_file *f, EVP_PKEY **ret,
		 const struct tls_why *why)
{
	CLEANUP(free_bio) BIO *bio = open_bytes(f);
	bool asked = false;
	EVP_PKEY *key;

	if (!bio)
		return -ENOMEM;
	key = PEM_read_bio_PrivateKey(bio, NULL, no_password, &asked);
	/* Looking for a key, OpenSSL tries decoders in vain on the way. */
	if (key) {
		ERR_clear_error();
		*ret = key;
		return 0;
	}
	if (asked) {
		ERR_clear_error();
		return tls_why_say(why, -EINVAL,
				   "the key in %s is encrypted, and nobody is "
				   "there to be asked for its password",
				   f->path);
	}
	return tls_why_openssl(why, "no private key can be read from %s",
			       f->path);
}
