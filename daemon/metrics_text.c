/*
 * Metrics as Prometheus reads them: its text format 0.0.4, or OpenMetrics 1.0
 * where that is asked for.  Names follow its conventions: base units, counters
 * end in _total.  A label's value is a name from a configuration or a user's:
 * escaped, and of those as many as have a bound.
 */
#include "daemon/admin_pages.h"

#include "daemon/proxy/outcome.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define PROMETHEUS  "text/plain; version=0.0.4; charset=utf-8"

struct text {
	FILE *out;
	bool openmetrics;
	const json_t *status;
	const struct metrics *m;
	const struct admin_answer *answer;
};

/* --- Words --------------------------------------------------------------- */

/*
 * Begins a metric.  A counter's samples are called name_total, which in
 * OpenMetrics is not part of its own name.
 */
static void begin(struct text *t, const char *name, const char *type,
		  const char *help)
{
	bool total = strcmp(type, "counter") == 0 && !t->openmetrics;

	(void)fprintf(t->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", name,
		      total ? "_total" : "", help, name, total ? "_total" : "",
		      type);
}

/* A sequence of UTF-8, or what is none as question marks. */
static size_t valid_utf8(const unsigned char *at, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *at < 0x80             ? 1
		   : (*at & 0xe0) == 0xc0 ? 2
		   : (*at & 0xf0) == 0xe0 ? 3
		   : (*at & 0xf8) == 0xf0 ? 4
					  : 0;
	uint32_t code = n == 1 ? *at : n ? *at & (0x7fu >> n) : 0;

	if (!n || n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (at[i] & 0x3f);
	}
	if (code < least[n] || code > 0x10ffff ||
	    (code >= 0xd800 && code < 0xe000))
		return 0;
	return n;
}

/* Between quotes; the three that mean something there get a backslash. */
static void put_value(FILE *out, const char *text, size_t len)
{
	const unsigned char *at = (const unsigned char *)text;

	while (len > 0) {
		size_t n = valid_utf8(at, len);

		if (*at == '\\' || *at == '"')
			(void)fprintf(out, "\\%c", *at);
		else if (*at == '\n')
			(void)fputs("\\n", out);
		else if (n == 0 || *at < ' ' || *at == 0x7f)
			(void)putc('?', out);
		else
			(void)fwrite(at, 1, n, out);
		at += n ? n : 1;
		len -= n ? n : 1;
	}
}

static void put_label(FILE *out, char before, const char *name,
		      const char *value)
{
	(void)fprintf(out, "%c%s=\"", before, name);
	put_value(out, value, strlen(value));
	(void)putc('"', out);
}

/* --- Of the daemon ------------------------------------------------------- */

static json_int_t number(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static void plain(struct text *t, const char *name, const char *type,
		  const char *help, uint64_t value)
{
	begin(t, name, type, help);
	(void)fprintf(t->out, "%s%s %" PRIu64 "\n", name,
		      strcmp(type, "counter") ? "" : "_total", value);
}

static void put_generations(struct text *t)
{
	static const char *const states[] = { "starting", "serving", "draining",
					      "ending" };
	const json_t *all = json_object_get(t->status, "generations");

	begin(t, "spliced_generations", "gauge",
	      "Processes that are alive, by what they do.");
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		unsigned count = 0;

		for (size_t k = 0; k < json_array_size(all); k++) {
			const char *state = json_string_value(json_object_get(
				json_array_get(all, k), "state"));

			count += state && strcmp(state, states[i]) == 0;
		}
		(void)fprintf(t->out, "spliced_generations{state=\"%s\"} %u\n",
			      states[i], count);
	}
}

