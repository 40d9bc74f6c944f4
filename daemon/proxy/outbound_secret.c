/*
 * What choices per client are made by.  machine-id(5) says that it must not be
 * shown to others as it is, so it is hashed; without it nobody can find out
 * from a source which client it stands for.
 */
#include "daemon/proxy/outbound.h"

#include <fcntl.h>

#define MACHINE_ID "/etc/machine-id"
#define ID_BYTES   32 /* in hexadecimal digits */

/* Returns whether there is one. */
static bool read_machine_id(uint8_t ret[ID_BYTES])
{
	CLEANUP(close_fd) int fd = open(MACHINE_ID, O_RDONLY | O_CLOEXEC);
	size_t len = 0;

	while (fd >= 0 && len < ID_BYTES) {
		ssize_t n = read(fd, ret + len, ID_BYTES - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		len += (size_t)n;
	}
	return fd >= 0;
}

int outbound_secret(struct siphash_key *ret)
{
	/* "spliced outbound", and the same with its halves exchanged. */
	static const struct siphash_key ours[2] = {
		{ { 0x20646563696c7073, 0x646e756f6274756f } },
		{ { 0x646e756f6274756f, 0x20646563696c7073 } },
	};
	uint8_t id[ID_BYTES];

	if (!read_machine_id(id))
		return siphash_key_draw(ret);
	for (int i = 0; i < 2; i++)
		ret->k[i] = siphash(&ours[i], id, sizeof(id));
	return 0;
}
