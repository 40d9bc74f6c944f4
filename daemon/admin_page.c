/*
 * The status page and the program for browsers.  The page is one file that
 * becomes part of this object; what it may do is said by the digests of its
 * own script and style, so that text which got into it could do nothing.
 */
#include "daemon/admin_pages.h"

#include "daemon/pac.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* Found beside the Makefile, which knows that this object depends on it. */
__asm__(".pushsection .rodata\n"
	".global admin_page_text\n"
	".hidden admin_page_text\n"
	"admin_page_text:\n"
	".incbin \"daemon/page.html\"\n"
	".byte 0\n"
	".popsection\n");

extern const char admin_page_text[];

#define SHA256_BYTES 32
#define DIGEST_BYTES 64 /* "'sha256-", base64, "'" */

/* --- The page ------------------------------------------------------------ */

/* What a policy calls the content of the only element <NAME>.  -errno. */
static int digest_of(char out[DIGEST_BYTES], const char *first,
		     const char *last)
{
	uint8_t hash[SHA256_BYTES];
	char base64[SHA256_BYTES * 4 / 3 + 6]; /* padded, terminated */
	const char *from = strstr(admin_page_text, first), *to;

	from = from ? from + strlen(first) : NULL;
	to = from ? strstr(from, last) : NULL;
	if (!to)
		return -EBADMSG;
	if (EVP_Digest(from, (size_t)(to - from), hash, NULL, EVP_sha256(),
		       NULL) != 1)
		return -ENOMEM;
	(void)EVP_EncodeBlock((uint8_t *)base64, hash, sizeof(hash));
	(void)snprintf(out, DIGEST_BYTES, "'sha256-%s'", base64);
	return 0;
}

int admin_make_page(struct admin_answer *a)
{
	char script[DIGEST_BYTES], style[DIGEST_BYTES];
	int r = digest_of(script, "<script>", "</script>");

	if (r == 0)
		r = digest_of(style, "<style>", "</style>");
	if (r < 0)
		return r;
	(void)snprintf(a->policy_text, sizeof(a->policy_text),
		       "default-src 'none'; script-src %s; style-src %s; "
		       "connect-src 'self'; base-uri 'none'; form-action "
		       "'none'; frame-ancestors 'none'; "
		       "require-trusted-types-for 'script'; trusted-types "
		       "'none'",
		       script, style);
	a->policy = a->policy_text;
	return fputs(admin_page_text, a->body) < 0 ? -ENOMEM : 0;
}

/* --- The program --------------------------------------------------------- */

/* NULL: no memory. */
static struct pac_address *addresses_of(const struct listening *l,
					size_t *ret_count)
{
	struct pac_address *at = calloc(max_size(l->count, 1), sizeof(*at));
	size_t count = 0;

	for (size_t i = 0; at && i < l->count; i++)
		if (l->entries[i].open && !l->entries[i].endpoint->socket)
			at[count++] = (struct pac_address){
				l->entries[i].listener, l->entries[i].addr
			};
	*ret_count = count;
	return at;
}

int admin_make_pac(struct admin_answer *a)
{
	struct pac_address *at;
	size_t count;
	int r;

	admin_lock(a->admin);
	at = addresses_of(a->admin->proxy, &count);
	admin_unlock(a->admin);
	if (!at)
		return -ENOMEM;
	r = pac_write(a->body, &a->admin->setup->conf->admin, at, count,
		      a->host);
	free(at);
	if (r != -ENOENT)
		return r;
	a->status = 404;
	a->type = "text/plain; charset=utf-8";
	return fputs("no listener can be reached by a browser that calls this "
		     "machine so; see pac_host in spliced.conf(5)\n",
		     a->body) < 0
		       ? -ENOMEM
		       : 0;
}