static void put_daemon(struct text *t)
{
	const json_t *past = json_object_get(t->status, "reloads");
	const json_t *last = json_array_get(past, json_array_size(past) - 1);
	const char *version = json_string_value(
		json_object_get(t->status, "version"));
	const char *state = json_string_value(
		json_object_get(t->status, "state"));

	begin(t, "spliced_build_info", "gauge",
	      "The version of the master, always 1.");
	(void)fputs("spliced_build_info", t->out);
	put_label(t->out, '{', "version", version ? version : "");
	(void)fputs("} 1\n", t->out);
	plain(t, "spliced_up", "gauge", "Whether a generation serves.",
	      state && strcmp(state, "serving") == 0);
	begin(t, "spliced_start_time_seconds", "gauge",
	      "When the master was started, of the Unix epoch.");
	(void)fprintf(t->out, "spliced_start_time_seconds %.3f\n",
		      json_number_value(json_object_get(t->status, "started")));
	plain(t, "spliced_generation", "gauge",
	      "The number of the generation that serves.",
	      (uint64_t)number(t->status, "generation"));
	put_generations(t);
	begin(t, "spliced_reloads", "counter", "Reloads by their result.");
	(void)fprintf(t->out,
		      "spliced_reloads_total{result=\"ok\"} %lld\n"
		      "spliced_reloads_total{result=\"failed\"} %lld\n",
		      (long long)number(t->status, "reloads_ok"),
		      (long long)number(t->status, "reloads_failed"));
	plain(t, "spliced_last_reload_successful", "gauge",
	      "Whether the last reload succeeded; 1 where there was none.",
	      last ? json_is_true(json_object_get(last, "ok")) : 1);
	plain(t, "spliced_crashes", "counter",
	      "Serving generations that ended without being told to.",
	      (uint64_t)number(t->status, "crashes"));
}

static void put_connections(struct text *t)
{
	const json_t *now = json_object_get(t->status, "connections");
	const json_t *all = json_object_get(t->status, "totals");
	static const struct {
		const char *key, *name, *help;
	} totals[] = {
		{ "accepted", "spliced_connections_accepted",
		  "Connections of clients that were accepted." },
		{ "rejected", "spliced_connections_rejected",
		  "Connections that were reset at once, for want of "
		  "descriptors or by a limit." },
	};

	plain(t, "spliced_connections", "gauge",
	      "Connections of clients that are open.",
	      (uint64_t)number(now, "active"));
	plain(t, "spliced_connections_handshaking", "gauge",
	      "Of these, those that are not in a tunnel yet.",
	      (uint64_t)number(now, "handshakes"));
	plain(t, "spliced_tunnels", "gauge", "Tunnels that are open.",
	      (uint64_t)number(now, "tunnels"));
	plain(t, "spliced_connections_max", "gauge",
	      "How many connections there may be at once.",
	      t->answer->admin->setup->max_connections);
	for (size_t i = 0; i < ARRAY_SIZE(totals); i++)
		plain(t, totals[i].name, "counter", totals[i].help,
		      (uint64_t)number(all, totals[i].key));
	begin(t, "spliced_datagrams", "counter",
	      "Datagrams of UDP associations, by direction.");
	(void)fprintf(t->out,
		      "spliced_datagrams_total{direction=\"up\"} %lld\n"
		      "spliced_datagrams_total{direction=\"down\"} %lld\n",
		      (long long)number(all, "datagrams_up"),
		      (long long)number(all, "datagrams_down"));
	plain(t, "spliced_datagrams_dropped", "counter",
	      "Datagrams that were not passed on.",
	      (uint64_t)number(all, "datagrams_dropped"));
}

/* --- By listener --------------------------------------------------------- */

static const char *outcome_label(unsigned outcome)
{
	if (outcome == METRICS_LOST)
		return "lost";
	return outcome < OUTCOME_COUNT ? outcome_word((enum outcome)outcome)
				       : NULL;
}

