#include "daemon/proxy/tally.h"

#include "daemon/proxy/proxy_internal.h"

#include <string.h>

enum { USER_FREE, USER_BUSY, USER_TAKEN };

#define USER_PROBES 16u

/* One thread writes. */
static void add(uint64_t *count, uint64_t by)
{
	__atomic_store_n(count, *count + by, __ATOMIC_RELEASE);
}

/* Many do. */
static void add_shared(uint64_t *count, uint64_t by)
{
	if (by)
		(void)__atomic_fetch_add(count, by, __ATOMIC_RELAXED);
}

/* --- Users --------------------------------------------------------------- */

static uint32_t hash_name(const char *name, size_t len)
{
	uint32_t h = 2166136261u; /* FNV-1a: who logs in is no stranger */

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return h;
}

/* A place for one more, if the bound allows. */
static bool may_take(const struct proxy_tables *t)
{
	if (__atomic_fetch_add(t->user_count, 1, __ATOMIC_RELAXED) <
	    t->user_max)
		return true;
	(void)__atomic_fetch_sub(t->user_count, 1, __ATOMIC_RELAXED);
	return false;
}

/* Of this user, or free and his now; NULL: another's. */
static struct user_counts *claim(const struct proxy_tables *t,
				 struct user_counts *u, const struct session *s)
{
	uint32_t was = __atomic_load_n(&u->taken, __ATOMIC_ACQUIRE);

	if (was == USER_FREE && may_take(t)) {
		if (__atomic_compare_exchange_n(&u->taken, &was, USER_BUSY,
						false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE)) {
			memcpy(u->name, s->user, s->user_len);
			u->name_len = s->user_len;
			__atomic_store_n(&u->taken, USER_TAKEN,
					 __ATOMIC_RELEASE);
			return u;
		}
		(void)__atomic_fetch_sub(t->user_count, 1, __ATOMIC_RELAXED);
	}
	/* Whoever writes a name there now might write this one. */
	while (was == USER_BUSY)
		was = __atomic_load_n(&u->taken, __ATOMIC_ACQUIRE);
	return was == USER_TAKEN && u->name_len == s->user_len &&
			       memcmp(u->name, s->user, s->user_len) == 0
		       ? u
		       : NULL;
}

static struct user_counts *user_of(const struct proxy_tables *t,
				   const struct session *s)
{
	uint32_t at = hash_name(s->user, s->user_len);

	for (uint32_t i = 0; i < USER_PROBES; i++) {
		struct user_counts
			*u = &t->users[1 + ((at + i) & (t->user_slots - 1))];
		struct user_counts *his = claim(t, u, s);

		if (his)
			return his;
		if (__atomic_load_n(&u->taken, __ATOMIC_RELAXED) == USER_FREE)
			break;
	}
	return &t->users[0];
}

static void count_user(const struct proxy_tables *t, const struct session *s)
{
	struct user_counts *u;

	/* Whoever only says so has no method. */
	if (!t->users || s->user_len == 0 || s->method == AUTH_NONE ||
	    s->user_len > sizeof(s->user))
		return;
	u = user_of(t, s);
	add_shared(&u->sessions, 1);
	add_shared(&u->bytes_up, s->bytes_up);
	add_shared(&u->bytes_down, s->bytes_down);
}

/* --- Sessions ------------------------------------------------------------ */

static struct listener_counts *counts_of(const struct proxy_tables *t,
					 const struct session *s)
{
	if (!t->listeners || s->listener == SESSION_NONE ||
	    s->listener > t->listener_count)
		return NULL;
	return &t->listeners[(size_t)s->worker * t->listener_count +
			     s->listener - 1];
}

void tally_end(const struct proxy_tables *t, const struct session *s,
	       bool began)
{
	struct listener_counts *n = counts_of(t, s);

	if (!n)
		return;
	add(&n->sessions[s->protocol][s->outcome], 1);
	if (s->bytes_up | s->bytes_down) {
		add(&n->bytes_up, s->bytes_up);
		add(&n->bytes_down, s->bytes_down);
	}
	if (began)
		histogram_add(&n->took[HISTOGRAM_SESSION], HISTOGRAM_SESSION,
			      s->ended_ms - s->started_ms);
	count_user(t, s);
}

/* What is over when a session comes from one state to another; < 0: nothing. */
static int what_ends(const struct request *rq, enum session_state next)
{
	switch (rq->session->state) {
	case SESSION_HANDSHAKE:
		return HISTOGRAM_HANDSHAKE;
	case SESSION_NAME:
		return HISTOGRAM_NAME;
	case SESSION_CONNECT:
		/* A BIND waits for somebody, a parent's name is a detour. */
		return next == SESSION_RELAY && rq->command != COMMAND_BIND
			       ? HISTOGRAM_CONNECT
			       : -1;
	default:
		return -1;
	}
}

void tally_state(struct request *rq, enum session_state next)
{
	const struct session *s = rq->session;
	struct listener_counts *n = counts_of(&rq->here->proxy->options.tables,
					      s);
	int what = what_ends(rq, next);
	int64_t now, since;

	if (!n || s->state == next)
		return;
	now = tcp_deadline(0);
	since = s->state == SESSION_HANDSHAKE ? s->started_ms : rq->state_ms;
	if (what >= 0)
		histogram_add(&n->took[what], (enum histogram_kind)what,
			      now - since);
	rq->state_ms = now;
}

/* --- Parents ------------------------------------------------------------- */

void tally_parent(struct parent_counts *p, const struct session *s)
{
	add_shared(&p->sessions, 1);
	add_shared(&p->bytes_up, s->bytes_up);
	add_shared(&p->bytes_down, s->bytes_down);
}

void tally_failure(struct parent_counts *p)
{
	add_shared(&p->failures, 1);
}

void tally_health(struct parent_counts *p, bool well)
{
	__atomic_store_n(&p->up, well, __ATOMIC_RELAXED);
}
