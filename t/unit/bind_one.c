/*
 * A protocol that does as it is told, the proxy, and whoever comes.
 */
#include "t/unit/bind_one.h"

#include "core/conn.h"
#include "core/sock.h"
#include "t/unit/on_loop.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct proxy_options bind_options;
struct rule_spec bind_spec[3];
size_t bind_spec_count;
struct request *bind_rq;
int bind_client;

static struct outbound_source sources[1];
static struct proxy *proxy;
static struct proxy_listener listener = { .number = 1 };
static struct rules *rules;
static struct policy *policy;
static struct rule_match anywhere[2];

/* --- A protocol that does as it is told --------------------------------- */

struct bind_told bind_told;

static int grant(struct request *r)
{
	bind_told.bound = r->bound;
	bind_told.grants++;
	if (bind_told.result == 0 && bind_told.then)
		bind_told.then();
	return bind_told.result;
}

struct proxy_protocol bind_protocol = { .number = PROTOCOL_SOCKS5,
					.grant = grant };

/* --- The proxy ---------------------------------------------------------- */

struct tcp_addr bind_addr(const char *text)
{
	struct tcp_addr a;

	ck_assert_int_eq(tcp_addr_parse(&a, text, 0), 0);
	return a;
}

/* Allows all, loopback too; what a test wants goes before. */
static void make_rules(void)
{
	anywhere[0] = (struct rule_match){ .type = RULE_MATCH_CLASS };
	anywhere[1] = anywhere[0];
	ck_assert_int_eq(addr_class_parse(&anywhere[0].class, "any"), 0);
	ck_assert_int_eq(addr_class_parse(&anywhere[1].class, "loopback"), 0);
	bind_spec[bind_spec_count++] = (struct rule_spec){ .allow = true,
							   .to = anywhere,
							   .to_count = 2 };
	ck_assert_int_eq(
		rules_new(&rules, NULL, 0, bind_spec, bind_spec_count, NULL),
		0);
}

void bind_setup(void)
{
	bind_options = (struct proxy_options){
		.workers = 1,
		.max_sessions = 4,
		.names = { .max_pending = 4 },
		.timeouts = { .handshake_ms = SOON_MS,
			      .name_ms = SOON_MS,
			      .bind_ms = SOON_MS },
	};
}

void bind_begin(const char *dst)
{
	int pair[2];

	bind_told.grants = 0;
	make_rules();
	ck_assert_int_eq(policy_new(&policy, rules, NULL), 0);
	bind_options.policy = policy;
	ck_assert_int_eq(proxy_new(&proxy, &bind_options), 0);
	ck_assert_int_eq(proxy_worker_start(proxy, 0), 0);
	listener.proxy = proxy;
	tcp_pair(pair, 0);
	bind_client = pair[0];
	bind_rq = calloc(1, sizeof(*bind_rq));
	ck_assert_ptr_nonnull(bind_rq);
	bind_rq->client = conn_of(pair[1]);
	bind_rq->here = proxy_here();
	bind_rq->listener = &listener;
	bind_rq->protocol = &bind_protocol;
	bind_rq->session = sessions_open(proxy->sessions, 0);
	bind_rq->command = COMMAND_BIND;
	ck_assert_int_eq(sock_local(pair[0], &bind_rq->client->peer), 0);
	if (strchr(dst, ':')) {
		bind_rq->target = bind_addr(dst);
		bind_rq->port = bind_rq->target.port;
	} else {
		(void)snprintf(bind_rq->host, sizeof(bind_rq->host), "%s", dst);
	}
}

void bind_end(void)
{
	if (bind_rq->server)
		tcp_conn_close(bind_rq->server);
	tcp_conn_close(bind_rq->client);
	sessions_close(proxy->sessions, bind_rq->session);
	free(bind_rq);
	close_fd(&bind_client);
	proxy_worker_stop(proxy, 0);
	proxy_free(proxy);
	policy_unref(policy);
	bind_spec_count = 0;
}

void bind_set_source(const char *text)
{
	sources[0].addr = bind_addr(text);
	bind_options.outbound.sources = sources;
	bind_options.outbound.source_count = 1;
}

/* --- Somebody comes ----------------------------------------------------- */

int bind_peer = -1;
const char *bind_from; /* the address that he comes from */

/* NULL: from whatever address leads there. */
int bind_come_from(const char *ip)
{
	int fd = sock_stream(bind_rq->session->bound.family);
	struct tcp_addr source;
	int r;

	ck_assert_int_ge(fd, 0);
	if (ip) {
		source = bind_addr(ip);
		ck_assert_int_eq(sock_bind_source(fd, &source), 0);
	}
	r = sock_connect(fd, &bind_rq->session->bound);
	ck_assert(r == 0 || r == -EINPROGRESS);
	return fd;
}

void bind_come(void)
{
	if (bind_told.grants == 1)
		bind_peer = bind_come_from(bind_from);
}

static void expect_bound(const struct tcp_addr *a)
{
	ck_assert(addr_equal(&bind_told.bound, a));
}

void bind_expect_let_in(void)
{
	struct tcp_addr a;

	ck_assert_uint_eq(bind_told.grants, 1);
	ck_assert(bind_rq->granted);
	ck_assert_ptr_nonnull(bind_rq->server);
	ck_assert_int_eq(sock_local(bind_peer, &a), 0);
	/* What the second reply is to tell. */
	ck_assert(addr_equal(&bind_rq->bound, &a));
	ck_assert(addr_equal(&bind_rq->session->target, &a));
	ck_assert_int_eq(tcp_conn_local(bind_rq->server, &a), 0);
	ck_assert(addr_equal(&bind_rq->session->bound, &a));
	ck_assert_int_eq(send(bind_peer, pattern(0), 100, MSG_NOSIGNAL), 100);
	conn_expect(bind_rq->server, 0, 100);
}

/* All of one in which somebody is let in. */
void bind_succeed(const char *dst, const char *whom)
{
	struct tcp_addr listens;

	bind_from = whom;
	bind_told.then = bind_come;
	bind_begin(dst);
	ck_assert_int_eq(request_bind(bind_rq), OUTCOME_NONE);
	bind_expect_let_in();
	listens = bind_rq->session->bound;
	expect_bound(&listens);
	bind_end();
	close_fd(&bind_peer);
}
