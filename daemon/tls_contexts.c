/*
 * An entry of the configuration has one context for each kind of ALPN that its
 * listeners want.  Files are read without the lock; what it guards is who
 * follows, which contexts count, and the keys that all of them have.
 */
#include "daemon/tls_contexts.h"

#include "core/clock.h"
#include "daemon/data_files.h"
#include "daemon/setup_tls.h"
#include "daemon/tls_keys.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	const struct conf_tls *conf;
	struct data_files files;
	bool failed; /* at the last look */
	bool wanted[SETUP_ALPNS];
	struct tcp_tls *context[SETUP_ALPNS]; /* of those */
};

struct follower {
	size_t entry;
	enum setup_alpn alpn;
	struct tcp_listener *opened;
};

struct tls_contexts {
	struct entry *entries; /* one for each of the configuration */
	size_t count;
	pthread_mutex_t lock;
	struct follower *followers;
	size_t follower_count;
	struct tls_keys keys;
};

/* --- Making -------------------------------------------------------------- */

static void drop(struct tcp_tls *of[SETUP_ALPNS])
{
	ASSERT(of);
	for (size_t i = 0; i < SETUP_ALPNS; i++)
		tcp_tls_unref(TAKE_PTR(of[i]));
}

static int make(struct tcp_tls *ret[SETUP_ALPNS], const struct entry *e,
		char *why, size_t size)
{
	for (unsigned i = 0; i < SETUP_ALPNS; i++) {
		int r = e->wanted[i] ? setup_tls(&ret[i], e->conf,
						 (enum setup_alpn)i, why, size)
				     : 0;

		if (r < 0) {
			drop(ret);
			return r;
		}
	}
	return 0;
}

static bool is_wanted(const struct entry *e)
{
	for (size_t i = 0; i < SETUP_ALPNS; i++)
		if (e->wanted[i])
			return true;
	return false;
}

static int make_entry(struct entry *e, char *why, size_t size)
{
	int r;

	if (!is_wanted(e))
		return 0;
	r = data_files_init_tls(&e->files, e->conf);
	if (r == 0)
		return make(e->context, e, why, size);
	(void)snprintf(why, size, "out of memory");
	return r;
}

static int make_all(struct tls_contexts *t, const struct conf *c, char *why,
		    size_t size)
{
	int r = 0;

	t->entries = calloc(c->tls_count + 1, sizeof(*t->entries));
	if (!t->entries) {
		(void)snprintf(why, size, "out of memory");
		return -ENOMEM;
	}
	t->count = c->tls_count;
	for (size_t i = 0; i < t->count; i++)
		t->entries[i].conf = &c->tls[i];
	for (size_t i = 0; i < c->listener_count; i++) {
		const struct conf_listener *l = &c->listeners[i];

		if (l->tls)
			t->entries[l->tls - 1].wanted[setup_alpn(l)] = true;
	}
	if (c->admin.tls)
		t->entries[c->admin.tls - 1].wanted[SETUP_ALPN_NONE] = true;
	for (size_t i = 0; r == 0 && i < t->count; i++)
		r = make_entry(&t->entries[i], why, size);
	return r;
}

static bool has_tls(const struct conf *c)
{
	for (size_t i = 0; i < c->listener_count; i++)
		if (c->listeners[i].tls)
			return true;
	return c->admin.tls != 0;
}

