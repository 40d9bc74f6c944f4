/*
 * Samples.  A record changes once a second, at another moment than we look: the
 * rate of a session is the difference of two states of its record over the time
 * between these, and stays until there is another one.  What ends in between is
 * in the daemon's totals, so that none is lost; these have our own time.
 */
#include "daemon/ctl/top_model.h"

#include "daemon/ctl/human.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TELL_MS  1000 /* a record of what moves is not older, */
#define STALE_MS 2000 /* and this old only where nothing moves */

/* The array with room for one more of `size` bytes; NULL: no memory. */
static void *with_room(void *at, size_t *room, size_t count, size_t size)
{
	size_t more = *room ? *room * 2 : 64;

	if (count < *room)
		return at;
	at = reallocarray(at, more, size);
	if (at)
		*room = more;
	return at;
}

#define MAKE_ROOM(list, room, count)                                           \
	({                                                                     \
		void *at_ = with_room(list, &(room), count, sizeof(*(list)));  \
		if (at_)                                                       \
			(list) = at_;                                          \
		at_ != NULL;                                                   \
	})

void top_done(struct top *t)
{
	free(t->sessions);
	free(t->users);
	free(t->generations);
	free(t->workers);
	free(t->seen);
	free(t->before);
	memset(t, 0, sizeof(*t));
}

/* --- Collecting ---------------------------------------------------------- */

static int64_t number_in(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static void text_in(const json_t *j, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(j, key));

	(void)human_text(text ? text : "", out, size);
}

void top_begin(struct top *t, int64_t now_ms)
{
	struct top_before *spare = t->before;
	size_t room = t->before_room;

	t->before = t->seen;
	t->before_count = t->seen_count;
	t->before_room = t->seen_room;
	t->seen = spare;
	t->seen_room = room;
	t->last = t->answers ? t->now : (struct top_counts){ 0 };
	t->now = (struct top_counts){ .at_ms = now_ms };
	t->session_count = t->user_count = t->generation_count = 0;
	t->worker_count = t->seen_count = 0;
	memset(t->live_rate, 0, sizeof(t->live_rate));
}

void top_add_status(struct top *t, const json_t *j)
{
	const json_t *now = json_object_get(j, "connections");
	const json_t *totals = json_object_get(j, "totals");

	text_in(j, "state", t->state, sizeof(t->state));
	text_in(j, "version", t->version, sizeof(t->version));
	t->uptime_ms = number_in(j, "uptime_s") * 1000;
	t->serving = (uint32_t)number_in(j, "generation");
	t->crashes = number_in(j, "crashes");
	t->active = number_in(now, "active");
	t->handshakes = number_in(now, "handshakes");
	t->tunnels = number_in(now, "tunnels");
	t->now.up = (uint64_t)number_in(totals, "bytes_up");
	t->now.down = (uint64_t)number_in(totals, "bytes_down");
	t->now.accepted = (uint64_t)number_in(totals, "accepted");
}

int top_add_generation(struct top *t, const json_t *j)
{
	const json_t *now = json_object_get(j, "connections");
	struct top_generation *g;

	if (!MAKE_ROOM(t->generations, t->generation_room, t->generation_count))
		return -ENOMEM;
	g = &t->generations[t->generation_count++];
	*g = (struct top_generation){
		.number = (uint32_t)number_in(j, "generation"),
		.pid = number_in(j, "pid"),
		.age_ms = number_in(j, "age_s") * 1000,
		.active = number_in(now, "active"),
		.tunnels = number_in(now, "tunnels"),
		.accepted = number_in(j, "accepted"),
	};
	text_in(j, "state", g->state, sizeof(g->state));
	text_in(j, "version", g->version, sizeof(g->version));
	return 0;
}

int top_add_worker(struct top *t, const struct top_worker *w)
{
	if (!MAKE_ROOM(t->workers, t->worker_room, t->worker_count))
		return -ENOMEM;
	t->workers[t->worker_count++] = *w;
	return 0;
}

