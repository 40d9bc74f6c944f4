/*
 * Looking for a change is one stat(2) a second for the whole process, on
 * whatever loop a name is asked for.  Reading takes some milliseconds for a
 * long block list, so a pool's only thread does that; who asks for a name
 * meanwhile waits, since he may ask for one that has just been added.
 *
 * 1. A table belongs to its references.  The file has one to the newest, each
 *    view one to the table it saw last.
 * 2. `lock` guards the newest table and its stamp, and is never held while the
 *    file is looked at or read.
 * 3. Only the first user and, after him, the pool's thread read.
 */
#include "core/hosts_file.h"

#include "core/clock.h"
#include "core/file_stamp.h"
#include "core/task.h"
#include "core/tcpserver.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_INTERVAL_MS 1000
#define WAIT_MS           1000
#define IDLE_MS           1000
#define SIZE_MAX_BYTES    ((off_t)64 << 20)

struct hosts_file {
	struct list entry; /* in `files` */
	unsigned users;    /* under `files_lock` */
	char *path;
	struct tcp_pool *pool;
	_Atomic int64_t checked_at;
	atomic_bool stale; /* it has changed and is not read yet */
	atomic_uint version;
	pthread_mutex_t lock;
	struct hosts *table; /* NULL: no file, or one never read */
	struct file_stamp stamp;
};

/* One task that waits for the file to be read. */
struct waiter {
	struct list entry;
	bool closed; /* the view is gone */
};

/* The files that this process follows. */
static struct list files = { &files, &files };
static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;

/* --- Reading ------------------------------------------------------------ */

static void freep(char **p)
{
	free(*p);
}

