/*
 * Slots in one mapping.  Free slots of a range are chained by number through
 * the `more` field, so that the array holds no pointer at all; a range's
 * untouched end is handed out last and costs nothing until then.  A slot that
 * was used once never has a sequence count of 0 again: there a reader stops.
 */
#include "daemon/proxy/sessions.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define TAIL_BYTES    (SESSION_SLOT_BYTES - 16)
#define WALK_PATIENCE 16000

/* A slot that holds the tail of another's host name. */
struct session_tail {
	uint32_t sequence;
	uint8_t state; /* SESSION_MORE */
	uint8_t len;
	uint8_t reserved[2];
	uint64_t id; /* of the session that it belongs to */
	char bytes[TAIL_BYTES];
};

_Static_assert(sizeof(struct session_tail) == SESSION_SLOT_BYTES &&
		       offsetof(struct session_tail, state) ==
			       offsetof(struct session, state),
	       "a tail is a slot like any other");
_Static_assert(SESSION_NAME_BYTES == SESSION_HOST_BYTES + TAIL_BYTES + 1,
	       "SESSION_NAME_BYTES is enough for any name");

struct range {
	uint32_t first, end; /* slots of this worker: first..end-1 */
	uint32_t fresh;      /* first one that was never used */
	uint32_t free;       /* newest of the chain; SESSION_NONE: none */
	size_t count;
	uint64_t next_id;
} __attribute__((aligned(64)));

struct sessions {
	struct session *slot;
	size_t own_bytes; /* of the mapping; 0: it is not ours */
	unsigned workers;
	uint32_t generation;
	struct range range[];
};

/* --- Slots -------------------------------------------------------------- */

/* Slots of one worker; a quarter more for the tails of long names. */
static size_t slots_each(size_t per_worker)
{
	return per_worker + per_worker / 4 + 64;
}

uint32_t sessions_slots(unsigned workers, size_t per_worker)
{
	size_t each;

	if (workers == 0 || per_worker > UINT32_MAX / 2)
		return 0;
	each = slots_each(per_worker);
	if (each > (UINT32_MAX - 1) / workers)
		return 0;
	return (uint32_t)(1 + each * workers); /* slot 0 is nobody's */
}

static int map_slots(struct sessions *a, uint32_t count)
{
	size_t bytes = (size_t)count * SESSION_SLOT_BYTES;

	a->slot = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (a->slot == MAP_FAILED)
		return -ENOMEM;
	a->own_bytes = bytes;
	return 0;
}

int sessions_new(struct sessions **ret, unsigned workers, size_t per_worker,
		 struct session *slots, uint32_t generation)
{
	uint32_t count = sessions_slots(workers, per_worker);
	size_t each = slots_each(per_worker);
	struct sessions *a;

	if (count == 0)
		return -ENOMEM;
	a = aligned_alloc(64, sizeof(*a) + 64 + workers * sizeof(a->range[0]));
	if (!a)
		return -ENOMEM;
	memset(a, 0, sizeof(*a) + workers * sizeof(a->range[0]));
	a->workers = workers;
	a->generation = generation;
	a->slot = slots;
	if (!slots && map_slots(a, count) < 0) {
		free(a);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < workers; i++) {
		a->range[i].first = (uint32_t)(1 + each * i);
		a->range[i].end = (uint32_t)(1 + each * (i + 1));
		a->range[i].fresh = a->range[i].first;
		a->range[i].next_id = (uint64_t)i << 48 | 1;
	}
	*ret = a;
	return 0;
}

void sessions_free(struct sessions *a)
{
	if (!a)
		return;
	if (a->own_bytes)
		(void)munmap(a->slot, a->own_bytes);
	free(a);
}

