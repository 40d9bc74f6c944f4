/*
 * c-ares parses address records; the SOA record of a negative reply it leaves
 * to us.  That walk follows no compression pointer, so it cannot loop.
 */
#include "core/dns_reply.h"

#include <ares.h>
#include <arpa/inet.h>
#include <string.h>

/* RFC 1035 §4.1 */
#define HEADER_SIZE   12
#define TYPE_SOA      6
#define CLASS_IN      1
#define LABEL_KIND    0xc0
#define LABEL_POINTER 0xc0
#define RECORD_SIZE   10 /* TYPE CLASS TTL RDLENGTH */
#define SOA_NUMBERS   20 /* SERIAL REFRESH RETRY EXPIRE MINIMUM */
#define SOA_MINIMUM   16
#define TTL_MAX       INT32_MAX

/* --- The authority section ---------------------------------------------- */

/* Moves the start of `s` forward; false if it is shorter than that. */
static bool skip(struct span *s, size_t len)
{
	if (s->len < len)
		return false;
	s->at += len;
	s->len -= len;
	return true;
}

/* Skips a name: labels up to the root or to a pointer. */
static bool skip_name(struct span *s)
{
	while (s->len > 0) {
		uint8_t head = s->at[0];

		if ((head & LABEL_KIND) == LABEL_POINTER)
			return skip(s, 2);
		if (head & LABEL_KIND || !skip(s, (size_t)head + 1))
			return false;
		if (head == 0)
			return true;
	}
	return false;
}

/* RFC 2181 §8: a TTL with its highest bit set is to be read as zero. */
static uint32_t get_ttl(const uint8_t *p)
{
	uint32_t ttl = get_be32(p);

	return ttl > TTL_MAX ? 0 : ttl;
}

/* Skips a record; *ret_type is its type, or 0 if it is not of class IN. */
static bool take_record(struct span *s, uint16_t *ret_type, uint32_t *ret_ttl,
			struct span *ret_rdata)
{
	if (!skip_name(s) || s->len < RECORD_SIZE)
		return false;
	*ret_type = get_be16(s->at + 2) == CLASS_IN ? get_be16(s->at) : 0;
	*ret_ttl = get_ttl(s->at + 4);
	ret_rdata->len = get_be16(s->at + 8);
	ret_rdata->at = s->at + RECORD_SIZE;
	return skip(s, RECORD_SIZE + ret_rdata->len);
}

static int64_t soa_ttl(struct span rdata, uint32_t ttl)
{
	uint32_t minimum;

	if (!skip_name(&rdata) || !skip_name(&rdata) ||
	    rdata.len != SOA_NUMBERS)
		return -EBADMSG;
	minimum = get_ttl(rdata.at + SOA_MINIMUM);
	return minimum < ttl ? minimum : ttl;
}

int64_t dns_negative_ttl(struct span message)
{
	struct span s = message, rdata;
	unsigned questions, answers, authorities;
	uint16_t type;
	uint32_t ttl;

	if (!skip(&s, HEADER_SIZE))
		return -EBADMSG;
	questions = get_be16(message.at + 4);
	answers = get_be16(message.at + 6);
	authorities = get_be16(message.at + 8);
	while (questions-- > 0)
		if (!skip_name(&s) || !skip(&s, 4))
			return -EBADMSG;
	while (answers-- > 0)
		if (!take_record(&s, &type, &ttl, &rdata))
			return -EBADMSG;
	while (authorities-- > 0) {
		if (!take_record(&s, &type, &ttl, &rdata))
			return -EBADMSG;
		if (type == TYPE_SOA)
			return soa_ttl(rdata, ttl);
	}
	return -ENOENT;
}

/* --- The whole reply ---------------------------------------------------- */

static int error_of_status(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return 0;
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
		return -ENOENT;
	case ARES_ETIMEOUT:
		return -ETIMEDOUT;
	case ARES_ENOMEM:
		return -ENOMEM;
	case ARES_EBADNAME:
		return -EINVAL;
	case ARES_ECANCELLED:
	case ARES_EDESTRUCTION:
		return -ECANCELED;
	default:
		return -EIO;
	}
}

static void add(struct dns_reply *r, const void *ip, size_t size, int ttl)
{
	memcpy(r->ip[r->count], ip, size);
	if (r->count == 0 || ttl < r->ttl_s)
		r->ttl_s = max_i64(ttl, 0);
	r->count++;
}

static int read_v4(struct dns_reply *r, struct span message)
{
	struct ares_addrttl a[DNS_REPLY_MAX];
	int count = DNS_REPLY_MAX;
	int status = ares_parse_a_reply(message.at, (int)message.len, NULL, a,
					&count);

	for (int i = 0; status == ARES_SUCCESS && i < count; i++)
		add(r, &a[i].ipaddr, 4, a[i].ttl);
	return status;
}

static int read_v6(struct dns_reply *r, struct span message)
{
	struct ares_addr6ttl a[DNS_REPLY_MAX];
	int count = DNS_REPLY_MAX;
	int status = ares_parse_aaaa_reply(message.at, (int)message.len, NULL,
					   a, &count);

	for (int i = 0; status == ARES_SUCCESS && i < count; i++)
		add(r, &a[i].ip6addr, 16, a[i].ttl);
	return status;
}

void dns_reply_read(struct dns_reply *ret, sa_family_t family, int ares_status,
		    struct span message)
{
	*ret = (struct dns_reply){ .ttl_s = -1 };
	if (ares_status == ARES_SUCCESS)
		ares_status = family == AF_INET ? read_v4(ret, message)
						: read_v6(ret, message);
	/* A chain of aliases that ends in nothing is a success to c-ares. */
	if (ares_status == ARES_SUCCESS && ret->count == 0)
		ares_status = ARES_ENODATA;
	ret->error = error_of_status(ares_status);
	if (ret->error == -ENOENT)
		ret->ttl_s = max_i64(dns_negative_ttl(message), -1);
}
