/*
 * c-ares on the loop.
 *
 * Its system calls are ours (ares_set_socket_functions): the sockets are born
 * with their flags, a lost TCP connection raises no SIGPIPE, and a socket that
 * could not be had is seen, where c-ares would only say "refused".
 */
#include "core/dns_channel.h"

#include "core/host_name.h"
#include "core/list.h"

#include <ares.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

/* Asking c-ares for its next timeout walks all of its questions. */
#define TICK_MIN_MS 10

/* One socket of c-ares's. */
struct dns_socket {
	struct list entry;
	struct watch watch;
	struct dns_channel *channel;
	bool watched;
};

/* What c-ares holds on to for a question; freed by its callback. */
struct dns_flight {
	struct dns_question *question; /* NULL: forgotten */
	struct dns_channel *channel;
	sa_family_t family;
};

struct dns_channel {
	struct loop *loop;
	ares_channel ares;
	struct ares_options settings; /* what came of resolv.conf */
	struct list sockets;
	struct timer timer;
	int64_t due; /* while the timer is armed */
	size_t load, streak;
	int socket_error; /* of the last socket(2), negative */
};

/* --- System calls ------------------------------------------------------- */

static struct dns_socket *find_socket(struct dns_channel *c, int fd)
{
	struct list *at, *safe;

	list_for_each_safe (at, safe, &c->sockets) {
		struct dns_socket *s = list_entry(at, struct dns_socket, entry);

		if (s->watch.fd == fd)
			return s;
	}
	return NULL;
}

static void process(struct dns_channel *c, int read_fd, int write_fd);

static void notify(struct watch *w)
{
	struct dns_socket *s = container_of(w, struct dns_socket, watch);
	uint32_t failed = w->ready & (EPOLLERR | EPOLLHUP);
	int read_fd = w->ready & EPOLLIN || failed ? w->fd : ARES_SOCKET_BAD;
	int write_fd = w->ready & EPOLLOUT || failed ? w->fd : ARES_SOCKET_BAD;

	w->ready = 0; /* level-triggered: what is left comes again */
	process(s->channel, read_fd, write_fd);
}

static ares_socket_t open_socket(int family, int type, int protocol, void *arg)
{
	struct dns_channel *c = arg;
	struct dns_socket *s = calloc(1, sizeof(*s));

	if (!s) {
		c->socket_error = -ENOMEM;
		errno = ENOMEM;
		return ARES_SOCKET_BAD;
	}
	s->watch.notify = notify;
	s->channel = c;
	s->watch.fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK,
			     protocol);
	if (s->watch.fd < 0) {
		c->socket_error = -errno;
		free(s);
		errno = -c->socket_error;
		return ARES_SOCKET_BAD;
	}
	c->socket_error = 0;
	list_append(&c->sockets, &s->entry);
	return s->watch.fd;
}

static int close_socket(ares_socket_t fd, void *arg)
{
	struct dns_channel *c = arg;
	struct dns_socket *s = find_socket(c, fd);

	ASSERT(s);
	if (s->watched)
		watch_remove(c->loop, &s->watch);
	list_remove(&s->entry);
	close_fd(&s->watch.fd);
	free(s);
	return 0;
}

static int connect_socket(ares_socket_t fd, const struct sockaddr *sa,
			  ares_socklen_t len, void *arg UNUSED)
{
	return connect(fd, sa, len);
}

static ares_ssize_t receive(ares_socket_t fd, void *buf, size_t len, int flags,
			    struct sockaddr *sa, ares_socklen_t *sa_len,
			    void *arg UNUSED)
{
	return recvfrom(fd, buf, len, flags, sa, sa_len);
}

static ares_ssize_t send_all(ares_socket_t fd, const struct iovec *iov,
			     int count, void *arg UNUSED)
{
	struct msghdr m = {
		.msg_iov = (struct iovec *)iov,
		.msg_iovlen = (size_t)count,
	};

	ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL);

	/*
	 * What was refused is an earlier datagram.  c-ares would fail only the
	 * question at hand and let the other one time out; sent again, this
	 * one meets the same fate and is told of it when the socket is read.
	 */
	if (n < 0 && errno == ECONNREFUSED)
		n = sendmsg(fd, &m, MSG_NOSIGNAL);
	return n;
}

