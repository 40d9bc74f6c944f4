/*
 * Metrics as Prometheus reads them: its text format 0.0.4, or OpenMetrics 1.0
 * where that is asked for.  Names follow its conventions: base units, counters
 * end in _total.  A label's value is a name from a configuration or a user's:
 * escaped, and of those as many as have a bound.
 */
#include "daemon/metrics_text.h"

#include "daemon/proxy/outcome.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define PROMETHEUS  "text/plain; version=0.0.4; charset=utf-8"

/* --- Of the daemon ------------------------------------------------------- */

static json_int_t number(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static void put_generations(struct metrics_text *t)
{
	static const char *const states[] = { "starting", "serving", "draining",
					      "ending" };
	const json_t *all = json_object_get(t->status, "generations");

	metrics_begin(t, "spliced_generations", "gauge",
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

static void put_daemon(struct metrics_text *t)
{
	const json_t *past = json_object_get(t->status, "reloads");
	const json_t *last = json_array_get(past, json_array_size(past) - 1);
	const char *version = json_string_value(
		json_object_get(t->status, "version"));
	const char *state = json_string_value(
		json_object_get(t->status, "state"));

	metrics_begin(t, "spliced_build_info", "gauge",
		      "The version of the master, always 1.");
	(void)fputs("spliced_build_info", t->out);
	metrics_put_label(t->out, '{', "version", version ? version : "");
	(void)fputs("} 1\n", t->out);
	metrics_put_plain(t, "spliced_up", "gauge",
			  "Whether a generation serves.",
			  state && strcmp(state, "serving") == 0);
	metrics_begin(t, "spliced_start_time_seconds", "gauge",
		      "When the master was started, of the Unix epoch.");
	(void)fprintf(t->out, "spliced_start_time_seconds %.3f\n",
		      json_number_value(json_object_get(t->status, "started")));
	metrics_put_plain(t, "spliced_generation", "gauge",
			  "The number of the generation that serves.",
			  (uint64_t)number(t->status, "generation"));
	put_generations(t);
	metrics_begin(t, "spliced_reloads", "counter",
		      "Reloads by their result.");
	(void)fprintf(t->out,
		      "spliced_reloads_total{result=\"ok\"} %lld\n"
		      "spliced_reloads_total{result=\"failed\"} %lld\n",
		      (long long)number(t->status, "reloads_ok"),
		      (long long)number(t->status, "reloads_failed"));
	metrics_put_plain(
		t, "spliced_last_reload_successful", "gauge",
		"Whether the last reload succeeded; 1 where there was none.",
		last ? json_is_true(json_object_get(last, "ok")) : 1);
	metrics_put_plain(
		t, "spliced_crashes", "counter",
		"Serving generations that ended without being told to.",
		(uint64_t)number(t->status, "crashes"));
}

static void put_connections(struct metrics_text *t)
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

	metrics_put_plain(t, "spliced_connections", "gauge",
			  "Connections of clients that are open.",
			  (uint64_t)number(now, "active"));
	metrics_put_plain(t, "spliced_connections_handshaking", "gauge",
			  "Of these, those that are not in a tunnel yet.",
			  (uint64_t)number(now, "handshakes"));
	metrics_put_plain(t, "spliced_tunnels", "gauge",
			  "Tunnels that are open.",
			  (uint64_t)number(now, "tunnels"));
	metrics_put_plain(t, "spliced_connections_max", "gauge",
			  "How many connections there may be at once.",
			  t->answer->admin->setup->max_connections);
	for (size_t i = 0; i < ARRAY_SIZE(totals); i++)
		metrics_put_plain(t, totals[i].name, "counter", totals[i].help,
				  (uint64_t)number(all, totals[i].key));
	metrics_begin(t, "spliced_datagrams", "counter",
		      "Datagrams of UDP associations, by direction.");
	(void)fprintf(t->out,
		      "spliced_datagrams_total{direction=\"up\"} %lld\n"
		      "spliced_datagrams_total{direction=\"down\"} %lld\n",
		      (long long)number(all, "datagrams_up"),
		      (long long)number(all, "datagrams_down"));
	metrics_put_plain(t, "spliced_datagrams_dropped", "counter",
			  "Datagrams that were not passed on.",
			  (uint64_t)number(all, "datagrams_dropped"));
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
static void put_workers(struct metrics_text *t)
{
	const struct published *p = &t->answer->admin->setup->published;
	int64_t now = monotonic_ms();

	metrics_begin(t, "spliced_worker_lag_seconds", "gauge",
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

/* Of one client a second, who tells for the others. */
static void put_accepts(struct metrics_text *t)
{
	const struct published *p = &t->answer->admin->setup->published;

	metrics_begin(t, "spliced_worker_accept_delay_seconds", "gauge",
		      "How long a client waited until a worker accepted it.");
	for (unsigned i = 0; i < t->answer->admin->setup->workers; i++) {
		uint64_t ms = __atomic_load_n(&p->metrics.usage[i].accept_ms,
					      __ATOMIC_RELAXED);

		(void)fprintf(t->out,
			      "spliced_worker_accept_delay_seconds"
			      "{worker=\"%u\"} %" PRIu64 ".%03" PRIu64 "\n",
			      i, ms / 1000, ms % 1000);
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

static void put_inside(struct metrics_text *t)
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
		metrics_put_plain(t, rows[i].name, rows[i].type, rows[i].help,
				  rows[i].value);
	put_workers(t);
	put_accepts(t);
}

int admin_make_metrics(struct admin_answer *a)
{
	struct metrics m;
	struct metrics_text t = { .out = a->body,
				  .openmetrics = a->openmetrics,
				  .status = a->view->status,
				  .m = &m,
				  .answer = a };
	int r;

	admin_note_process(a->admin);
	r = admin_metrics(&m, a->view);
	a->type = a->openmetrics ? OPENMETRICS : PROMETHEUS;
	if (r == 0) {
		put_daemon(&t);
		put_connections(&t);
		metrics_put_series(&t);
		put_inside(&t);
		if (t.openmetrics)
			(void)fputs("# EOF\n", t.out);
		r = ferror(t.out) ? -ENOMEM : 0;
	}
	metrics_done(&m);
	return r;
}