static void put_sessions_of(struct text *t, const struct metrics_listener *l)
{
	for (unsigned p = 0; p < PROTOCOL_COUNTS; p++)
		for (unsigned o = 0; o < OUTCOME_COUNTS; o++) {
			const char *protocol = session_protocol_word(p);
			const char *outcome = outcome_label(o);
			uint64_t count = l->n.sessions[p][o];

			if (!count)
				continue;
			(void)fputs("spliced_sessions_total", t->out);
			put_label(t->out, '{', "listener", l->name);
			put_label(t->out, ',', "protocol",
				  protocol ? protocol : "none");
			put_label(t->out, ',', "outcome",
				  outcome ? outcome : "other");
			(void)fprintf(t->out, "} %" PRIu64 "\n", count);
		}
}

static void put_listeners(struct text *t)
{
	const struct metrics *m = t->m;

	begin(t, "spliced_sessions", "counter",
	      "Sessions that ended, by how: the words of the access log, and "
	      "lost, by the death of their process.");
	for (size_t i = 0; i < m->listener_count; i++)
		put_sessions_of(t, &m->listeners[i]);
	begin(t, "spliced_bytes", "counter",
	      "Bytes of sessions that ended; up is from clients to targets.");
	for (size_t i = 0; i < m->listener_count; i++) {
		const struct metrics_listener *l = &m->listeners[i];

		(void)fputs("spliced_bytes_total", t->out);
		put_label(t->out, '{', "listener", l->name);
		(void)fprintf(t->out, ",direction=\"up\"} %" PRIu64 "\n",
			      l->n.bytes_up);
		(void)fputs("spliced_bytes_total", t->out);
		put_label(t->out, '{', "listener", l->name);
		(void)fprintf(t->out, ",direction=\"down\"} %" PRIu64 "\n",
			      l->n.bytes_down);
	}
}

static void put_histogram(struct text *t, const char *name,
			  const struct metrics_listener *l,
			  enum histogram_kind kind)
{
	const struct histogram *h = &l->n.took[kind];
	int64_t bound = 0;
	uint64_t count = 0;

	for (unsigned i = 0; bound != INT64_MAX; i++) {
		bound = histogram_bound(kind, i);
		count += h->bucket[i];
		(void)fprintf(t->out, "%s_bucket", name);
		put_label(t->out, '{', "listener", l->name);
		if (bound == INT64_MAX)
			(void)fprintf(t->out, ",le=\"+Inf\"} %" PRIu64 "\n",
				      count);
		else
			(void)fprintf(t->out,
				      ",le=\"%" PRId64 ".%03" PRId64
				      "\"} %" PRIu64 "\n",
				      bound / 1000, bound % 1000, count);
	}
	(void)fprintf(t->out, "%s_sum", name);
	put_label(t->out, '{', "listener", l->name);
	(void)fprintf(t->out, "} %" PRIu64 ".%03" PRIu64 "\n%s_count",
		      h->sum_ms / 1000, h->sum_ms % 1000, name);
	put_label(t->out, '{', "listener", l->name);
	(void)fprintf(t->out, "} %" PRIu64 "\n", count);
}

static void put_histograms(struct text *t)
{
	static const struct {
		const char *name, *help;
	} kinds[HISTOGRAM_KINDS] = {
		[HISTOGRAM_HANDSHAKE] = { "spliced_handshake_seconds",
					  "From accepting a client to its "
					  "request." },
		[HISTOGRAM_NAME] = { "spliced_name_seconds",
				     "Resolving of the target's name, where "
				     "that succeeded." },
		[HISTOGRAM_CONNECT] = { "spliced_connect_seconds",
					"Connecting to the target, where that "
					"succeeded." },
		[HISTOGRAM_SESSION] = { "spliced_session_seconds",
					"From accepting to the end, of "
					"sessions that got what they asked "
					"for." },
	};

	for (unsigned k = 0; k < HISTOGRAM_KINDS; k++) {
		begin(t, kinds[k].name, "histogram", kinds[k].help);
		for (size_t i = 0; i < t->m->listener_count; i++)
			put_histogram(t, kinds[k].name, &t->m->listeners[i],
				      (enum histogram_kind)k);
	}
}

/* --- By parent and user -------------------------------------------------- */

