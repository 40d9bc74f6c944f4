#include "daemon/proxy/password.h"

#include "daemon/proxy/secret.h"

#include <crypt.h>
#include <string.h>

/* What mkpasswd(1) writes today. */
const char password_decoy[] =
	"$y$j9T$abcdefghijklmnop$xxI14acrF4kcY59GsyqJ1DqdhVdc9N0f1.omTKnq.61";

/* Looks at all of both, so that the time does not tell where they differ. */
static bool hashes_are_equal(const char *a, const char *b)
{
	size_t len = strlen(a);
	unsigned differ = len != strlen(b);

	for (size_t i = 0; i < len && b[i]; i++)
		differ |= (unsigned char)a[i] ^ (unsigned char)b[i];
	return !differ;
}

int password_check(const char *password, const char *hash)
{
	struct crypt_data *room = secret_new(sizeof(*room));
	const char *got;
	int r = -EACCES;

	if (!room)
		return -ENOMEM;
	got = crypt_rn(password, hash, room, sizeof(*room));
	if (!got && errno == ENOMEM)
		r = -ENOMEM;
	else if (got && hashes_are_equal(got, hash))
		r = 0;
	secret_free(room, sizeof(*room));
	return r;
}
