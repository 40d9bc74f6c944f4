/*
 * Making and closing of what a passive open needs.
 */
#include "t/unit/waiting.h"

#include "t/unit/on_loop.h"
#include "t/unit/tcp_pair.h"

#include <check.h>

struct tcp_dial_options passive_options;
struct passive passive;
struct passive_wish wish;
uint16_t unwanted;
unsigned asked;
struct tcp_addr local;
struct tcp_conn *beside;
int beside_far;

static bool wants(void *ctx, const struct tcp_addr *peer)
{
	ck_assert_ptr_eq(ctx, &asked);
	asked++;
	return addr_is_loopback(peer) && peer->port != unwanted;
}

void waiting_begin(void)
{
	int pair[2];

	tcp_pair(pair, 0);
	beside_far = pair[0];
	beside = conn_of(pair[1]);
	ck_assert_int_eq(tcp_addr_parse(&local, "127.0.0.1:0", -1), 0);
	wish = (struct passive_wish){ .wants = wants,
				      .ctx = &asked,
				      .max_strangers = 64,
				      .beside = beside };
	ck_assert_int_eq(passive_open(&passive, &local, &passive_options), 0);
	ck_assert(addr_same_ip(&passive.addr, &local));
	ck_assert_uint_ne(passive.addr.port, 0);
}

void waiting_end(void)
{
	passive_close(&passive);
	tcp_conn_close(beside);
	close_fd(&beside_far);
}

int wait_ms(struct tcp_conn **ret, int64_t ms)
{
	return passive_wait(&passive, ret, &wish, deadline_in(ms));
}

/* Why nobody was let in. */
int wait_in_vain(int64_t ms)
{
	struct tcp_conn *c = NULL;
	int r = wait_ms(&c, ms);

	ck_assert_ptr_null(c);
	return r;
}