static void put_parent(struct text *t, const char *name,
		       const struct metrics_parent *p, const char *more,
		       uint64_t value)
{
	(void)fputs(name, t->out);
	put_label(t->out, '{', "upstream", p->n.upstream);
	put_label(t->out, ',', "parent", p->n.parent);
	(void)fprintf(t->out, "%s} %" PRIu64 "\n", more, value);
}

static void put_parents(struct text *t)
{
	const struct metrics_parent *p = t->m->parents;
	size_t count = t->m->parent_count;

	begin(t, "spliced_upstream_up", "gauge",
	      "Whether a parent proxy is well.");
	for (size_t i = 0; i < count; i++)
		if (p[i].lives)
			put_parent(t, "spliced_upstream_up", &p[i], "",
				   p[i].n.up != 0);
	begin(t, "spliced_upstream_sessions", "counter",
	      "Sessions by a parent proxy that ended.");
	for (size_t i = 0; i < count; i++)
		put_parent(t, "spliced_upstream_sessions_total", &p[i], "",
			   p[i].n.sessions);
	begin(t, "spliced_upstream_failures", "counter",
	      "Tries and checks that a parent proxy failed.");
	for (size_t i = 0; i < count; i++)
		put_parent(t, "spliced_upstream_failures_total", &p[i], "",
			   p[i].n.failures);
	begin(t, "spliced_upstream_bytes", "counter",
	      "Bytes of sessions by a parent proxy that ended.");
	for (size_t i = 0; i < count; i++) {
		put_parent(t, "spliced_upstream_bytes_total", &p[i],
			   ",direction=\"up\"", p[i].n.bytes_up);
		put_parent(t, "spliced_upstream_bytes_total", &p[i],
			   ",direction=\"down\"", p[i].n.bytes_down);
	}
}

static void put_user(struct text *t, const char *name,
		     const struct user_counts *u, const char *more,
		     uint64_t value)
{
	(void)fprintf(t->out, "%s{user=\"", name);
	if (u == &t->m->others)
		(void)fputs("other", t->out);
	else
		put_value(t->out, u->name, u->name_len);
	(void)fprintf(t->out, "\"%s} %" PRIu64 "\n", more, value);
}

/* One who is called so stands among the others. */
static bool is_other(const struct user_counts *u)
{
	return u->name_len == 5 && memcmp(u->name, "other", 5) == 0;
}

static void put_user_bytes(struct text *t, const struct user_counts *u)
{
	put_user(t, "spliced_user_bytes_total", u, ",direction=\"up\"",
		 u->bytes_up);
	put_user(t, "spliced_user_bytes_total", u, ",direction=\"down\"",
		 u->bytes_down);
}

static void put_users(struct text *t)
{
	const struct metrics *m = t->m;

	if (!m->users_wanted)
		return;
	begin(t, "spliced_user_sessions", "counter",
	      "Sessions that ended, of users who logged in.");
	for (size_t i = 0; i < m->user_count; i++)
		if (!is_other(&m->users[i]))
			put_user(t, "spliced_user_sessions_total", &m->users[i],
				 "", m->users[i].sessions);
	put_user(t, "spliced_user_sessions_total", &m->others, "",
		 m->others.sessions);
	begin(t, "spliced_user_bytes", "counter",
	      "Bytes of sessions that ended, of users who logged in.");
	for (size_t i = 0; i < m->user_count; i++)
		if (!is_other(&m->users[i]))
			put_user_bytes(t, &m->users[i]);
	put_user_bytes(t, &m->others);
}

/* --- Inside -------------------------------------------------------------- */

static int64_t monotonic_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/*
 * How long events of a worker have to wait: as its last tick was late, or
 * longer where the next one does not come.
 */
