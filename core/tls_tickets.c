/*
 * The keys stand behind a reader-writer lock, held for a copy of 80 bytes, and
 * a handshake asks once or twice.  OpenSSL takes dozens of such locks in the
 * same handshake, so sparing this one would gain nothing; and what is copied
 * can be overwritten the moment that it was used, while a snapshot that
 * handshakes share keeps a dropped key in memory for as long as the slowest of
 * them.  Nothing suspends under the lock.
 */
#include "core/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <string.h>

#define NAME_LEN (sizeof(((struct tcp_tls_ticket_key *)0)->name))

int tls_tickets_init(struct tls_tickets *t)
{
	int r;

	memset(t, 0, sizeof(*t));
	t->aes = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	if (!t->aes)
		return -ENOMEM;
	r = pthread_rwlock_init(&t->lock, NULL);
	if (r) {
		EVP_CIPHER_free(TAKE_PTR(t->aes));
		return -r;
	}
	t->count = 1;
	if (RAND_priv_bytes((uint8_t *)t->keys, sizeof(t->keys[0])) == 1)
		return 0;
	tls_tickets_done(t);
	return -EIO;
}

void tls_tickets_done(struct tls_tickets *t)
{
	if (!t->aes)
		return;
	EVP_CIPHER_free(TAKE_PTR(t->aes));
	(void)pthread_rwlock_destroy(&t->lock);
	OPENSSL_cleanse(t->keys, sizeof(t->keys));
}

static bool has_namesakes(const struct tcp_tls_ticket_key *keys, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		for (size_t k = 0; k < i; k++) {
			if (memcmp(keys[i].name, keys[k].name, NAME_LEN) == 0)
				return true;
		}
	}
	return false;
}

int tls_tickets_set(struct tls_tickets *t,
		    const struct tcp_tls_ticket_key *keys, size_t count)
{
	if (count == 0 || count > TLS_TICKET_KEYS_MAX ||
	    has_namesakes(keys, count))
		return -EINVAL;
	(void)pthread_rwlock_wrlock(&t->lock);
	OPENSSL_cleanse(t->keys, sizeof(t->keys));
	memcpy(t->keys, keys, count * sizeof(*keys));
	t->count = count;
	(void)pthread_rwlock_unlock(&t->lock);
	return 0;
}

/* --- In handshakes ------------------------------------------------------ */

static void wipe_key(struct tcp_tls_ticket_key *key)
{
	OPENSSL_cleanse(key, sizeof(*key));
}

/* Copies the key of a name, NULL: the first.  Returns its place or -ENOENT. */
static int copy_key(struct tls_tickets *t, const uint8_t *name,
		    struct tcp_tls_ticket_key *ret)
{
	int at = -ENOENT;

	(void)pthread_rwlock_rdlock(&t->lock);
	for (size_t i = 0; i < t->count && at < 0; i++) {
		if (!name || memcmp(t->keys[i].name, name, NAME_LEN) == 0)
			at = (int)i;
	}
	if (at >= 0)
		*ret = t->keys[at];
	(void)pthread_rwlock_unlock(&t->lock);
	return at;
}

static bool set_mac(EVP_MAC_CTX *mac, struct tcp_tls_ticket_key *key)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->hmac,
						  sizeof(key->hmac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
						 (char *)"SHA256", 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int encrypt(struct tls_tickets *t, uint8_t *name, uint8_t *iv,
		   EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	CLEANUP(wipe_key) struct tcp_tls_ticket_key key;

	(void)copy_key(t, NULL, &key);
	memcpy(name, key.name, NAME_LEN);
	if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(t->aes)) != 1 ||
	    EVP_EncryptInit_ex2(cipher, t->aes, key.aes, iv, NULL) != 1 ||
	    !set_mac(mac, &key))
		return -1;
	return 1;
}

/*
 * 0: nobody's ticket, a full handshake; 2: fine, but it is to be renewed.  In
 * TLS 1.3 they all are, since a client uses each but once (RFC 8446 §C.4).
 */
static int decrypt(struct tls_tickets *t, const SSL *ssl, const uint8_t *name,
		   const uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	CLEANUP(wipe_key) struct tcp_tls_ticket_key key;
	int at = copy_key(t, name, &key);

	if (at < 0)
		return 0;
	if (EVP_DecryptInit_ex2(cipher, t->aes, key.aes, iv, NULL) != 1 ||
	    !set_mac(mac, &key))
		return -1;
	return at > 0 || SSL_version(ssl) >= TLS1_3_VERSION ? 2 : 1;
}

static int crypt_ticket(SSL *ssl, uint8_t *name, uint8_t *iv,
			EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int making)
{
	struct tls_tickets *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	return making ? encrypt(t, name, iv, cipher, mac)
		      : decrypt(t, ssl, name, iv, cipher, mac);
}

/*
 * A ticket carries the client's certificate, and in TLS 1.3 each resumption
 * makes a new ticket: without this a certificate would live on in a chain of
 * them after its last day.
 */
static SSL_TICKET_RETURN look_at_session(SSL *ssl UNUSED, SSL_SESSION *session,
					 const uint8_t *name UNUSED,
					 size_t name_len UNUSED,
					 SSL_TICKET_STATUS status,
					 void *arg UNUSED)
{
	X509 *peer;

	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	peer = SSL_SESSION_get0_peer(session);
	if (peer && X509_cmp_current_time(X509_get0_notAfter(peer)) <= 0)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE
					    : SSL_TICKET_RETURN_USE_RENEW;
}

int tls_tickets_attach(struct tls_tickets *t, SSL_CTX *ctx)
{
	if (SSL_CTX_set_app_data(ctx, t) != 1 ||
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, crypt_ticket) != 1 ||
	    SSL_CTX_set_session_ticket_cb(ctx, NULL, look_at_session, NULL) !=
		    1)
		return -ENOMEM;
	return 0;
}