static ssize_t read_all(int fd, char *text, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, text + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

/* The stamp is that of the descriptor: what is read is what it speaks of. */
static int read_table(const char *path, struct hosts **ret,
		      struct file_stamp *ret_stamp)
{
	CLEANUP(close_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	CLEANUP(freep) char *text = NULL;
	struct stat st;
	ssize_t len;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size >= SIZE_MAX_BYTES)
		return -EFBIG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	len = read_all(fd, text, (size_t)st.st_size);
	if (len < 0)
		return (int)len;
	r = hosts_parse(ret, text, (size_t)len);
	*ret_stamp = file_stamp(&st);
	return r;
}

static bool is_missing(int error)
{
	return error == -ENOENT || error == -ENOTDIR;
}

/* Takes the table. */
static void publish(struct hosts_file *f, struct hosts *table,
		    const struct file_stamp *stamp)
{
	struct hosts *old;

	(void)pthread_mutex_lock(&f->lock);
	old = f->table;
	f->table = table;
	f->stamp = *stamp;
	atomic_fetch_add_explicit(&f->version, 1, memory_order_release);
	(void)pthread_mutex_unlock(&f->lock);
	hosts_put(old);
}

/* A file that is gone is an empty one. */
static int load(struct hosts_file *f)
{
	struct file_stamp stamp = { 0 };
	struct hosts *table = NULL;
	int r = read_table(f->path, &table, &stamp);

	if (is_missing(r))
		stamp = (struct file_stamp){ 0 };
	if (r == 0 || is_missing(r))
		publish(f, table, &stamp);
	return r;
}

static struct file_stamp stamp_of(struct hosts_file *f)
{
	struct file_stamp stamp;

	(void)pthread_mutex_lock(&f->lock);
	stamp = f->stamp;
	(void)pthread_mutex_unlock(&f->lock);
	return stamp;
}

/* What cannot be looked at has not changed. */
static bool has_changed(struct hosts_file *f)
{
	struct file_stamp known = stamp_of(f), now = { 0 };
	struct stat st;

	if (stat(f->path, &st) == 0)
		now = file_stamp(&st);
	else if (!is_missing(-errno))
		return false;
	return !file_stamp_equal(&now, &known);
}

/* --- Life of a file ----------------------------------------------------- */

static void file_free(struct hosts_file *f)
{
	/* What was handed to it must be put, too. */
	if (f->pool)
		(void)tcp_pool_stop(f->pool, true, -1);
	tcp_pool_free(f->pool);
	hosts_put(f->table);
	(void)pthread_mutex_destroy(&f->lock);
	free(f->path);
	free(f);
}

static int file_new(struct hosts_file **ret, const char *path)
{
	const struct tcp_pool_options pool = { .max_threads = 1,
					       .shards = 1,
					       .idle_ms = IDLE_MS,
					       .thread_name = "hosts" };
	struct hosts_file *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	(void)pthread_mutex_init(&f->lock, NULL);
	list_init(&f->entry);
	atomic_store(&f->checked_at, clock_ms());
	f->path = strdup(path);
	r = f->path ? tcp_pool_new(&f->pool, &pool) : -ENOMEM;
	/*
	 * One that cannot be read may be later on.  Without memory, though,
	 * DNS must not answer what it may overrule.
	 */
	if (r == 0 && load(f) == -ENOMEM)
		r = -ENOMEM;
	if (r < 0) {
		file_free(f);
		return r;
	}
	list_append(&files, &f->entry);
	*ret = f;
	return 0;
}

static struct hosts_file *file_find(const char *path)
{
	struct list *at, *safe;

	list_for_each_safe (at, safe, &files) {
		struct hosts_file *f = list_entry(at, struct hosts_file, entry);

		if (strcmp(f->path, path) == 0)
			return f;
	}
	return NULL;
}

/* --- Views -------------------------------------------------------------- */

int hosts_view_open(struct hosts_view *v, const char *path)
{
	struct hosts_file *f;
	int r = 0;

	*v = (struct hosts_view){ 0 };
	list_init(&v->waiters);
	(void)pthread_mutex_lock(&files_lock);
	f = file_find(path);
	if (!f)
		r = file_new(&f, path);
	if (r == 0) {
		f->users++;
		v->file = f;
	}
	(void)pthread_mutex_unlock(&files_lock);
	return r;
}

void hosts_view_close(struct hosts_view *v)
{
	struct hosts_file *f = TAKE_PTR(v->file);
	struct list *at, *safe;
	bool last;

	if (!f)
		return;
	list_for_each_safe (at, safe, &v->waiters) {
		list_remove(at);
		list_entry(at, struct waiter, entry)->closed = true;
	}
	hosts_put(TAKE_PTR(v->table));
	(void)pthread_mutex_lock(&files_lock);
	last = --f->users == 0;
	if (last)
		list_remove(&f->entry);
	(void)pthread_mutex_unlock(&files_lock);
	if (last)
		file_free(f);
}

bool hosts_view_is_stale(struct hosts_view *v, int64_t now)
{
	struct hosts_file *f = v->file;
	int64_t last = atomic_load_explicit(&f->checked_at,
					    memory_order_relaxed);

	if (now - last >= CHECK_INTERVAL_MS &&
	    atomic_compare_exchange_strong(&f->checked_at, &last, now) &&
	    has_changed(f))
		atomic_store(&f->stale, true);
	return atomic_load(&f->stale);
}

static void read_again(void *arg)
{
	struct hosts_file *f = arg;

	/* Others may have waited for this behind the one that did it. */
	if (!atomic_load(&f->stale))
		return;
	(void)load(f);
	atomic_store(&f->stale, false);
}

/* The file outlives its pool, and so each job. */
static void abandoned(void *arg)
{
	(void)arg;
}

int hosts_view_refresh(struct hosts_view *v, int64_t deadline)
{
	struct hosts_file *f = v->file;
	struct waiter w = { .closed = false };
	int64_t limit = deadline_in(WAIT_MS);
	int r;

	list_append(&v->waiters, &w.entry);
	r = tcp_pool_await(f->pool, read_again, f, abandoned,
			   min_i64(deadline, limit));
	if (w.closed)
		return -ECANCELED;
	list_remove(&w.entry);
	/*
	 * No thread, or a slow one: once more in a second.  Who had less time
	 * than that is no reason for others not to wait.
	 */
	if (r < 0 && r != -ECANCELED && (r != -ETIMEDOUT || limit <= deadline))
		atomic_store(&f->stale, false);
	return r == -ECANCELED ? r : 0;
}

static void put_table(void *arg)
{
	hosts_put(arg);
}

/* Where this is the last reference, a long table takes a while. */
static void put_elsewhere(struct hosts_file *f, struct hosts *h)
{
	if (h && tcp_pool_submit(f->pool, put_table, h) < 0)
		hosts_put(h);
}

const struct hosts *hosts_view_table(struct hosts_view *v)
{
	struct hosts_file *f = v->file;
	struct hosts *old = NULL;

	if (atomic_load_explicit(&f->version, memory_order_acquire) ==
	    v->version)
		return v->table;
	old = v->table;
	(void)pthread_mutex_lock(&f->lock);
	v->table = hosts_get(f->table);
	v->version = atomic_load_explicit(&f->version, memory_order_relaxed);
	(void)pthread_mutex_unlock(&f->lock);
	put_elsewhere(f, old);
	return v->table;
}
