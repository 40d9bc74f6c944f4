/*
 * The sockets of one address.
 *
 * A member of a SO_REUSEPORT group gets its share of the connections from the
 * moment it listens, whether anybody accepts or not, and closing it resets
 * what it has got.  So sockets are only bound here at first, listening comes
 * when the workers are about to accept, and a socket that another process
 * handed over is never given up for a fresh one.
 */
#include "core/listener.h"

#include "core/listen_sock.h"
#include "core/listen_unix.h"
#include "core/sock.h"

#include <stdlib.h>
#include <string.h>

/* --- Making ------------------------------------------------------------- */

void listener_close_adopted(const struct tcp_listen_options *o)
{
	for (size_t i = 0; i < o->adopted_count; i++) {
		int fd = o->adopted[i];

		close_fd(&fd);
	}
}

static int make_slots(struct tcp_listener *l, struct tcp_tls *tls,
		      unsigned workers)
{
	l->slot = aligned_alloc(_Alignof(struct listener_slot),
				workers * sizeof(l->slot[0]));
	if (!l->slot)
		return -ENOMEM;
	for (; l->slots < workers; l->slots++) {
		struct listener_slot *slot = &l->slot[l->slots];

		slot->tls = tls ? tcp_tls_ref(tls) : NULL;
		user_pool_init(&slot->pool, l);
	}
	l->secure = tls;
	return 0;
}

/* With room for `cap` sockets, filled by those that are adopted. */
static struct tcp_listener *make(const struct tcp_listen_options *o, size_t cap,
				 unsigned workers)
{
	struct tcp_listener *l = calloc(1, sizeof(*l));

	if (!l)
		goto failed;
	l->options = *o;
	l->options.adopted = NULL;
	l->options.adopted_count = 0;
	l->options.tls = NULL;
	l->options.device = l->device = o->device ? strdup(o->device) : NULL;
	l->fd = calloc(cap, sizeof(l->fd[0]));
	if (!l->fd || (o->device && !l->device) ||
	    make_slots(l, o->tls, workers) < 0)
		goto failed;
	for (size_t i = 0; i < o->adopted_count; i++)
		l->fd[i] = o->adopted[i];
	l->count = l->adopted = o->adopted_count;
	return l;
failed:
	listener_close_adopted(o);
	listener_free(l);
	return NULL;
}

/* Takes a socket from elsewhere into use, or says why not. */
static int check(const struct tcp_listener *l, int fd)
{
	return l->un ? listen_unix_check(l->un, fd)
		     : listen_sock_check(fd, &l->addr);
}

static int check_adopted(struct tcp_listener *l)
{
	for (size_t i = 0; i < l->adopted; i++) {
		int r = check(l, l->fd[i]);

		/* The port of the first is the port of all. */
		if (r == 0)
			r = sock_local(l->fd[i], &l->addr);
		if (r < 0)
			return r;
	}
	return 0;
}

/* How many sockets it is to have. */
static size_t wanted(const struct tcp_listener *l, unsigned workers)
{
	bool joins = !l->options.alone;

	for (size_t i = 0; i < l->adopted; i++)
		joins = joins && listen_sock_shares(l->fd[i]);
	return max_size(l->count, joins ? workers : 1);
}

/* Tells whether there was no place for a socket, rather than no right. */
static bool is_shortage(int r)
{
	return r == -EMFILE || r == -ENFILE || r == -ENOBUFS || r == -ENOMEM;
}

static int open_missing(struct tcp_listener *l, size_t count)
{
	int r = l->adopted ? 0 : listen_sock_probe(&l->addr, &l->options);

	while (r == 0 && l->count < count) {
		int fd = listen_sock_open(&l->addr, &l->options,
					  !l->options.alone);

		/*
		 * What may not stand beside another user's socket, say, is
		 * no loss: that one is shared.
		 */
		if (fd < 0)
			return l->adopted && !is_shortage(fd) ? 0 : fd;
		l->fd[l->count++] = fd;
		/* The kernel picked a port: the others join it. */
		r = sock_local(fd, &l->addr);
	}
	return r;
}

int listener_new(struct tcp_listener **ret, const struct tcp_addr *a,
		 const struct tcp_listen_options *o, unsigned workers)
{
	struct tcp_listener *l = make(o, max_size(o->adopted_count, workers),
				      workers);
	int r;

	if (!l)
		return -ENOMEM;
	l->addr = *a;
	r = check_adopted(l);
	if (r == 0)
		r = open_missing(l, wanted(l, workers));
	if (r < 0) {
		listener_free(l);
		return r;
	}
	l->shared = l->count < workers;
	*ret = l;
	return 0;
}

static int open_unix(struct tcp_listener *l, const char *name)
{
	int r;

	l->un = malloc(sizeof(*l->un));
	if (!l->un)
		return -ENOMEM;
	r = listen_unix_init(l->un, name);
	if (r < 0 || l->adopted)
		return r < 0 ? r : check_adopted(l);
	r = listen_unix_open(l->un, l->options.unix_mode);
	if (r >= 0)
		l->fd[l->count++] = r;
	return r;
}