int tls_contexts_new(struct tls_contexts **ret, const struct conf *c, char *why,
		     size_t size)
{
	struct tls_contexts *t;
	int r;

	*ret = NULL;
	if (!has_tls(c))
		return 0;
	t = calloc(1, sizeof(*t));
	if (!t) {
		(void)snprintf(why, size, "out of memory");
		return -ENOMEM;
	}
	(void)pthread_mutex_init(&t->lock, NULL);
	r = make_all(t, c, why, size);
	if (r == 0) {
		r = tls_contexts_turn_keys(t, clock_ms());
		if (r < 0)
			(void)snprintf(why, size,
				       "cannot make keys for tickets: %s",
				       strerror(-r));
	}
	if (r < 0) {
		tls_contexts_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void tls_contexts_free(struct tls_contexts *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->count; i++) {
		drop(t->entries[i].context);
		data_files_done(&t->entries[i].files);
	}
	free(t->entries);
	free(t->followers);
	tls_keys_wipe(&t->keys);
	(void)pthread_mutex_destroy(&t->lock);
	free(t);
}

/* --- Listeners ----------------------------------------------------------- */

struct tcp_tls *tls_contexts_get(struct tls_contexts *t,
				 const struct conf_listener *l)
{
	struct tcp_tls *found;

	if (!t || !l->tls)
		return NULL;
	(void)pthread_mutex_lock(&t->lock);
	found = tcp_tls_ref(t->entries[l->tls - 1].context[setup_alpn(l)]);
	(void)pthread_mutex_unlock(&t->lock);
	return found;
}

/* The context may have changed since the listener was made with it. */
int tls_contexts_follow(struct tls_contexts *t, const struct conf_listener *l,
			struct tcp_listener *opened)
{
	struct follower *list;
	struct follower f;

	if (!t || !l->tls)
		return 0;
	f = (struct follower){ l->tls - 1, setup_alpn(l), opened };
	(void)pthread_mutex_lock(&t->lock);
	list = reallocarray(t->followers, t->follower_count + 1, sizeof(*list));
	if (list) {
		t->followers = list;
		list[t->follower_count++] = f;
		tcp_listener_set_tls(opened,
				     t->entries[f.entry].context[f.alpn]);
	}
	(void)pthread_mutex_unlock(&t->lock);
	return list ? 0 : -ENOMEM;
}

/* --- Keys ---------------------------------------------------------------- */

/* The number of keys is right, and the contexts are for servers. */
static void set_keys(const struct tls_contexts *t, struct tcp_tls *context)
{
	if (context)
		(void)!tcp_tls_set_ticket_keys(context, t->keys.key,
					       t->keys.count);
}

static void set_all_keys(struct tls_contexts *t)
{
	for (size_t i = 0; i < t->count; i++)
		for (size_t k = 0; k < SETUP_ALPNS; k++)
			set_keys(t, t->entries[i].context[k]);
}

int tls_contexts_turn_keys(struct tls_contexts *t, int64_t now_ms)
{
	int r;

	if (!t)
		return 0;
	(void)pthread_mutex_lock(&t->lock);
	r = tls_keys_turn(&t->keys, now_ms);
	if (r > 0)
		set_all_keys(t);
	(void)pthread_mutex_unlock(&t->lock);
	return r;
}

int64_t tls_contexts_keys_due(struct tls_contexts *t)
{
	int64_t due;

	if (!t)
		return INT64_MAX;
	(void)pthread_mutex_lock(&t->lock);
	due = tls_keys_due(&t->keys);
	(void)pthread_mutex_unlock(&t->lock);
	return due;
}

int tls_contexts_take_keys(struct tls_contexts *t, struct span bytes)
{
	int r;

	if (!t)
		return 0;
	(void)pthread_mutex_lock(&t->lock);
	r = tls_keys_decode(&t->keys, bytes);
	if (r == 0)
		set_all_keys(t);
	(void)pthread_mutex_unlock(&t->lock);
	return r;
}

size_t tls_contexts_tell_keys(struct tls_contexts *t, void *out)
{
	size_t len;

	if (!t)
		return 0;
	(void)pthread_mutex_lock(&t->lock);
	len = tls_keys_encode(&t->keys, out);
	(void)pthread_mutex_unlock(&t->lock);
	return len;
}

/* --- Changes ------------------------------------------------------------- */

/* Takes what is fresh; what was before goes with its last connection. */
static void swap(struct tls_contexts *t, struct entry *e,
		 struct tcp_tls *fresh[SETUP_ALPNS])
{
	(void)pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < SETUP_ALPNS; i++) {
		struct tcp_tls *old = e->context[i];

		set_keys(t, fresh[i]);
		e->context[i] = fresh[i];
		fresh[i] = old;
	}
	for (size_t i = 0; i < t->follower_count; i++) {
		const struct follower *f = &t->followers[i];

		if (&t->entries[f->entry] == e)
			tcp_listener_set_tls(f->opened, e->context[f->alpn]);
	}
	(void)pthread_mutex_unlock(&t->lock);
	drop(fresh);
}

static int refresh_entry(struct tls_contexts *t, struct entry *e, char *why,
			 size_t size)
{
	struct tcp_tls *fresh[SETUP_ALPNS] = { 0 };
	int r;

	if (!data_files_look(&e->files) && !e->failed)
		return 0;
	r = make(fresh, e, why, size);
	e->failed = r < 0;
	if (r < 0)
		return r;
	swap(t, e, fresh);
	return 1;
}

int tls_contexts_refresh(struct tls_contexts *t, char *why, size_t size)
{
	int done = 0, first = 0;

	for (size_t i = 0; t && i < t->count; i++) {
		/* The sentence is about the first. */
		int r = refresh_entry(t, &t->entries[i], first ? NULL : why,
				      first ? 0 : size);

		if (r < 0 && !first)
			first = r;
		done += r > 0;
	}
	return first ? first : done;
}
