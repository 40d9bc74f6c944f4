/*
 * What a DNS reply says about one name and one address family, taken out of
 * the message.  Nothing here does I/O.
 */
#pragma once

#include "core/base.h"

#include <sys/socket.h>

/* Addresses that are kept of one reply; the others are not looked at. */
#define DNS_REPLY_MAX 16

struct dns_reply {
	/*
	 * 0; -ENOENT: the name does not exist or has no such address;
	 * -ETIMEDOUT: no server spoke; -EIO: the servers failed or what they
	 * said makes no sense; -ENOMEM; -EINVAL: DNS cannot ask for the name;
	 * -ECANCELED: the channel was closed; other -errno: no socket.
	 */
	int error;
	int64_t ttl_s;  /* how long this holds; -1: the reply does not say */
	unsigned count; /* of addresses; 0 with an error */
	uint8_t ip[DNS_REPLY_MAX][16]; /* 4 or 16 bytes of each */
};

/*
 * Fills *ret from the ARES_* status of a question for the addresses of
 * `family` and from the message that came with it, if one did.
 */
void dns_reply_read(struct dns_reply *ret, sa_family_t family, int ares_status,
		    struct span message);

/*
 * Finds how long a negative reply holds: the lesser of the TTL and the MINIMUM
 * of the SOA record in its authority section (RFC 2308 §5), in seconds.
 * -ENOENT: there is no such record; -EBADMSG: the message is cut or broken.
 */
int64_t dns_negative_ttl(struct span message) MUST_CHECK;