static const struct ares_socket_functions calls = {
	.asocket = open_socket,
	.aclose = close_socket,
	.aconnect = connect_socket,
	.arecvfrom = receive,
	.asendv = send_all,
};

/* What c-ares waits for on a socket has changed; nothing: it is closing. */
static void socket_state(void *arg, ares_socket_t fd, int readable,
			 int writable)
{
	struct dns_channel *c = arg;
	struct dns_socket *s = find_socket(c, fd);
	uint32_t events = (readable ? (uint32_t)EPOLLIN : 0) |
			  (writable ? (uint32_t)EPOLLOUT : 0);

	if (!s)
		return;
	/* One that cannot be watched stays silent, and its timeout tells. */
	if (!events && s->watched) {
		watch_remove(c->loop, &s->watch);
		s->watched = false;
	} else if (events && s->watched) {
		(void)!watch_modify(c->loop, &s->watch, events);
	} else if (events) {
		s->watched = watch_add(c->loop, &s->watch, events) == 0;
	}
}

/* --- Time --------------------------------------------------------------- */

static void arm(struct dns_channel *c, int64_t ms)
{
	int64_t due = loop_now(c->loop) + max_i64(ms, TICK_MIN_MS);

	if (timer_armed(&c->timer) && c->due <= due)
		return;
	/* No memory: whatever happens next tries again. */
	if (timer_set(c->loop, &c->timer, due) == 0)
		c->due = due;
}

/* Lets the timer run while anything is in flight. */
static void arm_next(struct dns_channel *c)
{
	struct timeval next;

	if (c->load == 0)
		timer_stop(c->loop, &c->timer);
	else if (!timer_armed(&c->timer) && ares_timeout(c->ares, NULL, &next))
		arm(c,
		    (int64_t)next.tv_sec * 1000 + (next.tv_usec + 999) / 1000);
}

static void process(struct dns_channel *c, int read_fd, int write_fd)
{
	ares_process_fd(c->ares, read_fd, write_fd);
	arm_next(c);
}

