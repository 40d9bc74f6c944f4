/*
 * Keys, certificates, lists and responses, made by libcrypto.
 */
#include "t/unit/tls_files.h"

#include "core/base.h"

#include <check.h>
#include <dirent.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY (24 * 60 * 60)

#define MUST(claim) ck_assert_msg((claim), "OpenSSL: %s", first_error())

struct authority {
	X509 *cert;
	EVP_PKEY *key;
	const char *path;
};

/* Text that stays. */
struct kept {
	struct kept *next;
	char text[];
};

static char dir[64];
static EVP_PKEY *keys[3];
static struct authority root, middle, stranger;
static struct kept *kept;
static unsigned made;

static const char *first_error(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_error());

	return text ? text : "no reason";
}

/* --- Files -------------------------------------------------------------- */

const char *tls_files_path(const char *name)
{
	size_t size = strlen(dir) + strlen(name) + 2;
	struct kept *k = malloc(sizeof(*k) + size);

	ck_assert_ptr_nonnull(k);
	(void)snprintf(k->text, size, "%s/%s", dir, name);
	k->next = kept;
	kept = k;
	return k->text;
}

/* The path of a new file. */
static const char *next_path(const char *what)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "%u.%s", ++made, what);
	return tls_files_path(name);
}

const char *tls_files_write(const char *name, const void *bytes, size_t len)
{
	const char *path = tls_files_path(name);
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bytes, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
	return path;
}

static BIO *writing(const char *path, const char *mode)
{
	BIO *bio = BIO_new_file(path, mode);

	MUST(bio);
	return bio;
}

X509 *tls_files_x509(const char *path)
{
	BIO *bio = BIO_new_file(path, "r");
	X509 *cert;

	MUST(bio);
	cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	MUST(cert);
	BIO_free(bio);
	return cert;
}

/* --- Certificates ------------------------------------------------------- */

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	MUST(e);
	MUST(X509_add_ext(cert, e, -1) == 1);
	X509_EXTENSION_free(e);
}

static void set_common_name(X509 *cert, const char *cn, size_t len)
{
	MUST(X509_NAME_add_entry_by_NID(
		     X509_get_subject_name(cert), NID_commonName, MBSTRING_UTF8,
		     (const uint8_t *)cn, (int)len, -1, 0) == 1);
}

static void sign(X509 *cert, EVP_PKEY *key)
{
	bool is_plain = EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519;

	MUST(X509_sign(cert, key, is_plain ? EVP_sha256() : NULL) > 0);
}

static X509 *new_cert(unsigned serial, EVP_PKEY *key, int from, int to)
{
	X509 *cert = X509_new();

	MUST(cert);
	MUST(X509_set_version(cert, X509_VERSION_3) == 1);
	MUST(ASN1_INTEGER_set(X509_get_serialNumber(cert), serial) == 1);
	MUST(X509_gmtime_adj(X509_getm_notBefore(cert), (long)from * DAY));
	MUST(X509_gmtime_adj(X509_getm_notAfter(cert), (long)to * DAY));
	MUST(X509_set_pubkey(cert, key) == 1);
	return cert;
}

static void write_cert(const char *path, const char *mode, X509 *cert)
{
	BIO *bio = writing(path, mode);

	MUST(PEM_write_bio_X509(bio, cert) == 1);
	BIO_free(bio);
}

/* An authority; `above` NULL: its own. */
static void make_authority(struct authority *a, const char *name,
			   struct authority *above)
{
	a->key = EVP_EC_gen("P-256");
	MUST(a->key);
	a->cert = new_cert(++made, a->key, -2, 2);
	if (!above)
		above = a;
	set_common_name(a->cert, name, strlen(name));
	MUST(X509_set_issuer_name(a->cert,
				  X509_get_subject_name(above->cert)) == 1);
	add_extension(a->cert, above->cert, NID_basic_constraints,
		      "critical,CA:TRUE");
	add_extension(a->cert, above->cert, NID_key_usage,
		      "critical,keyCertSign,cRLSign");
	add_extension(a->cert, above->cert, NID_subject_key_identifier, "hash");
	sign(a->cert, above->key);
	a->path = tls_files_path(name);
	write_cert(a->path, "w", a->cert);
}

