/*
 * Dates are not looked at: an expired certificate is a fault that its clients
 * see, and refusing it would take down whatever else a context serves.
 */
#include "core/tls_cert.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

void tls_cert_done(struct tls_cert *c)
{
	X509_free(c->leaf);
	tls_x509s_free(&c->above);
	EVP_PKEY_free(c->key);
	OPENSSL_free(c->staple);
	memset(c, 0, sizeof(*c));
}

/* --- Chain and key ------------------------------------------------------ */

static int kind_of(const EVP_PKEY *key, enum tls_kind *ret)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		*ret = TLS_KIND_RSA;
		return 0;
	case EVP_PKEY_RSA_PSS:
		*ret = TLS_KIND_RSA_PSS;
		return 0;
	case EVP_PKEY_EC:
		*ret = TLS_KIND_EC;
		return 0;
	case EVP_PKEY_ED25519:
		*ret = TLS_KIND_ED25519;
		return 0;
	case EVP_PKEY_ED448:
		*ret = TLS_KIND_ED448;
		return 0;
	default:
		return -EINVAL;
	}
}

static int read_chain(struct tls_cert *c, const char *path,
		      const struct tls_why *why)
{
	CLEANUP(tls_file_done) struct tls_file f = { .path = NULL };
	int r = tls_file_read(&f, path, why);

	if (r < 0)
		return r;
	r = tls_file_certificates(&f, &c->above, why);
	if (r < 0)
		return r;
	c->leaf = sk_X509_shift(c->above);
	return 0;
}

static int read_key(struct tls_cert *c, const char *path, const char *chain,
		    const struct tls_why *why)
{
	CLEANUP(tls_file_done) struct tls_file f = { .path = NULL };
	int r = tls_file_read(&f, path, why);

	if (r < 0)
		return r;
	r = tls_file_key(&f, &c->key, why);
	if (r < 0)
		return r;
	if (kind_of(c->key, &c->kind) < 0)
		return tls_why_say(why, -EINVAL,
				   "the key in %s is of a kind that TLS has no "
				   "use for",
				   path);
	if (X509_check_private_key(c->leaf, c->key) != 1)
		return tls_why_openssl(why,
				       "the key in %s does not fit the first "
				       "certificate in %s",
				       path, chain);
	return 0;
}

/* --- OCSP --------------------------------------------------------------- */

static void free_response(OCSP_RESPONSE **response)
{
	OCSP_RESPONSE_free(*response);
}

static void free_basic(OCSP_BASICRESP **basic)
{
	OCSP_BASICRESP_free(*basic);
}

static int64_t seconds_of(const ASN1_GENERALIZEDTIME *when)
{
	struct tm tm;

	if (!when || ASN1_TIME_to_tm(when, &tm) != 1)
		return INT64_MAX;
	return timegm(&tm);
}

/*
 * Finds what the response says about a serial number.  The issuer goes
 * without saying: whose certificates are stapled is chosen by file.
 */
static OCSP_SINGLERESP *find_serial(OCSP_BASICRESP *basic,
				    const ASN1_INTEGER *wanted)
{
	for (int i = 0; i < OCSP_resp_count(basic); i++) {
		OCSP_SINGLERESP *one = OCSP_resp_get0(basic, i);
		ASN1_INTEGER *serial = NULL;

		(void)OCSP_id_get0_info(
			NULL, NULL, NULL, &serial,
			(OCSP_CERTID *)OCSP_SINGLERESP_get0_id(one));
		if (serial && ASN1_INTEGER_cmp(serial, wanted) == 0)
			return one;
	}
	return NULL;
}

