/*
 * Adding up.  Nothing in a segment is trusted: a process that was broken into
 * wrote it.  Rows are copied out, so that nobody changes them under our hands,
 * and by pread(2), so that pages which nobody has touched do not come to be.
 */
#include "daemon/metrics.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 65536u /* workers and listeners multiplied */
#define CHUNK    64u

/* Room for one more, in memory that is aligned as counters are. */
static void *grow(void *at, size_t count, size_t *room, size_t size)
{
	size_t wanted = *room ? *room * 2 : 16;
	void *fresh;

	if (count < *room)
		return at;
	fresh = aligned_alloc(64, wanted * size);
	if (!fresh)
		return NULL;
	if (count)
		memcpy(fresh, at, count * size);
	free(at);
	*room = wanted;
	return fresh;
}

static void add_all(uint64_t *to, const uint64_t *from, size_t count)
{
	for (size_t i = 0; i < count; i++)
		to[i] += from[i];
}

static void add_listener_counts(struct listener_counts *to,
				const struct listener_counts *from)
{
	add_all(&to->sessions[0][0], &from->sessions[0][0],
		PROTOCOL_COUNTS * OUTCOME_COUNTS);
	to->bytes_up += from->bytes_up;
	to->bytes_down += from->bytes_down;
	for (unsigned k = 0; k < HISTOGRAM_KINDS; k++) {
		add_all(to->took[k].bucket, from->took[k].bucket,
			HISTOGRAM_BUCKETS);
		to->took[k].sum_ms += from->took[k].sum_ms;
	}
}

/* --- Listeners ----------------------------------------------------------- */

static struct metrics_listener *find_listener(struct metrics *m,
					      const char *name)
{
	struct metrics_listener *l;

	for (size_t i = 0; i < m->listener_count; i++)
		if (strcmp(m->listeners[i].name, name) == 0)
			return &m->listeners[i];
	if (m->listener_count == METRICS_LISTENERS_MAX)
		return NULL;
	l = aligned_alloc(64, (m->listener_count + 1) * sizeof(*l));
	if (!l) {
		m->error = -ENOMEM;
		return NULL;
	}
	if (m->listener_count)
		memcpy(l, m->listeners, m->listener_count * sizeof(*l));
	free(m->listeners);
	m->listeners = l;
	l += m->listener_count++;
	memset(l, 0, sizeof(*l));
	(void)stpncpy(l->name, name, sizeof(l->name) - 1);
	return l;
}

/* Of the listener of this number in this segment. */
static struct metrics_listener *
listener_of(struct metrics *m, const struct segment *s, unsigned number)
{
	struct table_name name;

	table_name_read(&name, s, "listeners", number);
	return *name.text ? find_listener(m, name.text) : NULL;
}

/* How many there are: one more has room, so that there is a table. */
static uint32_t listener_count(const struct segment *s)
{
	uint32_t count = 0;

	if (!segment_table(s, "listeners", sizeof(struct table_name), &count))
		return 0;
	return count ? count - 1 : 0;
}

static void add_listeners(struct metrics *m, const struct segment *s)
{
	const struct listener_counts *rows;
	struct listener_counts *copy;
	uint32_t count, listeners = listener_count(s);

	rows = segment_table(s, "by-listener", sizeof(*rows), &count);
	if (!rows || !listeners || count > ROWS_MAX || count % listeners)
		return;
	copy = aligned_alloc(64, sizeof(*copy));
	if (!copy)
		m->error = -ENOMEM;
	for (uint32_t i = 0; copy && i < count; i++) {
		struct metrics_listener *l = listener_of(m, s,
							 i % listeners + 1);

		if (l && segment_peek(s, &rows[i], copy, sizeof(*copy)) == 0)
			add_listener_counts(&l->n, copy);
	}
	free(copy);
}

/* --- Parents ------------------------------------------------------------- */

static void add_parent(struct metrics *m, const struct parent_counts *row,
		       bool lives)
{
	void *room;

	if (!*row->upstream || m->parent_count > 16 * METRICS_PARENTS_MAX)
		return;
	room = grow(m->parents, m->parent_count, &m->parent_room,
		    sizeof(*m->parents));
	if (!room) {
		m->error = -ENOMEM;
		return;
	}
	m->parents = room;
	m->parents[m->parent_count] = (struct metrics_parent){ *row, lives };
	m->parents[m->parent_count].n.upstream[sizeof(row->upstream) - 1] = 0;
	m->parents[m->parent_count].n.parent[sizeof(row->parent) - 1] = 0;
	m->parent_count++;
}

static void add_parents(struct metrics *m, const struct segment *s, bool lives)
{
	const struct parent_counts *rows;
	struct parent_counts copy;
	uint32_t count;

	rows = segment_table(s, "by-parent", sizeof(*rows), &count);
	for (uint32_t i = 0; rows && i < count && i < METRICS_PARENTS_MAX; i++)
		if (segment_peek(s, &rows[i], &copy, sizeof(copy)) == 0)
			add_parent(m, &copy, lives);
}