static void tick(struct timer *t)
{
	struct dns_channel *c = container_of(t, struct dns_channel, timer);

	process(c, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

/* --- Life --------------------------------------------------------------- */

static void start_library(void)
{
	(void)ares_library_init(ARES_LIB_INIT_ALL);
}

static int set_servers(struct dns_channel *c, const struct dns_options *o)
{
	struct ares_addr_port_node *nodes = calloc(o->server_count,
						   sizeof(*nodes));
	int status;

	if (!nodes)
		return ARES_ENOMEM;
	for (size_t i = 0; i < o->server_count; i++) {
		const struct tcp_addr *a = &o->servers[i];
		size_t len;
		const uint8_t *ip = addr_bytes(a, &len);

		nodes[i].family = a->family;
		nodes[i].udp_port = nodes[i].tcp_port = a->port ? a->port : 53;
		memcpy(&nodes[i].addr, ip, min_size(len, 16));
		if (i > 0)
			nodes[i - 1].next = &nodes[i];
	}
	status = ares_set_servers_ports(c->ares, nodes);
	free(nodes);
	return status;
}

/* What takes the place of what the file says of incomplete names. */
static int set_search(struct ares_options *a, const struct dns_options *o)
{
	int mask = 0;

	if (o->search_count > 0 || o->no_search) {
		a->domains = (char **)o->search;
		a->ndomains = o->no_search ? 0 : (int)o->search_count;
		mask |= ARES_OPT_DOMAINS;
	}
	if (o->ndots >= 0) {
		a->ndots = o->ndots;
		mask |= ARES_OPT_NDOTS;
	}
	return mask;
}

static int set_up(struct dns_channel *c, const struct dns_options *o)
{
	struct ares_options a = {
		.lookups = (char *)"b", /* never /etc/hosts */
		.sock_state_cb = socket_state,
		.sock_state_cb_data = c,
		.timeout = (int)min_i64(o->timeout_ms, INT32_MAX),
		.tries = o->tries,
		.resolvconf_path = (char *)o->resolv_conf,
	};
	int mask = ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB |
		   set_search(&a, o);
	int status;

	if (o->timeout_ms > 0)
		mask |= ARES_OPT_TIMEOUTMS;
	if (o->tries > 0)
		mask |= ARES_OPT_TRIES;
	if (o->resolv_conf) {
		mask |= ARES_OPT_RESOLVCONF;
	} else if (o->server_count > 0) {
		/* Neither a file nor a domain guessed from our host name. */
		a.resolvconf_path = (char *)"/dev/null";
		mask |= ARES_OPT_RESOLVCONF | ARES_OPT_DOMAINS;
	}
	status = ares_init_options(&c->ares, &a, mask);
	if (status != ARES_SUCCESS)
		return status;
	ares_set_socket_functions(c->ares, &calls, c);
	if (o->server_count > 0)
		status = set_servers(c, o);
	if (status == ARES_SUCCESS)
		status = ares_save_options(c->ares, &c->settings, &mask);
	return status;
}

int dns_channel_new(struct dns_channel **ret, struct loop *l,
		    const struct dns_options *o)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct dns_channel *c = calloc(1, sizeof(*c));
	int status;

	(void)pthread_once(&once, start_library);
	if (!c)
		return -ENOMEM;
	c->loop = l;
	c->timer.fire = tick;
	list_init(&c->sockets);
	status = set_up(c, o);
	if (status != ARES_SUCCESS) {
		dns_channel_free(c);
		return status == ARES_ENOMEM ? -ENOMEM : -EIO;
	}
	*ret = c;
	return 0;
}

void dns_channel_free(struct dns_channel *c)
{
	if (!c)
		return;
	if (c->ares)
		ares_destroy(c->ares);
	ASSERT(c->load == 0 && list_empty(&c->sockets));
	ares_destroy_options(&c->settings);
	timer_stop(c->loop, &c->timer);
	free(c);
}

size_t dns_channel_load(const struct dns_channel *c)
{
	return c->load;
}

size_t dns_channel_streak(const struct dns_channel *c)
{
	return c->streak;
}

/* --- Questions ---------------------------------------------------------- */

static void landed(void *arg, int status, int timeouts UNUSED,
		   unsigned char *message, int len)
{
	struct dns_flight *f = arg;
	struct dns_channel *c = f->channel;
	struct dns_question *q = f->question;
	struct dns_reply reply;

	c->load--;
	if (q) {
		q->flight = NULL;
		dns_reply_read(&reply, f->family, status,
			       (struct span){ message, (size_t)len });
		if (status == ARES_ECONNREFUSED && c->socket_error)
			reply.error = c->socket_error;
	}
	free(f);
	if (q)
		q->answered(q, &reply);
}

int dns_ask(struct dns_channel *c, struct dns_question *q, const char *name,
	    sa_family_t family)
{
	struct dns_flight *f = malloc(sizeof(*f));

	ASSERT(!q->flight);
	if (!f)
		return -ENOMEM;
	*f = (struct dns_flight){ q, c, family };
	q->flight = f;
	c->streak = c->load > 0 ? c->streak + 1 : 1;
	c->load++;
	ares_query(c->ares, name, 1 /* IN */, family == AF_INET ? 1 : 28,
		   landed, f);
	if (c->load > 0)
		arm(c, c->settings.timeout);
	return 0;
}

void dns_forget(struct dns_question *q)
{
	if (q->flight)
		q->flight->question = NULL;
	q->flight = NULL;
}

int dns_search_name(const struct dns_channel *c, const char *name, size_t len,
		    unsigned i, char *ret)
{
	const struct ares_options *o = &c->settings;
	unsigned domains = name[len] == '.' ? 0 : (unsigned)o->ndomains;
	char full[2 * HOST_NAME_SIZE];
	const char *domain;
	int dots = 0, tail, n;

	for (size_t at = 0; at < len; at++)
		dots += name[at] == '.';
	if (i > domains)
		return -ENOENT;
	if (domains == 0 || dots >= o->ndots)
		i = i == 0 ? domains : i - 1;
	domain = i == domains ? "" : o->domains[i];
	tail = (int)min_size(strlen(domain), HOST_NAME_SIZE);
	while (tail > 0 && domain[tail - 1] == '.')
		tail--;
	if (i < domains && tail == 0)
		return 0; /* "search .": the name itself, which comes anyway */
	n = snprintf(full, sizeof(full), "%.*s%s%.*s", (int)len, name,
		     tail ? "." : "", tail, domain);
	n = host_name_fold(ret, full, (size_t)n);
	return n > 0 ? n : 0;
}