static void done_authority(struct authority *a)
{
	X509_free(TAKE_PTR(a->cert));
	EVP_PKEY_free(TAKE_PTR(a->key));
}

static struct authority *authority_of(const struct tls_files_spec *s)
{
	switch (s->issuer) {
	case TLS_ROOT:
		return &root;
	case TLS_MIDDLE:
		return &middle;
	case TLS_STRANGER:
		return &stranger;
	case TLS_SELF:
		return NULL;
	}
	return NULL;
}

static X509 *make_leaf(const struct tls_files_spec *s, EVP_PKEY *key)
{
	bool dated = s->from_days || s->to_days;
	const struct authority *above = authority_of(s);
	X509 *cert = new_cert(s->serial ? s->serial : 1000 + ++made, key,
			      dated ? s->from_days : -1,
			      dated ? s->to_days : 1);
	X509 *issuer = above ? above->cert : cert;

	if (s->cn)
		set_common_name(cert, s->cn,
				s->cn_len ? s->cn_len : strlen(s->cn));
	MUST(X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1);
	if (s->san)
		add_extension(cert, issuer, NID_subject_alt_name, s->san);
	if (s->eku)
		add_extension(cert, issuer, NID_ext_key_usage, s->eku);
	if (above)
		add_extension(cert, issuer, NID_authority_key_identifier,
			      "keyid");
	sign(cert, above ? above->key : key);
	return cert;
}

static void write_key(const char *path, const char *mode, EVP_PKEY *key,
		      const char *password)
{
	BIO *bio = writing(path, mode);

	MUST(PEM_write_bio_PKCS8PrivateKey(
		     bio, key, password ? EVP_aes_256_cbc() : NULL, password,
		     password ? (int)strlen(password) : 0, NULL, NULL) == 1);
	BIO_free(bio);
}

/* --- OCSP --------------------------------------------------------------- */

static const char *write_response(X509 *cert, const struct authority *by,
				  enum tls_files_staple kind)
{
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	X509 *about = kind == TLS_STAPLE_OTHER ? by->cert : cert;
	OCSP_CERTID *id = OCSP_cert_to_id(NULL, about, by->cert);
	long until = kind == TLS_STAPLE_STALE ? -DAY : DAY;
	ASN1_TIME *from = X509_gmtime_adj(NULL, -2L * DAY);
	ASN1_TIME *to = X509_gmtime_adj(NULL, until);
	const char *path = next_path("ocsp");
	BIO *bio = writing(path, "w");
	OCSP_RESPONSE *response;

	MUST(OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_GOOD, 0, NULL,
				    from, to));
	MUST(OCSP_basic_sign(basic, by->cert, by->key, EVP_sha256(), NULL, 0) ==
	     1);
	response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	MUST(response);
	MUST(i2d_OCSP_RESPONSE_bio(bio, response) == 1);
	BIO_free(bio);
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
	return path;
}

struct tcp_tls_certificate tls_files_make(const struct tls_files_spec *s)
{
	EVP_PKEY *key = keys[s->key];
	X509 *cert = make_leaf(s, key);
	struct tcp_tls_certificate c = { .chain_file = next_path("pem") };

	write_cert(c.chain_file, "w", cert);
	if (s->issuer == TLS_MIDDLE && !s->no_chain)
		write_cert(c.chain_file, "a", middle.cert);
	if (!s->one_file)
		c.key_file = next_path("key");
	write_key(s->one_file ? c.chain_file : c.key_file,
		  s->one_file ? "a" : "w", key, s->password);
	if (s->staple)
		c.ocsp_file = write_response(cert, authority_of(s), s->staple);
	X509_free(cert);
	return c;
}

/* --- Lists of revoked certificates -------------------------------------- */

