#include "daemon/access_line.h"

void access_put_number(struct access_line *l, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	access_put_bytes(l, digits + at, sizeof(digits) - at);
}

void access_put_address(struct access_line *l, const struct tcp_addr *a)
{
	char text[TCPSERVER_ADDR_STRLEN];

	if (a->family != AF_INET) {
		access_put(l, tcp_addr_format(a, text, sizeof(text)));
		return;
	}
	for (size_t i = 12; i < 16; i++) {
		access_put_number(l, a->ip[i]);
		access_put(l, i < 15 ? "." : ":");
	}
	access_put_number(l, a->port);
}

struct span access_host(const struct session *s)
{
	return (struct span){ (const uint8_t *)s->host,
			      min_size(s->host_len, SESSION_HOST_BYTES) };
}

uint64_t access_duration_ms(const struct session *s)
{
	return (uint64_t)max_i64(s->ended_ms - s->started_ms, 0);
}