/* --- Users --------------------------------------------------------------- */

static void add_user(struct metrics *m, const struct user_counts *row)
{
	void *room;

	if (row->name_len == 0 || row->name_len > sizeof(row->name))
		return;
	room = grow(m->users, m->user_count, &m->user_room, sizeof(*m->users));
	if (!room) {
		m->error = -ENOMEM;
		return;
	}
	m->users = room;
	m->users[m->user_count++] = *row;
}

static void add_counts(struct user_counts *to, const struct user_counts *from)
{
	to->sessions += from->sessions;
	to->bytes_up += from->bytes_up;
	to->bytes_down += from->bytes_down;
}

static void add_users(struct metrics *m, const struct segment *s)
{
	const struct user_counts *rows;
	struct user_counts chunk[8];
	uint32_t count;

	rows = segment_table(s, "by-user", sizeof(*rows), &count);
	if (!rows || count > 4 * METRICS_USERS_MAX)
		return;
	m->users_wanted = true;
	for (uint32_t i = 0; i < count; i += ARRAY_SIZE(chunk)) {
		size_t n = min_size(count - i, ARRAY_SIZE(chunk));

		if (segment_peek(s, &rows[i], chunk, n * sizeof(*rows)) < 0)
			return;
		for (size_t k = 0; k < n; k++) {
			if (i + k == 0)
				add_counts(&m->others, &chunk[k]);
			else if (chunk[k].taken == 2)
				add_user(m, &chunk[k]);
		}
	}
}

/* --- What is not of anybody ---------------------------------------------- */

static void add_usage(struct metrics *m, const struct segment *s, bool lives)
{
	const struct tcp_worker_usage *rows;
	struct tcp_worker_usage copy;
	uint32_t count;

	rows = segment_table(s, "usage", sizeof(*rows), &count);
	for (uint32_t i = 0; rows && i < min_size(count, 4096); i++) {
		if (segment_peek(s, &rows[i], &copy, sizeof(copy)) < 0)
			return;
		m->usage.tls_handshakes += copy.tls_handshakes;
		m->usage.tls_failures += copy.tls_failures;
		m->usage.pipes += lives ? copy.pipes : 0;
		m->usage.buffer_bytes += lives ? copy.buffer_bytes : 0;
	}
}

static void add_names(struct metrics *m, const struct segment *s, bool lives)
{
	const struct resolver_counts *rows;
	struct resolver_counts copy;
	uint32_t count;

	rows = segment_table(s, "names", sizeof(*rows), &count);
	for (uint32_t i = 0; rows && i < min_size(count, 4096); i++) {
		if (segment_peek(s, &rows[i], &copy, sizeof(copy)) < 0)
			return;
		m->names.hits += copy.hits;
		m->names.misses += copy.misses;
		m->names.entries += lives ? copy.entries : 0;
		m->names.pending += lives ? copy.pending : 0;
	}
}

static void add_process(struct metrics *m, const struct segment *s, bool lives)
{
	const struct table_process *row;
	struct table_process copy;
	uint32_t count;

	row = segment_table(s, "process", sizeof(*row), &count);
	if (!row || segment_peek(s, row, &copy, sizeof(copy)) < 0)
		return;
	m->process.logins_done += copy.logins_done;
	m->process.logins_refused += copy.logins_refused;
	m->process.log_dropped += copy.log_dropped;
	m->process.logins_waiting += lives ? copy.logins_waiting : 0;
	m->process.login_threads += lives ? copy.login_threads : 0;
}

void metrics_add(struct metrics *m, const struct segment *s, bool lives)
{
	add_listeners(m, s);
	add_parents(m, s, lives);
	add_users(m, s);
	add_usage(m, s, lives);
	add_names(m, s, lives);
	add_process(m, s, lives);
}

/* --- Order --------------------------------------------------------------- */

static int compare_parents(const void *a, const void *b)
{
	const struct metrics_parent *x = a, *y = b;
	int order = strcmp(x->n.upstream, y->n.upstream);

	return order ? order : strcmp(x->n.parent, y->n.parent);
}

static int compare_users(const void *a, const void *b)
{
	const struct user_counts *x = a, *y = b;
	int order = memcmp(x->name, y->name,
			   min_size(x->name_len, y->name_len));

	return order ? order
		     : (x->name_len > y->name_len) -
			       (x->name_len < y->name_len);
}

static int compare_listeners(const void *a, const void *b)
{
	const struct metrics_listener *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Those that live are behind the dead, and the newest last: not after this. */
static void merge_parents(struct metrics *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->parent_count; i++) {
		struct metrics_parent *to = kept ? &m->parents[kept - 1] : NULL;
		const struct metrics_parent *p = &m->parents[i];

		if (!to || compare_parents(to, p) != 0) {
			m->parents[kept++] = *p;
			continue;
		}
		to->n.sessions += p->n.sessions;
		to->n.bytes_up += p->n.bytes_up;
		to->n.bytes_down += p->n.bytes_down;
		to->n.failures += p->n.failures;
		/* Old generations may not know yet that it is well. */
		if (p->lives)
			to->n.up = to->lives ? to->n.up | p->n.up : p->n.up;
		to->lives |= p->lives;
	}
	m->parent_count = min_size(kept, METRICS_PARENTS_MAX);
}