static void put_workers(struct text *t)
{
	const struct published *p = &t->answer->admin->setup->published;
	int64_t now = monotonic_ms();

	begin(t, "spliced_worker_lag_seconds", "gauge",
	      "How long events of a worker have to wait.");
	for (unsigned i = 0; i < t->answer->admin->setup->workers; i++) {
		int64_t tick = __atomic_load_n(&p->workers[i].tick_ms,
					       __ATOMIC_RELAXED);
		uint64_t lag = __atomic_load_n(&p->metrics.usage[i].lag_ms,
					       __ATOMIC_RELAXED);
		uint64_t late = tick ? (uint64_t)max_i64(now - tick - 1100, 0)
				     : 0;

		lag = late > lag ? late : lag;
		(void)fprintf(t->out,
			      "spliced_worker_lag_seconds{worker=\"%u\"} "
			      "%" PRIu64 ".%03" PRIu64 "\n",
			      i, lag / 1000, lag % 1000);
	}
}

static uint64_t limited(const struct metrics *m)
{
	static const enum outcome limits[] = { OUTCOME_LIMIT };
	uint64_t all = 0;

	for (size_t i = 0; i < m->listener_count; i++)
		for (unsigned p = 0; p < PROTOCOL_COUNTS; p++)
			for (size_t k = 0; k < ARRAY_SIZE(limits); k++)
				all += m->listeners[i].n.sessions[p][limits[k]];
	return all;
}

static void put_inside(struct text *t)
{
	const struct metrics *m = t->m;
	const struct {
		const char *name, *type, *help;
		uint64_t value;
	} rows[] = {
		{ "spliced_limit_refusals", "counter",
		  "Sessions that a limit has refused.", limited(m) },
		{ "spliced_tls_handshakes", "counter",
		  "Handshakes of TLS that succeeded, with clients and parents.",
		  m->usage.tls_handshakes },
		{ "spliced_tls_handshake_failures", "counter",
		  "Handshakes of TLS that failed.", m->usage.tls_failures },
		{ "spliced_pipes", "gauge", "Pipes for splice(2).",
		  m->usage.pipes },
		{ "spliced_buffer_bytes", "gauge",
		  "Bytes that one side gave and the other has not taken yet.",
		  m->usage.buffer_bytes },
		{ "spliced_dns_cache_hits", "counter", "Names that were known.",
		  m->names.hits },
		{ "spliced_dns_cache_misses", "counter",
		  "Names that servers were asked for.", m->names.misses },
		{ "spliced_dns_cache_entries", "gauge", "Names that are known.",
		  m->names.entries },
		{ "spliced_dns_pending", "gauge",
		  "Names that servers are being asked for.", m->names.pending },
		{ "spliced_login_jobs", "counter",
		  "Passwords that were hashed.", m->process.logins_done },
		{ "spliced_login_jobs_refused", "counter",
		  "Logins that found too many others waiting.",
		  m->process.logins_refused },
		{ "spliced_login_queue", "gauge",
		  "Logins that wait for a thread.", m->process.logins_waiting },
		{ "spliced_login_threads", "gauge",
		  "Threads that hash passwords.", m->process.login_threads },
		{ "spliced_log_dropped", "counter",
		  "Lines of the log that were dropped.",
		  m->process.log_dropped },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		plain(t, rows[i].name, rows[i].type, rows[i].help,
		      rows[i].value);
	put_workers(t);
}

int admin_make_metrics(struct admin_answer *a)
{
	struct metrics m;
	struct text t = { .out = a->body,
			  .openmetrics = a->openmetrics,
			  .status = a->view->status,
			  .m = &m,
			  .answer = a };
	int r = admin_metrics(&m, a->view);

	a->type = a->openmetrics ? OPENMETRICS : PROMETHEUS;
	if (r == 0) {
		put_daemon(&t);
		put_connections(&t);
		put_listeners(&t);
		put_histograms(&t);
		put_parents(&t);
		put_users(&t);
		put_inside(&t);
		if (t.openmetrics)
			(void)fputs("# EOF\n", t.out);
		r = ferror(t.out) ? -ENOMEM : 0;
	}
	metrics_done(&m);
	return r;
}