void session_begin(struct session *s)
{
	__atomic_store_n(&s->sequence, s->sequence + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

void session_end(struct session *s)
{
	uint32_t next = s->sequence + 1;

	__atomic_store_n(&s->sequence, next ? next : 2, __ATOMIC_RELEASE);
}

static bool read_once(const struct session *s, struct session *ret)
{
	uint32_t before = __atomic_load_n(&s->sequence, __ATOMIC_ACQUIRE);

	if (before & 1)
		return false;
	memcpy(ret, s, sizeof(*ret));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&s->sequence, __ATOMIC_RELAXED) == before;
}

bool session_read(const struct session *s, struct session *ret)
{
	for (int tries = 0; tries < 1000; tries++)
		if (read_once(s, ret))
			return true;
	return false;
}

static uint32_t slot_take(struct sessions *a, struct range *r)
{
	uint32_t i = r->free;

	if (i != SESSION_NONE)
		r->free = a->slot[i].more;
	else if (r->fresh < r->end)
		i = r->fresh++;
	return i;
}

static void slot_give(struct sessions *a, struct range *r, uint32_t i)
{
	struct session *s = &a->slot[i];

	session_begin(s);
	session_set_state(s, SESSION_FREE);
	s->more = r->free;
	session_end(s);
	r->free = i;
}

/*
 * Empties a slot but for its sequence count, which readers rely on, and its
 * state, which they look at before they do.
 */
static void slot_clear(struct session *s, enum session_state state)
{
	size_t rest = offsetof(struct session, state) + 1;

	memset((char *)s + rest, 0, sizeof(*s) - rest);
	session_set_state(s, state);
}

struct session *sessions_open(struct sessions *a, unsigned worker)
{
	struct range *r = &a->range[worker];
	uint32_t i = slot_take(a, r);
	struct session *s;

	if (i == SESSION_NONE)
		return NULL;
	s = &a->slot[i];
	session_begin(s);
	slot_clear(s, SESSION_HANDSHAKE);
	s->worker = (uint16_t)worker;
	s->generation = a->generation;
	s->id = r->next_id++;
	session_end(s);
	r->count++;
	return s;
}

void sessions_close(struct sessions *a, struct session *s)
{
	struct range *r = &a->range[s->worker];

	if (s->more != SESSION_NONE)
		slot_give(a, r, s->more);
	slot_give(a, r, (uint32_t)(s - a->slot));
	r->count--;
}

uint32_t sessions_slot(const struct sessions *a, const struct session *s)
{
	return (uint32_t)(s - a->slot);
}

size_t sessions_count(const struct sessions *a, unsigned worker)
{
	return a->range[worker].count;
}

void sessions_set_host(struct sessions *a, struct session *s, struct span host)
{
	size_t here = min_size(host.len, sizeof(s->host));
	struct session_tail *tail;
	size_t rest = min_size(host.len - here, sizeof(tail->bytes));

	memcpy(s->host, host.at, here);
	s->host_len = (uint8_t)here;
	if (s->more != SESSION_NONE) /* of another name, which it asked first */
		slot_give(a, &a->range[s->worker], s->more);
	s->more = SESSION_NONE;
	if (rest == 0)
		return;
	s->more = slot_take(a, &a->range[s->worker]);
	if (s->more == SESSION_NONE)
		return;
	session_begin(&a->slot[s->more]);
	slot_clear(&a->slot[s->more], SESSION_MORE);
	tail = (struct session_tail *)&a->slot[s->more];
	tail->len = (uint8_t)rest;
	tail->id = s->id;
	memcpy(tail->bytes, host.at + here, rest);
	session_end(&a->slot[s->more]);
}

struct span sessions_host_tail(const struct sessions *a,
			       const struct session *s)
{
	const struct session_tail *tail = (const struct session_tail *)&a
						  ->slot[s->more];

	if (s->more == SESSION_NONE)
		return (struct span){ 0 };
	return (struct span){ .at = (const uint8_t *)tail->bytes,
			      .len = tail->len };
}

/* --- For readers -------------------------------------------------------- */

size_t session_host(const struct session *copy, const struct session *slots,
		    uint32_t slot_count, char *out, size_t size)
{
	size_t len = min_size(copy->host_len, sizeof(copy->host));
	struct session_tail tail = { .len = 0 };
	struct session slot;

	if (size == 0)
		return 0;
	/* The slot may have become another's since the record was read. */
	if (copy->more != SESSION_NONE && copy->more < slot_count &&
	    session_read(&slots[copy->more], &slot)) {
		memcpy(&tail, &slot, sizeof(tail));
		if (tail.state != SESSION_MORE || tail.id != copy->id)
			tail.len = 0;
	}
	len = min_size(len, size - 1);
	memcpy(out, copy->host, len);
	if (len == sizeof(copy->host)) {
		size_t rest = min_size(tail.len, sizeof(tail.bytes));

		rest = min_size(rest, size - 1 - len);
		memcpy(out + len, tail.bytes, rest);
		len += rest;
	}
	out[len] = '\0';
	return len;
}

void session_walk_init(struct session_walk *w, const struct session *slots,
		       uint32_t slot_count, unsigned workers, bool dead)
{
	*w = (struct session_walk){
		.slots = slots,
		.count = slot_count,
		.next = 1,
		.patience = WALK_PATIENCE,
		.dead = dead,
	};
	if (slot_count > 1 && workers > 0)
		w->each = (slot_count - 1) / workers;
	if (w->each == 0)
		w->each = UINT32_MAX;
}

static bool state_is_used(unsigned state)
{
	return state > SESSION_FREE && state < SESSION_MORE;
}

static void bound_family(struct tcp_addr *a)
{
	if (a->family != AF_INET && a->family != AF_INET6)
		a->family = AF_UNSPEC;
}

/* Makes a copy of whatever there was safe to index and print with. */
static void bound_record(struct session *s, uint32_t slot_count)
{
	s->user_len = (uint8_t)min_size(s->user_len, sizeof(s->user));
	s->host_len = (uint8_t)min_size(s->host_len, sizeof(s->host));
	if (s->more >= slot_count)
		s->more = SESSION_NONE;
	bound_family(&s->client);
	bound_family(&s->target);
	bound_family(&s->bound);
}

/*
 * As session_read(), for a writer that may have lost its processor in the
 * middle of a change, or its life.  One that was broken into might never have
 * ended any, so the patience is for the whole way.
 */
static bool read_patiently(struct session_walk *w, const struct session *s,
			   struct session *ret)
{
	if (w->dead) {
		memcpy(ret, s, sizeof(*ret));
		return true;
	}
	while (!read_once(s, ret)) {
		if (w->patience == 0)
			return false;
		if (--w->patience % 16 == 0)
			(void)sched_yield();
	}
	return true;
}

bool session_walk_next(struct session_walk *w, struct session *ret)
{
	while (w->next < w->count) {
		const struct session *s = &w->slots[w->next];

		if (__atomic_load_n(&s->sequence, __ATOMIC_RELAXED) == 0) {
			/* Nor is there anything in the rest of the range. */
			w->next += w->each - (w->next - 1) % w->each;
			continue;
		}
		w->next++;
		if (!state_is_used(
			    __atomic_load_n(&s->state, __ATOMIC_RELAXED)) ||
		    !read_patiently(w, s, ret) || !state_is_used(ret->state))
			continue;
		bound_record(ret, w->count);
		return true;
	}
	return false;
}