int listener_new_unix(struct tcp_listener **ret, const char *name,
		      const struct tcp_listen_options *o, unsigned workers)
{
	struct tcp_listener *l = make(o, max_size(o->adopted_count, 1),
				      workers);
	int r;

	if (!l)
		return -ENOMEM;
	l->addr.family = AF_UNIX;
	r = open_unix(l, name);
	if (r < 0) {
		listener_free(l);
		return r;
	}
	l->shared = l->count < workers;
	*ret = l;
	return 0;
}

/* --- Listening ---------------------------------------------------------- */

static int listen_on(const struct tcp_listener *l, int fd, bool adopted,
		     bool first)
{
	const struct tcp_listen_options *o = &l->options;
	int r = 0;

	if (l->un)
		return listen_unix_listen(l->un, fd, o->backlog);
	if (adopted)
		r = listen_sock_set_again(fd, l->addr.family, o);
	return r < 0 ? r : listen_sock_listen(fd, o->backlog, first);
}

static bool is_new(const struct tcp_listener *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (listen_sock_is_listening(l->fd[i]))
			return false;
	return true;
}

int listener_listen_fresh(struct tcp_listener *l)
{
	bool first = is_new(l);
	int r = 0;

	for (size_t i = 0; i < l->count && r == 0; i++)
		if (!listen_sock_is_listening(l->fd[i]))
			r = listen_on(l, l->fd[i], i < l->adopted,
				      first && i == 0);
	return r;
}

int listener_listen(struct tcp_listener *l)
{
	bool first = is_new(l);
	int r = 0;

	for (size_t i = 0; i < l->count && r == 0; i++)
		r = listen_on(l, l->fd[i], i < l->adopted, first && i == 0);
	return r;
}

static bool has(const struct tcp_listener *l, int fd)
{
	for (size_t i = 0; i < l->count; i++)
		if (listen_sock_same(l->fd[i], fd))
			return true;
	return false;
}

int listener_add(struct tcp_listener *l, int fd)
{
	CLEANUP(close_fd) int taken = fd;
	int r = check(l, fd);
	int *grown;

	if (r < 0)
		return r;
	if (has(l, fd))
		return -EALREADY;
	grown = realloc(l->fd, (l->count + 1) * sizeof(grown[0]));
	if (!grown)
		return -ENOMEM;
	l->fd = grown;
	r = listen_on(l, fd, true, false);
	if (r < 0)
		return r;
	for (size_t i = l->count++; i > l->adopted; i--)
		l->fd[i] = l->fd[i - 1];
	l->fd[l->adopted++] = take_fd(&taken);
	return 0;
}

/* --- Looking and closing ------------------------------------------------ */

/* An IPv6 socket that also takes IPv4 stands on all addresses of both. */
static bool covers(const struct tcp_listener *l, const struct tcp_addr *a)
{
	if (!addr_is_any(&l->addr))
		return false;
	return l->addr.family == a->family ||
	       (l->addr.family == AF_INET6 && !l->options.v6only);
}

bool listener_overlaps(const struct tcp_listener *l,
		       const struct tcp_listener *other)
{
	if (l->count == 0 || other->count == 0 ||
	    l->addr.port != other->addr.port)
		return false;
	if (l->un || other->un)
		return l->un && other->un &&
		       listen_unix_overlaps(l->un, other->un);
	if (l->device && other->device && strcmp(l->device, other->device))
		return false;
	return addr_same_ip(&l->addr, &other->addr) ||
	       covers(l, &other->addr) || covers(other, &l->addr);
}

void listener_remove_file(struct tcp_listener *l)
{
	if (l->un && !l->keeps_file)
		listen_unix_remove(l->un);
}

void listener_keep_file(struct tcp_listener *l)
{
	l->keeps_file = true;
}

void listener_close(struct tcp_listener *l, int fd)
{
	size_t i = 0;

	while (i < l->count && l->fd[i] != fd)
		i++;
	if (i == l->count)
		return;
	if (l->count == 1)
		listener_remove_file(l);
	close_fd(&l->fd[i]);
	l->count--;
	if (i < l->adopted)
		l->adopted--;
	for (; i < l->count; i++)
		l->fd[i] = l->fd[i + 1];
}

void listener_close_all(struct tcp_listener *l)
{
	listener_remove_file(l);
	for (size_t i = 0; i < l->count; i++)
		close_fd(&l->fd[i]);
	l->count = l->adopted = 0;
}

void listener_free(struct tcp_listener *l)
{
	if (!l)
		return;
	list_remove(&l->link);
	listener_close_all(l);
	for (unsigned i = 0; i < l->slots; i++)
		tcp_tls_unref(l->slot[i].tls);
	free(l->slot);
	free(l->un);
	free(l->fd);
	free(l->device);
	free(l);
}

const struct tcp_addr *tcp_listener_addr(const struct tcp_listener *l)
{
	return &l->addr;
}

void *tcp_listener_ctx(const struct tcp_listener *l)
{
	return l->ctx;
}

struct tcp_server *tcp_listener_server(const struct tcp_listener *l)
{
	return l->server;
}
