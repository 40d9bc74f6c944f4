/*
 * Slots in one mapping.  Free slots of a range are chained by number through
 * the `more` field, so that the array holds no pointer at all; a range's
 * untouched end is handed out last and costs nothing until then.
 */
#include "daemon/proxy/sessions.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A slot that holds the tail of another's host name. */
struct session_tail {
	uint32_t sequence;
	uint8_t state; /* SESSION_MORE */
	uint8_t len;
	char bytes[SESSION_SLOT_BYTES - 6];
};

_Static_assert(sizeof(struct session_tail) == SESSION_SLOT_BYTES &&
		       offsetof(struct session_tail, state) ==
			       offsetof(struct session, state),
	       "a tail is a slot like any other");

struct range {
	uint32_t first, end; /* slots of this worker: first..end-1 */
	uint32_t fresh;      /* first one that was never used */
	uint32_t free;       /* newest of the chain; SESSION_NONE: none */
	size_t count;
	uint64_t next_id;
} __attribute__((aligned(64)));

struct sessions {
	struct session *slot;
	size_t bytes;
	unsigned workers;
	struct range range[];
};

int sessions_new(struct sessions **ret, unsigned workers, size_t per_worker)
{
	/* A quarter more for the tails of long names; slot 0 is nobody's. */
	size_t each = per_worker + per_worker / 4 + 64;
	struct sessions *a;

	if (each > (UINT32_MAX - 1) / workers)
		return -ENOMEM;
	a = aligned_alloc(64, sizeof(*a) + 64 + workers * sizeof(a->range[0]));
	if (!a)
		return -ENOMEM;
	memset(a, 0, sizeof(*a) + workers * sizeof(a->range[0]));
	a->workers = workers;
	a->bytes = (1 + each * workers) * SESSION_SLOT_BYTES;
	a->slot = mmap(NULL, a->bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (a->slot == MAP_FAILED) {
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
	(void)munmap(a->slot, a->bytes);
	free(a);
}

void session_begin(struct session *s)
{
	__atomic_store_n(&s->sequence, s->sequence + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

void session_end(struct session *s)
{
	__atomic_store_n(&s->sequence, s->sequence + 1, __ATOMIC_RELEASE);
}

bool session_read(const struct session *s, struct session *ret)
{
	for (int tries = 0; tries < 1000; tries++) {
		uint32_t before = __atomic_load_n(&s->sequence,
						  __ATOMIC_ACQUIRE);

		if (before & 1)
			continue;
		memcpy(ret, s, sizeof(*ret));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&s->sequence, __ATOMIC_RELAXED) == before)
			return true;
	}
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
	s->state = SESSION_FREE;
	s->more = r->free;
	session_end(s);
	r->free = i;
}

/* Empties a slot but for its sequence count, which readers rely on. */
static void slot_clear(struct session *s, enum session_state state)
{
	size_t head = sizeof(s->sequence);

	memset((char *)s + head, 0, sizeof(*s) - head);
	s->state = (uint8_t)state;
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
	s->worker = worker;
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
	if (rest == 0)
		return;
	s->more = slot_take(a, &a->range[s->worker]);
	if (s->more == SESSION_NONE)
		return;
	session_begin(&a->slot[s->more]);
	slot_clear(&a->slot[s->more], SESSION_MORE);
	tail = (struct session_tail *)&a->slot[s->more];
	tail->len = (uint8_t)rest;
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