static void write_crl(BIO *bio, const struct authority *by,
		      const unsigned *serials)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *from = X509_gmtime_adj(NULL, -DAY);
	ASN1_TIME *to = X509_gmtime_adj(NULL, DAY);

	MUST(X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1);
	MUST(X509_CRL_set_issuer_name(crl, X509_get_subject_name(by->cert)) ==
	     1);
	MUST(X509_CRL_set1_lastUpdate(crl, from) == 1);
	MUST(X509_CRL_set1_nextUpdate(crl, to) == 1);
	for (; *serials; serials++) {
		X509_REVOKED *one = X509_REVOKED_new();
		ASN1_INTEGER *serial = ASN1_INTEGER_new();

		MUST(ASN1_INTEGER_set(serial, *serials) == 1);
		MUST(X509_REVOKED_set_serialNumber(one, serial) == 1);
		MUST(X509_REVOKED_set_revocationDate(one, from) == 1);
		MUST(X509_CRL_add0_revoked(crl, one) == 1);
		ASN1_INTEGER_free(serial);
	}
	MUST(X509_CRL_sort(crl) == 1);
	MUST(X509_CRL_sign(crl, by->key, EVP_sha256()) > 0);
	MUST(PEM_write_bio_X509_CRL(bio, crl) == 1);
	X509_CRL_free(crl);
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
}

const char *tls_files_crl(const unsigned *by_root, const unsigned *by_middle)
{
	const char *path = next_path("crl");
	BIO *bio = writing(path, "w");

	if (by_root)
		write_crl(bio, &root, by_root);
	if (by_middle)
		write_crl(bio, &middle, by_middle);
	BIO_free(bio);
	return path;
}

/* --- Beginning and end -------------------------------------------------- */

const char *tls_files_root(void)
{
	return root.path;
}

const char *tls_files_middle(void)
{
	return middle.path;
}

const char *tls_files_stranger(void)
{
	return stranger.path;
}

void tls_files_open(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(dir, sizeof(dir), "%s/tls_files.XXXXXX",
		       tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	keys[TLS_P256] = EVP_EC_gen("P-256");
	keys[TLS_RSA] = EVP_RSA_gen(2048);
	keys[TLS_ED25519] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		MUST(keys[i]);
	make_authority(&root, "root", NULL);
	make_authority(&middle, "middle", &root);
	make_authority(&stranger, "stranger", NULL);
}

static void remove_folder(void)
{
	DIR *d = opendir(dir);
	const struct dirent *e;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] != '.')
			(void)unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d)
		(void)closedir(d);
	(void)rmdir(dir);
}

void tls_files_close(void)
{
	done_authority(&root);
	done_authority(&middle);
	done_authority(&stranger);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		EVP_PKEY_free(TAKE_PTR(keys[i]));
	remove_folder();
	while (kept) {
		struct kept *k = kept;

		kept = k->next;
		free(k);
	}
}

/* --- Contexts ----------------------------------------------------------- */

static struct tcp_tls *make_context(const struct tcp_tls_options *o)
{
	struct tcp_tls *t = NULL;
	char why[256];
	int r = tcp_tls_new(&t, o, why, sizeof(why));

	ck_assert_msg(r == 0, "tcp_tls_new() says %d: %s", r, why);
	return t;
}

struct tcp_tls *tls_files_server(const struct tcp_tls_options *o)
{
	struct tcp_tls_options options = { .client = false };
	struct tcp_tls_certificate certificate;

	if (o)
		options = *o;
	if (options.certificate_count == 0) {
		certificate = TLS_FILES(.san = "DNS:a.test,DNS:*.b.test,"
					       "DNS:localhost,IP:127.0.0.1");
		options.certificates = &certificate;
		options.certificate_count = 1;
	}
	return make_context(&options);
}

struct tcp_tls *tls_files_client(const struct tcp_tls_options *o)
{
	struct tcp_tls_options options = { .client = true };

	if (o)
		options = *o;
	options.client = true;
	if (!options.ca_file && options.verify != TCPSERVER_TLS_VERIFY_NONE)
		options.ca_file = root.path;
	return make_context(&options);
}