static int compare_before(const void *a, const void *b)
{
	const struct top_before *x = a, *y = b;

	if (x->generation != y->generation)
		return x->generation < y->generation ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

static const struct top_before *find_before(const struct top *t,
					    const struct top_before *n)
{
	if (!t->before_count)
		return NULL;
	return bsearch(n, t->before, t->before_count, sizeof(*n),
		       compare_before);
}

/* False where nothing was before, or another request has the record now. */
static bool goes_on(const struct top_before *b, const struct top_before *n)
{
	return b && b->bytes[0] <= n->bytes[0] && b->bytes[1] <= n->bytes[1];
}

static bool is_the_same(const struct top_before *b, const struct top_before *n)
{
	return b->bytes[0] == n->bytes[0] && b->bytes[1] == n->bytes[1];
}

/*
 * The time in which it has moved what is new.  One that was at rest when we
 * looked last has done so since.
 */
static int64_t moved_in(const struct top *t, const struct top_before *b,
			const struct top_before *n)
{
	int64_t sample = t->now.at_ms - t->last.at_ms;
	int64_t own = b ? n->changed_ms - b->changed_ms : 0;

	if (own <= 0)
		return sample;
	if (t->last.at_ms - b->changed_ms < STALE_MS)
		return own;
	return min_i64(own, max_i64(sample, TELL_MS));
}

static void note_rate(const struct top *t, struct top_before *n, int64_t age_ms)
{
	static const struct top_before nothing;
	const struct top_before *b = find_before(t, n);
	int64_t sample = t->now.at_ms - t->last.at_ms, ms;

	if (t->last.at_ms == 0 || sample <= 0)
		return;
	/* It was not seen, for want of a sample; or is another one now. */
	if ((!b && age_ms > sample) || (b && !goes_on(b, n)))
		return;
	if (b && is_the_same(b, n)) {
		if (t->now.at_ms - n->changed_ms < STALE_MS)
			memcpy(n->rate, b->rate, sizeof(n->rate));
		return;
	}
	ms = moved_in(t, b, n);
	b = b ? b : &nothing;
	for (int i = 0; i < 2; i++)
		n->rate[i] = (n->bytes[i] - b->bytes[i]) * 1000 / (uint64_t)ms;
}

static void fill(struct top_session *s, const struct row *r,
		 const struct top_before *n)
{
	char user[SESSION_USER_BYTES + 1], target[ROW_TARGET_BYTES];
	size_t len = min_size(r->session.user_len, SESSION_USER_BYTES);

	memcpy(user, r->session.user, len);
	user[len] = '\0';
	s->bytes = n->bytes[0] + n->bytes[1];
	s->rate = n->rate[0] + n->rate[1];
	s->age_ms = r->age_ms;
	s->idle_ms = r->idle_ms;
	s->client = r->session.client;
	s->state = row_state_word(r->session.state);
	(void)row_id(r, s->id);
	(void)human_text(user, s->user, sizeof(s->user));
	(void)snprintf(s->target, sizeof(s->target), "%s",
		       row_target(r, target));
}

int top_add_row(struct top *t, const struct row *r)
{
	struct top_before *n;

	if (!MAKE_ROOM(t->seen, t->seen_room, t->seen_count))
		return -ENOMEM;
	n = &t->seen[t->seen_count++];
	*n = (struct top_before){
		.generation = r->session.generation,
		.id = r->session.id,
		.bytes = { r->session.bytes_up, r->session.bytes_down },
		/* Whatever it says: the past. */
		.changed_ms = min_i64(max_i64(r->session.changed_ms, 0),
				      t->now.at_ms),
	};
	note_rate(t, n, r->age_ms);
	t->live_rate[0] += n->rate[0];
	t->live_rate[1] += n->rate[1];
	if (!filters_match(&t->filters, r))
		return 0;
	if (!MAKE_ROOM(t->sessions, t->session_room, t->session_count))
		return -ENOMEM;
	fill(&t->sessions[t->session_count++], r, n);
	return 0;
}

/* --- Sorting ------------------------------------------------------------- */

static int by_number(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int by_client(const struct top_session *a, const struct top_session *b)
{
	char x[TCPSERVER_ADDR_STRLEN] = "", y[TCPSERVER_ADDR_STRLEN] = "";

	if (a->client.family != AF_UNSPEC)
		(void)tcp_addr_format(&a->client, x, sizeof(x));
	if (b->client.family != AF_UNSPEC)
		(void)tcp_addr_format(&b->client, y, sizeof(y));
	return strverscmp(x, y);
}

/* Those who have not logged in come last. */
static int by_user(const char *a, const char *b)
{
	if (!*a || !*b)
		return !*a - !*b;
	return strcmp(a, b);
}

static int compare_sessions(const void *x, const void *y, void *arg)
{
	const struct top_session *a = x, *b = y;
	int c = 0;

	switch (*(const enum top_sort *)arg) {
	case TOP_TRAFFIC:
		c = by_number(b->rate, a->rate);
		break;
	case TOP_AGE:
		c = by_number((uint64_t)b->age_ms, (uint64_t)a->age_ms);
		break;
	case TOP_IDLE:
		c = by_number((uint64_t)b->idle_ms, (uint64_t)a->idle_ms);
		break;
	case TOP_CLIENT:
		c = by_client(a, b);
		break;
	case TOP_USER:
		c = by_user(a->user, b->user);
		break;
	}
	if (c == 0)
		c = by_number(b->bytes, a->bytes);
	return c ? c : strverscmp(a->id, b->id);
}

static int compare_users(const void *x, const void *y, void *arg)
{
	const struct top_user *a = x, *b = y;
	int c = *(const enum top_sort *)arg == TOP_USER
			? by_user(a->name, b->name)
			: by_number(b->rate, a->rate);

	if (c == 0)
		c = by_number(b->bytes, a->bytes);
	return c ? c : strcmp(a->name, b->name);
}

static int by_name(const void *x, const void *y)
{
	const struct top_session *const *a = x, *const *b = y;

	return strcmp((*a)->user, (*b)->user);
}

/* One for each name; the names stay in the sessions. */
static int add_up_users(struct top *t)
{
	const struct top_session **order = calloc(t->session_count + 1,
						  sizeof(const void *));
	struct top_user *users = calloc(t->session_count + 1, sizeof(*users));
	size_t count = 0;

	if (!order || !users) {
		free(order);
		free(users);
		return -ENOMEM;
	}
	for (size_t i = 0; i < t->session_count; i++)
		order[i] = &t->sessions[i];
	qsort(order, t->session_count, sizeof(const void *), by_name);
	for (size_t i = 0; i < t->session_count; i++) {
		const struct top_session *s = order[i];

		if (!count || strcmp(users[count - 1].name, s->user) != 0)
			users[count++].name = s->user;
		users[count - 1].sessions++;
		users[count - 1].bytes += s->bytes;
		users[count - 1].rate += s->rate;
	}
	free(order);
	free(t->users);
	t->users = users;
	t->user_count = count;
	return 0;
}

size_t top_rows(const struct top *t)
{
	switch (t->view) {
	case TOP_SESSIONS:
		return t->session_count;
	case TOP_USERS:
		return t->user_count;
	case TOP_GENERATIONS:
		/* Behind them stand the heads of the threads. */
		return t->generation_count + 1 + t->worker_count;
	}
	return 0;
}

/* The same session, wherever it is now; else the same row. */
static void find_selected(struct top *t)
{
	size_t rows = top_rows(t);

	if (t->view == TOP_SESSIONS && *t->chosen)
		for (size_t i = 0; i < t->session_count; i++)
			if (strcmp(t->sessions[i].id, t->chosen) == 0)
				t->selected = i;
	if (t->selected >= rows)
		t->selected = rows ? rows - 1 : 0;
}

void top_sort(struct top *t)
{
	if (t->session_count)
		qsort_r(t->sessions, t->session_count, sizeof(*t->sessions),
			compare_sessions, &t->sort);
	/* Their names have moved with the sessions. */
	if (add_up_users(t) < 0)
		t->user_count = 0;
	if (t->user_count)
		qsort_r(t->users, t->user_count, sizeof(*t->users),
			compare_users, &t->sort);
	find_selected(t);
}

/* --- The end of a sample ------------------------------------------------- */

static uint64_t per_second(uint64_t now, uint64_t last, int64_t ms)
{
	return now > last && ms > 0 ? (now - last) * 1000 / (uint64_t)ms : 0;
}

/* Of sessions that have ended since, what was known of them before. */
static void add_gone(const struct top *t, uint64_t ret[2])
{
	const struct top_before *n = t->seen, *end = n + t->seen_count;

	ret[0] = ret[1] = 0;
	for (size_t i = 0; i < t->before_count; i++) {
		const struct top_before *b = &t->before[i];

		while (n < end && compare_before(n, b) < 0)
			n++;
		if (n < end && compare_before(n, b) == 0 && goes_on(b, n))
			continue;
		ret[0] += b->bytes[0];
		ret[1] += b->bytes[1];
	}
}

void top_end(struct top *t)
{
	int64_t ms = t->now.at_ms - t->last.at_ms;
	uint64_t gone[2];

	if (t->seen_count)
		qsort(t->seen, t->seen_count, sizeof(*t->seen), compare_before);
	t->up_rate = t->down_rate = t->accept_rate = 0;
	if (t->last.at_ms) {
		add_gone(t, gone);
		t->up_rate = t->live_rate[0] +
			     per_second(t->now.up, t->last.up + gone[0], ms);
		t->down_rate = t->live_rate[1] +
			       per_second(t->now.down, t->last.down + gone[1],
					  ms);
		t->accept_rate = per_second(t->now.accepted, t->last.accepted,
					    ms);
	}
	t->answers = true;
	t->why[0] = '\0';
	top_sort(t);
}

void top_lost(struct top *t, const char *why)
{
	t->answers = false;
	(void)human_text(why, t->why, sizeof(t->why));
	t->session_count = t->user_count = t->generation_count = 0;
	t->worker_count = t->seen_count = t->before_count = 0;
	t->up_rate = t->down_rate = t->accept_rate = 0;
	t->active = t->handshakes = t->tunnels = 0;
	find_selected(t);
}
