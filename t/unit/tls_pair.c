/*
 * Handshakes between two connections of one thread.
 */
#include "t/unit/tls_pair.h"

#include "core/tls_conn.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tls_files.h"

#include <netinet/tcp.h>

static int newest; /* that clients speak; 0: what they like */

void on_loop_tls(int version, void (*body)(void), const struct net_options *o)
{
	newest = version;
	on_loop(body, o);
}

void add_for_versions(TCase *t, const TTest *test)
{
	tcase_add_loop_test(t, test, TCPSERVER_TLS_1_2, TCPSERVER_TLS_1_3 + 1);
}

static void shake(void *arg)
{
	struct handshake *h = arg;

	h->result = tcp_conn_start_tls(h->c, h->context, h->name, h->deadline);
	h->task = NULL;
}

void handshake_start(struct handshake *h, struct tcp_conn *c,
		     struct tcp_tls *context, const char *name)
{
	*h = (struct handshake){ .c = c,
				 .context = context,
				 .name = name,
				 .deadline = deadline_in(SOON_MS) };
	if (tls_is_client(context))
		ck_assert(SSL_CTX_set_max_proto_version(tls_ssl_ctx(context),
							newest));
	ck_assert_int_eq(task_start(shake, h, &h->task), 0);
}

int handshake_finish(struct handshake *h)
{
	int64_t until = deadline_in(SOON_MS);

	while (h->task && deadline_in(0) < until)
		nap(1);
	ck_assert_msg(!h->task, "the handshake goes on");
	return h->result;
}

void tls_pair_connect(struct tls_pair *p, int buffer)
{
	int fd[2];

	tcp_pair(fd, buffer);
	p->client = conn_of(fd[0]);
	p->server = conn_of(fd[1]);
}

void tls_pair_begin(struct tls_pair *p, struct tcp_tls *client,
		    struct tcp_tls *server, int result[2])
{
	struct handshake h[2];

	handshake_start(&h[0], p->client, client, "a.test");
	handshake_start(&h[1], p->server, server, NULL);
	result[0] = handshake_finish(&h[0]);
	result[1] = handshake_finish(&h[1]);
}

void tls_pair_open(struct tls_pair *p, const struct tcp_tls_options *client,
		   const struct tcp_tls_options *server, int buffer)
{
	struct tcp_tls *c = tls_files_client(client);
	struct tcp_tls *s = tls_files_server(server);
	int result[2];

	tls_pair_connect(p, buffer);
	tls_pair_begin(p, c, s, result);
	tcp_tls_unref(c);
	tcp_tls_unref(s);
	ck_assert_msg(result[0] == 0, "client: %s",
		      tcp_conn_tls_error(p->client));
	ck_assert_msg(result[1] == 0, "server: %s",
		      tcp_conn_tls_error(p->server));
}

void tls_pair_close(struct tls_pair *p)
{
	if (p->client)
		tcp_conn_close(TAKE_PTR(p->client));
	if (p->server)
		tcp_conn_close(TAKE_PTR(p->server));
}

static void run_sender(void *arg)
{
	struct sender *s = arg;

	conn_send(s->to, s->from, s->len);
	s->done = true;
}

void sender_start_tls(struct sender *s)
{
	ck_assert_int_eq(task_start(run_sender, s, NULL), 0);
}

static void set_nodelay(struct tcp_conn *c)
{
	int on = 1;

	ck_assert_int_eq(setsockopt(tcp_conn_fd(c), IPPROTO_TCP, TCP_NODELAY,
				    &on, sizeof(on)),
			 0);
}

void tunnel_nodelay(struct tunnel *t)
{
	set_nodelay(t->client);
	set_nodelay(t->target);
	set_nodelay(t->side[0]);
	set_nodelay(t->side[1]);
}

SSL *ssl_of(struct tcp_conn *c)
{
	return c->tls->ssl;
}