static int check_response(struct tls_cert *c, OCSP_RESPONSE *response,
			  const char *path, const struct tls_why *why)
{
	int status = OCSP_response_status(response);
	CLEANUP(free_basic) OCSP_BASICRESP *basic = NULL;
	OCSP_SINGLERESP *one;
	ASN1_GENERALIZEDTIME *until = NULL;

	if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
		return tls_why_say(why, -EINVAL,
				   "the OCSP response in %s is no answer: %s",
				   path, OCSP_response_status_str(status));
	basic = OCSP_response_get1_basic(response);
	if (!basic)
		return tls_why_openssl(why, "the OCSP response in %s is broken",
				       path);
	one = find_serial(basic, X509_get0_serialNumber(c->leaf));
	if (!one)
		return tls_why_say(why, -EINVAL,
				   "the OCSP response in %s is about another "
				   "certificate",
				   path);
	(void)OCSP_single_get0_status(one, NULL, NULL, NULL, &until);
	c->staple_until = seconds_of(until);
	return 0;
}

static int read_staple(struct tls_cert *c, const char *path,
		       const struct tls_why *why)
{
	CLEANUP(tls_file_done) struct tls_file f = { .path = NULL };
	CLEANUP(free_response) OCSP_RESPONSE *response = NULL;
	const uint8_t *at;
	int r = tls_file_read(&f, path, why);

	if (r < 0)
		return r;
	ERR_clear_error();
	at = f.bytes;
	response = d2i_OCSP_RESPONSE(NULL, &at, (long)f.len);
	if (!response || at != f.bytes + f.len)
		return tls_why_openssl(why, "%s is no OCSP response in DER",
				       path);
	r = check_response(c, response, path, why);
	if (r < 0)
		return r;
	c->staple = OPENSSL_memdup(f.bytes, f.len);
	if (!c->staple)
		return -ENOMEM;
	c->staple_len = f.len;
	return 0;
}

int tls_cert_read(struct tls_cert *ret, const struct tcp_tls_certificate *files,
		  const struct tls_why *why)
{
	CLEANUP(tls_cert_done) struct tls_cert c = { .leaf = NULL };
	int r;

	if (!files->chain_file)
		return tls_why_say(why, -EINVAL,
				   "a certificate has no chain_file");
	r = read_chain(&c, files->chain_file, why);
	if (r < 0)
		return r;
	r = read_key(&c, files->key_file ? files->key_file : files->chain_file,
		     files->chain_file, why);
	if (r < 0)
		return r;
	if (files->ocsp_file) {
		r = read_staple(&c, files->ocsp_file, why);
		if (r < 0)
			return r;
	}
	*ret = c;
	memset(&c, 0, sizeof(c));
	return 0;
}

/* --- Names -------------------------------------------------------------- */

static void free_names(GENERAL_NAMES **names)
{
	GENERAL_NAMES_free(*names);
}

static int each_common_name(const X509 *leaf,
			    int (*each)(void *ctx, const char *name,
					size_t len),
			    void *ctx)
{
	const X509_NAME *subject = X509_get_subject_name(leaf);
	int at = -1, r = 0;

	while (r >= 0 && (at = X509_NAME_get_index_by_NID(
				  subject, NID_commonName, at)) >= 0) {
		uint8_t *text = NULL;
		int len = ASN1_STRING_to_UTF8(
			&text, X509_NAME_ENTRY_get_data(
				       X509_NAME_get_entry(subject, at)));

		if (len >= 0)
			r = each(ctx, (const char *)text, (size_t)len);
		OPENSSL_free(text);
	}
	ERR_clear_error();
	return r;
}

int tls_cert_names(const struct tls_cert *c,
		   int (*each)(void *ctx, const char *name, size_t len),
		   void *ctx)
{
	CLEANUP(free_names)
	GENERAL_NAMES *names = X509_get_ext_d2i(c->leaf, NID_subject_alt_name,
						NULL, NULL);
	bool found = false;

	ERR_clear_error();
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		int type, r;
		const ASN1_STRING *text = GENERAL_NAME_get0_value(
			sk_GENERAL_NAME_value(names, i), &type);

		if (type != GEN_DNS)
			continue;
		found = true;
		r = each(ctx, (const char *)ASN1_STRING_get0_data(text),
			 (size_t)ASN1_STRING_length(text));
		if (r < 0)
			return r;
	}
	return found ? 0 : each_common_name(c->leaf, each, ctx);
}
