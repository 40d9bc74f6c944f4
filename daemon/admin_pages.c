/*
 * The paths of the admin listener, and those that are short.  Whoever adds one
 * writes a row in paths[] and a function that fills the body from the view;
 * it runs on the thread's own stack and must not suspend.
 */
#include "daemon/admin_pages.h"

#include <string.h>
#include <time.h>

#define JSON_FLAGS (JSON_COMPACT | JSON_ENSURE_ASCII)

static int64_t monotonic_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

json_t *admin_text(const char *text, size_t len)
{
	json_t *j = json_stringn(text, len);

	return j ? j : json_string("");
}

/* Takes the object, NULL too. */
static int put_json(struct admin_answer *a, json_t *j)
{
	int r = j ? json_dumpf(j, a->body, JSON_FLAGS) : -1;

	json_decref(j);
	return r < 0 || putc('\n', a->body) == EOF ? -ENOMEM : 0;
}

/* --- Health -------------------------------------------------------------- */

static const char *state_of(const struct admin_answer *a)
{
	const char *state = json_string_value(
		json_object_get(a->view->status, "state"));

	return state ? state : "";
}

/* Whoever sends clients here asks this one. */
static int make_ready(struct admin_answer *a)
{
	const char *state = state_of(a);
	bool ready = strcmp(state, "serving") == 0;

	a->status = ready ? 200 : 503;
	return fprintf(a->body, "%s\n", ready ? "ok" : state) < 0 ? -ENOMEM : 0;
}

/*
 * How long workers of a generation may stand still: by the configuration that
 * it runs with, since they tick as that one says.  0: for ever.
 */
static int64_t patience_ms(const struct segment *s)
{
	const int64_t *ms;
	uint32_t count;

	ms = segment_table(s, "watch", sizeof(*ms), &count);
	return ms && count ? *ms : 0;
}

/* How long the worker that stands still for longest has done so. */
static int64_t standstill_ms(const struct segment *s, int64_t now)
{
	const struct tcp_worker_counts *w;
	int64_t longest = 0;
	uint32_t count;

	w = segment_table(s, "workers", sizeof(*w), &count);
	for (uint32_t i = 0; w && i < min_size(count, 4096); i++) {
		int64_t tick = __atomic_load_n(&w[i].tick_ms, __ATOMIC_RELAXED);

		if (tick > 0)
			longest = max_i64(longest, now - tick);
	}
	return longest;
}

/* Whoever restarts what hangs asks this one. */
static int make_health(struct admin_answer *a)
{
	int64_t now = monotonic_ms();
	int bad = 0;

	for (size_t i = 0; i < a->view->count; i++) {
		const struct segment *s = a->view->segments[i];
		int64_t bound = patience_ms(s);

		if (bound > 0 && standstill_ms(s, now) > bound)
			bad++;
	}
	a->status = bad ? 503 : 200;
	return fputs(bad ? "a worker stands still\n" : "ok\n", a->body) < 0
		       ? -ENOMEM
		       : 0;
}

/* --- Status -------------------------------------------------------------- */

int admin_metrics(struct metrics *m, const struct admin_view *v)
{
	*m = (struct metrics){ 0 };
	for (size_t i = 0; i < v->count; i++) {
		struct table_about about;

		metrics_add(m, v->segments[i],
			    table_about_read(&about, v->segments[i]));
	}
	return metrics_settle(m);
}

static uint64_t sum(const uint64_t *n, size_t count)
{
	uint64_t all = 0;

	for (size_t i = 0; i < count; i++)
		all += n[i];
	return all;
}

static bool is_drained(const json_t *status, const char *listener)
{
	const json_t *drained = json_object_get(status, "drained");

	for (size_t i = 0; i < json_array_size(drained); i++) {
		const json_t *name = json_array_get(drained, i);

		if (!strcmp(json_string_value(name), listener))
			return true;
	}
	return false;
}

static json_t *json_listeners(const struct metrics *m, const json_t *status)
{
	json_t *all = json_array();

	for (size_t i = 0; all && i < m->listener_count; i++) {
		const struct metrics_listener *l = &m->listeners[i];
		uint64_t sessions = sum(&l->n.sessions[0][0],
					PROTOCOL_COUNTS * OUTCOME_COUNTS);

		(void)json_array_append_new(
			all,
			json_pack("{s:o, s:b, s:I, s:I, s:I}", "name",
				  admin_text(l->name, strlen(l->name)),
				  "draining", is_drained(status, l->name),
				  "sessions", (json_int_t)sessions, "bytes_up",
				  (json_int_t)l->n.bytes_up, "bytes_down",
				  (json_int_t)l->n.bytes_down));
	}
	return all;
}

static json_t *json_parent(const struct metrics_parent *p)
{
	return json_pack("{s:o, s:b, s:I, s:I, s:I, s:I}", "url",
			 admin_text(p->n.parent, strlen(p->n.parent)), "up",
			 p->n.up != 0, "sessions", (json_int_t)p->n.sessions,
			 "failures", (json_int_t)p->n.failures, "bytes_up",
			 (json_int_t)p->n.bytes_up, "bytes_down",
			 (json_int_t)p->n.bytes_down);
}

/* Of the configuration that holds: they stand group by group. */
static json_t *json_upstreams(const struct metrics *m)
{
	json_t *all = json_array(), *parents = NULL;
	const char *group = "";

	for (size_t i = 0; all && i < m->parent_count; i++) {
		const struct metrics_parent *p = &m->parents[i];

		if (!p->lives)
			continue;
		if (!parents || strcmp(group, p->n.upstream) != 0) {
			group = p->n.upstream;
			parents = json_array();
			(void)json_array_append_new(
				all, json_pack("{s:o, s:o}", "name",
					       admin_text(group, strlen(group)),
					       "parents", parents));
		}
		(void)json_array_append_new(parents, json_parent(p));
	}
	return all;
}

static int make_status(struct admin_answer *a)
{
	json_t *j = json_copy(a->view->status);
	struct metrics m;
	int r = admin_metrics(&m, a->view);

	if (j && r == 0) {
		(void)json_object_set_new(j, "listeners",
					  json_listeners(&m, j));
		(void)json_object_set_new(j, "upstreams", json_upstreams(&m));
		(void)json_object_set_new(
			j, "limits",
			json_pack("{s:I, s:o}", "connections",
				  (json_int_t)a->admin->setup->max_connections,
				  "fullest", admin_fullest(a->view)));
		(void)json_object_set_new(j, "live", admin_running(a->view));
	}
	metrics_done(&m);
	if (r == 0)
		return put_json(a, j);
	json_decref(j);
	return r;
}

/* --- All of them --------------------------------------------------------- */

#define JSON "application/json"
#define TEXT "text/plain; charset=utf-8"

static const struct admin_path paths[] = {
	{ "/", "text/html; charset=utf-8", false, false, admin_make_page },
	{ "/proxy.pac", "application/x-ns-proxy-autoconfig", false, true,
	  admin_make_pac },
	{ "/metrics", TEXT, true, false, admin_make_metrics },
	{ "/status.json", JSON, true, false, make_status },
	{ "/sessions.json", JSON, true, false, admin_make_sessions },
	{ "/healthz", TEXT, true, true, make_health },
	{ "/readyz", TEXT, true, true, make_ready },
};

const struct admin_path *admin_path_find(struct span path)
{
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (strlen(paths[i].path) == path.len &&
		    memcmp(paths[i].path, path.at, path.len) == 0)
			return &paths[i];
	return NULL;
}
