/*
 * Making tunnels and waiting for their ends.
 */
#include "t/unit/tunnel.h"

#include "core/conn.h"
#include "core/sock.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <fcntl.h>

static void note_progress(void *ctx, const struct tcp_relay_count *n)
{
	struct tunnel *t = ctx;

	t->count = *n;
	t->progress_told++;
}

static void note_end(void *ctx, enum tcp_relay_end end, int error,
		     const struct tcp_relay_count *n)
{
	struct tunnel *t = ctx;

	ck_assert_msg(t->relay, "it ended twice");
	t->relay = NULL;
	t->end = end;
	t->error = error;
	t->count = *n;
}

static const struct tcp_relay_events events = { .progress = note_progress,
						.ended = note_end };

void tunnel_connect(struct tunnel *t, int buffer)
{
	int client[2], target[2];

	tcp_pair(client, buffer);
	tcp_pair(target, buffer);
	*t = (struct tunnel){
		.client = conn_of(client[0]),
		.target = conn_of(target[1]),
		.side = { conn_of(client[1]), conn_of(target[0]) },
	};
}

void tunnel_start(struct tunnel *t, const struct tcp_relay_options *o)
{
	struct tcp_relay_options mine = *o;

	mine.events = &events;
	mine.ctx = t;
	ck_assert_int_eq(
		tcp_relay_start(t->side[0], t->side[1], &mine, &t->relay), 0);
}

void tunnel_open(struct tunnel *t, const struct tcp_relay_options *o,
		 int buffer)
{
	tunnel_connect(t, buffer);
	tunnel_start(t, o);
}

void tunnel_expect(struct tunnel *t, enum tcp_relay_end end)
{
	int64_t until = deadline_in(SOON_MS);

	while (t->relay && deadline_in(0) < until)
		nap(1);
	ck_assert_msg(!t->relay, "the relay goes on");
	ck_assert_int_eq(t->end, end);
}

void tunnel_drop(struct tcp_conn **c, bool reset)
{
	struct tcp_conn *dropped = TAKE_PTR(*c);

	if (!dropped)
		return;
	if (reset)
		tcp_conn_set_reset(dropped);
	tcp_conn_close(dropped);
}

void tunnel_close(struct tunnel *t)
{
	ck_assert_ptr_null(t->relay);
	tunnel_drop(&t->client, false);
	tunnel_drop(&t->target, false);
}

static void run_sender(void *arg)
{
	struct sender *s = arg;
	int fd = fcntl(tcp_conn_fd(s->to), F_DUPFD_CLOEXEC, 0);
	struct tcp_conn *own;

	/* One task at a time may wait for a connection. */
	ck_assert_int_ge(fd, 0);
	own = conn_of(fd);
	conn_send(own, s->from, s->len);
	/* The close alone would leave it in epoll: it has a twin. */
	watch_remove(loop_self(), &own->watch);
	tcp_conn_close(own);
	s->done = true;
}

void sender_start(struct sender *s)
{
	ck_assert_int_eq(task_start(run_sender, s, NULL), 0);
}

void sender_finish(struct sender *s)
{
	int64_t until = deadline_in(SOON_MS);

	while (!s->done && deadline_in(0) < until)
		nap(1);
	ck_assert(s->done);
}

void conn_flushed(struct tcp_conn *c)
{
	int64_t until = deadline_in(SOON_MS);

	while (sock_unsent(tcp_conn_fd(c)) > 0 && deadline_in(0) < until)
		nap(1);
	ck_assert_int_eq(sock_unsent(tcp_conn_fd(c)), 0);
}
