/*
 * The held sockets.  In the service manager's store a name may stand for
 * several descriptors and can only be removed with all of them, so what is
 * left of a name is stored again.
 */
#include "daemon/held.h"

#include "core/addr.h"
#include "daemon/log.h"
#include "daemon/notify.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#define STORED_NAME_BYTES 256

/* --- Files of UNIX sockets ---------------------------------------------- */

/* The name, of which *ret_len bytes count; false: it is bound to none. */
static bool unix_name(int fd, struct sockaddr_un *ret, socklen_t *ret_len)
{
	*ret = (struct sockaddr_un){ 0 };
	*ret_len = sizeof(*ret) - 1; /* so that it ends in any case; unix(7) */
	return getsockname(fd, (struct sockaddr *)ret, ret_len) == 0 &&
	       *ret_len > offsetof(struct sockaddr_un, sun_path);
}

/*
 * Looks at what stands at a socket's path: a descriptor of the folder, in
 * which nobody can lead us elsewhere, the name in it, and what it is; or
 * -errno.
 */
static int find_file(int fd, struct sockaddr_un *room, const char **ret_name,
		     struct stat *ret)
{
	CLEANUP(close_fd) int folder = -1;
	socklen_t len;
	char *slash;

	if (!unix_name(fd, room, &len) || room->sun_path[0] != '/')
		return -ENOENT;
	slash = strrchr(room->sun_path, '/');
	*ret_name = slash + 1;
	*slash = '\0';
	folder = open(*room->sun_path ? room->sun_path : "/",
		      O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0 ||
	    fstatat(folder, *ret_name, ret, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return take_fd(&folder);
}

/*
 * Notes which file is ours.  It has the same owner as its socket: a generation
 * that was broken into could show us the socket of somebody else.
 */
static void note_file(struct held_socket *s)
{
	struct sockaddr_un room;
	struct stat file = { 0 }, of_socket;
	const char *name;
	CLEANUP(close_fd)
	int folder = find_file(s->fd, &room, &name, &file);

	if (folder < 0 || !S_ISSOCK(file.st_mode) ||
	    fstat(s->fd, &of_socket) < 0 || of_socket.st_uid != file.st_uid)
		return;
	s->dev = file.st_dev;
	s->ino = file.st_ino;
}

/*
 * While the socket is open no other file gets its number.  What remains is the
 * moment between the two calls: whoever puts another file there then has the
 * right to remove it.
 */
static void remove_file(const struct held_socket *s)
{
	struct sockaddr_un room;
	struct stat file;
	const char *name;
	CLEANUP(close_fd) int folder = -1;

	if (!s->ino || s->from_unit)
		return;
	folder = find_file(s->fd, &room, &name, &file);
	if (folder >= 0 && file.st_dev == s->dev && file.st_ino == s->ino)
		(void)unlinkat(folder, name, 0);
}

/* --- Keeping ------------------------------------------------------------ */

static int option(int fd, int name, void *value, socklen_t len)
{
	return getsockopt(fd, SOL_SOCKET, name, value, &len) < 0 ? -errno : 0;
}

static struct held_socket *make_room(struct held *h)
{
	if (h->count == h->cap) {
		size_t cap = h->cap ? h->cap * 2 : 16;
		struct held_socket *at = realloc(h->at, cap * sizeof(*at));

		if (!at)
			return NULL;
		h->at = at;
		h->cap = cap;
	}
	return &h->at[h->count];
}

/*
 * Whoever sends us sockets might have been broken into: only what listeners
 * can be made of is held.
 */
static int check_kind(int fd, const char *name, int domain)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	int type = 0, listening = 0, protocol = 0;
	struct tcp_addr a;

	if (option(fd, SO_TYPE, &type, sizeof(type)) < 0 ||
	    option(fd, SO_PROTOCOL, &protocol, sizeof(protocol)) < 0 ||
	    option(fd, SO_ACCEPTCONN, &listening, sizeof(listening)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ||
	    type != SOCK_STREAM || !notify_name_valid(name))
		return -EINVAL;
	if (domain == AF_UNIX && strcmp(name, HELD_CONTROL) == 0)
		return listening ? 0 : -EINVAL;
	if (domain == AF_UNIX) /* without a name it is not bound */
		return len > offsetof(struct sockaddr_un, sun_path) ? 0
								    : -EINVAL;
	if ((domain != AF_INET && domain != AF_INET6) ||
	    protocol != IPPROTO_TCP)
		return -EINVAL;
	tcp_addr_from_sockaddr(&a, (const struct sockaddr *)&ss);
	return a.port ? 0 : -EINVAL;
}

/* Two at one path would be one too many for whoever gets them. */
static bool is_taken(const struct held *h, int fd)
{
	struct sockaddr_un name, other;
	socklen_t len, other_len;

	if (!unix_name(fd, &name, &len))
		return false;
	for (size_t i = 0; i < h->count; i++)
		if (h->at[i].is_unix &&
		    unix_name(h->at[i].fd, &other, &other_len) &&
		    other_len == len && memcmp(&other, &name, len) == 0)
			return true;
	return false;
}

static int check(const struct held *h, int fd, const char *name, int domain,
		 uint64_t cookie)
{
	if (held_find(h, cookie))
		return -EEXIST;
	if (domain == AF_UNIX && strcmp(name, HELD_CONTROL) != 0 &&
	    is_taken(h, fd))
		return -EEXIST;
	if (h->count >= HELD_MAX)
		return -ENFILE;
	return check_kind(fd, name, domain);
}

int held_add(struct held *h, int fd, const char *name,
	     const struct held_socket *like)
{
	CLEANUP(close_fd) int owned = fd;
	struct held_socket *s;
	int domain = 0, r;
	uint64_t cookie = 0;

	r = option(fd, SO_COOKIE, &cookie, sizeof(cookie));
	if (r == 0)
		r = option(fd, SO_DOMAIN, &domain, sizeof(domain));
	if (r == 0)
		r = check(h, fd, name, domain, cookie);
	if (r < 0)
		return r;
	s = make_room(h);
	if (!s)
		return -ENOMEM;
	*s = *like;
	s->name = strdup(name);
	if (!s->name)
		return -ENOMEM;
	s->fd = take_fd(&owned);
	s->cookie = cookie;
	s->is_unix = domain == AF_UNIX;
	s->is_control = s->is_unix && strcmp(name, HELD_CONTROL) == 0;
	if (s->is_unix)
		note_file(s);
	h->count++;
	return 0;
}

struct held_socket *held_find(const struct held *h, uint64_t cookie)
{
	for (size_t i = 0; i < h->count; i++)
		if (h->at[i].cookie == cookie)
			return &h->at[i];
	return NULL;
}

/* --- The store ---------------------------------------------------------- */

static void stored_name(const char *name, char *out)
{
	(void)snprintf(out, STORED_NAME_BYTES, HELD_STORED_PREFIX "%s", name);
}

static bool storable(const struct held_socket *s)
{
	return !s->from_unit && !s->is_unix;
}

/* Stores what is not stored yet of one name. */
static void store_name(struct held *h, const char *name)
{
	int *fds = calloc(h->count + 1, sizeof(*fds));
	char text[STORED_NAME_BYTES];
	size_t count = 0;

	for (size_t i = 0; fds && i < h->count; i++) {
		struct held_socket *s = &h->at[i];

		if (!storable(s) || s->stored || strcmp(s->name, name) != 0)
			continue;
		fds[count++] = s->fd;
		s->stored = true;
	}
	stored_name(name, text);
	if (count)
		(void)notify_store(text, fds, count);
	free(fds);
}

/* Takes a name out, with all that has it: what is left is not stored then. */
static void unstore_name(struct held *h, const char *name)
{
	char text[STORED_NAME_BYTES];

	stored_name(name, text);
	(void)notify_unstore(text);
	for (size_t i = 0; i < h->count; i++)
		if (strcmp(h->at[i].name, name) == 0)
			h->at[i].stored = false;
}

void held_store(struct held *h)
{
	while (h->stale_count > 0) {
		char *name = h->stale[--h->stale_count];

		unstore_name(h, name);
		free(name);
	}
	for (size_t i = 0; i < h->count; i++)
		if (storable(&h->at[i]) && !h->at[i].stored)
			store_name(h, h->at[i].name);
}

void held_unstore(struct held *h)
{
	for (size_t i = 0; i < h->count; i++)
		if (h->at[i].stored)
			unstore_name(h, h->at[i].name);
}

/* Takes the name; it is to leave the store at the next occasion. */
static void note_stale(struct held *h, char *name)
{
	char **grown;

	for (size_t i = 0; i < h->stale_count; i++) {
		if (strcmp(h->stale[i], name) == 0) {
			free(name);
			return;
		}
	}
	grown = realloc(h->stale, (h->stale_count + 1) * sizeof(*grown));
	if (!grown) { /* at once, then */
		unstore_name(h, name);
		free(name);
		return;
	}
	h->stale = grown;
	h->stale[h->stale_count++] = name;
}

/* --- Letting go --------------------------------------------------------- */

void held_close(struct held *h, struct held_socket *s)
{
	struct held_socket gone = *s;

	*s = h->at[--h->count];
	remove_file(&gone);
	close_fd(&gone.fd);
	if (gone.stored)
		note_stale(h, gone.name);
	else
		free(gone.name);
}

void held_let_go(struct held *h)
{
	for (size_t i = 0; i < h->count;) {
		if (h->at[i].is_control) {
			i++;
			continue;
		}
		remove_file(&h->at[i]);
		close_fd(&h->at[i].fd);
		free(h->at[i].name);
		h->at[i] = h->at[--h->count];
	}
}

void held_done(struct held *h)
{
	for (size_t i = 0; i < h->count; i++) {
		remove_file(&h->at[i]);
		close_fd(&h->at[i].fd);
		free(h->at[i].name);
	}
	while (h->stale_count > 0)
		free(h->stale[--h->stale_count]);
	free(h->stale);
	free(h->at);
	*h = (struct held){ 0 };
}

/* --- From the service manager ------------------------------------------- */

static void take_one(struct held *h, int fd, const char *name)
{
	size_t prefix = strlen(HELD_STORED_PREFIX);
	struct held_socket like = { .from_unit = true };
	int r;

	if (strncmp(name, HELD_STORED_PREFIX, prefix) == 0) {
		name += prefix;
		like.from_unit = false;
		like.stored = true;
	}
	if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0) {
		log_line(LOG_LEVEL_WARNING,
			 "the service manager passed \"%s\", which is no "
			 "listening stream socket: closed",
			 name);
		close_fd(&fd);
		return;
	}
	r = held_add(h, fd, name, &like);
	if (r < 0)
		log_line(LOG_LEVEL_WARNING,
			 "a socket \"%s\" of the service manager is not "
			 "used: %s",
			 name, strerror(-r));
}

int held_take_passed(struct held *h)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names);

	for (int i = 0; i < count; i++) {
		take_one(h, SD_LISTEN_FDS_START + i, names[i]);
		free(names[i]);
	}
	free(names);
	return count < 0 ? count : 0;
}