static void merge_users(struct metrics *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->user_count; i++) {
		const struct user_counts *u = &m->users[i];

		if (kept && compare_users(&m->users[kept - 1], u) == 0)
			add_counts(&m->users[kept - 1], u);
		else if (kept < METRICS_USERS_MAX)
			m->users[kept++] = *u;
		else
			add_counts(&m->others, u);
	}
	m->user_count = kept;
}

int metrics_settle(struct metrics *m)
{
	if (m->listener_count)
		qsort(m->listeners, m->listener_count, sizeof(*m->listeners),
		      compare_listeners);
	if (m->parent_count)
		qsort(m->parents, m->parent_count, sizeof(*m->parents),
		      compare_parents);
	if (m->user_count)
		qsort(m->users, m->user_count, sizeof(*m->users),
		      compare_users);
	merge_parents(m);
	merge_users(m);
	return m->error;
}

void metrics_done(struct metrics *m)
{
	free(m->listeners);
	free(m->parents);
	free(m->users);
	*m = (struct metrics){ 0 };
}

/* --- The dead ------------------------------------------------------------ */

/* Sessions that nobody has closed ended with their process. */
static void add_lost(struct metrics *m, const struct segment *s)
{
	struct session_walk w;
	struct session copy;
	uint32_t count;

	if (!segment_table(s, "by-listener", sizeof(struct listener_counts),
			   &count))
		return;
	table_sessions_walk(&w, s, false, NULL);
	while (session_walk_next(&w, &copy)) {
		struct metrics_listener *l;
		unsigned protocol = copy.protocol % PROTOCOL_COUNTS;

		if (copy.state == SESSION_ENDED)
			continue;
		l = listener_of(m, s, copy.listener);
		if (!l)
			continue;
		l->n.sessions[protocol][METRICS_LOST]++;
		l->n.bytes_up += copy.bytes_up;
		l->n.bytes_down += copy.bytes_down;
	}
}

static void *table(const struct segment *s, const char *name, size_t size)
{
	uint32_t count;

	return segment_table(s, name, (uint32_t)size, &count);
}

static void fill(const struct segment *s, const struct metrics *m)
{
	struct listener_counts *l = table(s, "by-listener", sizeof(*l));
	struct table_name *names = table(s, "listeners", sizeof(*names));
	struct parent_counts *p = table(s, "by-parent", sizeof(*p));
	struct user_counts *u = table(s, "by-user", sizeof(*u));

	for (size_t i = 0; i < m->listener_count; i++) {
		l[i] = m->listeners[i].n;
		memcpy(names[i].text, m->listeners[i].name,
		       sizeof(names[i].text));
	}
	for (size_t i = 0; i < m->parent_count; i++)
		p[i] = m->parents[i].n;
	if (u)
		u[0] = m->others;
	for (size_t i = 0; u && i < m->user_count; i++)
		u[i + 1] = m->users[i];
	*(struct table_process *)table(
		s, "process", sizeof(struct table_process)) = m->process;
	*(struct resolver_counts *)table(
		s, "names", sizeof(struct resolver_counts)) = m->names;
	*(struct tcp_worker_usage *)table(
		s, "usage", sizeof(struct tcp_worker_usage)) = m->usage;
}

static int store(struct segment **ret, const struct metrics *m)
{
	uint32_t listeners = (uint32_t)m->listener_count;
	const struct segment_spec specs[] = {
		{ "listeners", sizeof(struct table_name), listeners + 1 },
		{ "by-listener", sizeof(struct listener_counts),
		  listeners ? listeners : 1 },
		{ "by-parent", sizeof(struct parent_counts),
		  (uint32_t)m->parent_count + 1 },
		{ "process", sizeof(struct table_process), 1 },
		{ "names", sizeof(struct resolver_counts), 1 },
		{ "usage", sizeof(struct tcp_worker_usage), 1 },
		{ "by-user", sizeof(struct user_counts),
		  (uint32_t)m->user_count + 1 },
	};
	unsigned count = ARRAY_SIZE(specs) - (m->users_wanted ? 0 : 1);
	int r = segment_new(ret, specs, count);

	if (r == 0)
		fill(*ret, m);
	return r;
}

int metrics_bury(struct segment **ret, const struct segment *old,
		 const struct segment *dead)
{
	struct metrics m = { 0 };
	uint32_t count;
	int r;

	*ret = NULL;
	if (!old && !segment_table(dead, "by-listener",
				   sizeof(struct listener_counts), &count))
		return 0;
	if (old)
		metrics_add(&m, old, false);
	metrics_add(&m, dead, false);
	add_lost(&m, dead);
	r = metrics_settle(&m);
	if (r == 0)
		r = store(ret, &m);
	metrics_done(&m);
	return r;
}
