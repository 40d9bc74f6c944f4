/*
 * The first error of OpenSSL's queue is the cause; those behind it say through
 * which functions it went.
 */
#include "core/tls_error.h"

#include "core/tls.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SYSTEM_TEXT_SIZE 64

static void put_reason(unsigned long error, char *out, size_t size)
{
	char system[SYSTEM_TEXT_SIZE];
	const char *text = ERR_reason_error_string(error);

	if (!text && ERR_SYSTEM_ERROR(error))
		text = strerror_r(ERR_GET_REASON(error), system,
				  sizeof(system));
	if (text)
		(void)snprintf(out, size, "%s", text);
	else
		(void)snprintf(out, size, "error %lx", error);
}

/* Returns the error that the text is about, 0: none. */
static unsigned long take_error(char *out, size_t size)
{
	unsigned long error = ERR_get_error();

	if (size > 0)
		out[0] = '\0';
	if (error)
		put_reason(error, out, size);
	ERR_clear_error();
	return error;
}

void tls_error_text(char *out, size_t size)
{
	(void)take_error(out, size);
}

void tls_failure_text(const SSL *ssl, char *out, size_t size)
{
	unsigned long error = take_error(out, size);
	size_t used;

	if (ERR_GET_LIB(error) != ERR_LIB_SSL ||
	    ERR_GET_REASON(error) != SSL_R_CERTIFICATE_VERIFY_FAILED ||
	    size == 0)
		return;
	used = strlen(out);
	(void)snprintf(
		out + used, size - used, ": %s",
		X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
}

int tls_why_say(const struct tls_why *w, int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(w->text, w->size, format, args);
	va_end(args);
	return r;
}

int tls_why_openssl(const struct tls_why *w, const char *format, ...)
{
	char reason[128];
	unsigned long error = take_error(reason, sizeof(reason));
	size_t used;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(w->text, w->size, format, args);
	va_end(args);
	if (error && w->size > 0) {
		used = strlen(w->text);
		(void)snprintf(w->text + used, w->size - used, ": %s", reason);
	}
	return ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE ? -ENOMEM
							     : -EINVAL;
}
