/*
 * Metrics with labels: by listener, by parent, by user.
 */
#include "daemon/metrics_text.h"

#include "daemon/proxy/outcome.h"

#include <inttypes.h>
#include <string.h>

/* --- By listener --------------------------------------------------------- */

static const char *outcome_label(unsigned outcome)
{
	if (outcome == METRICS_LOST)
		return "lost";
	return outcome < OUTCOME_COUNT ? outcome_word((enum outcome)outcome)
				       : NULL;
}

static void put_sessions_of(struct metrics_text *t,
			    const struct metrics_listener *l)
{
	for (unsigned p = 0; p < PROTOCOL_COUNTS; p++)
		for (unsigned o = 0; o < OUTCOME_COUNTS; o++) {
			const char *protocol = session_protocol_word(p);
			const char *outcome = outcome_label(o);
			uint64_t count = l->n.sessions[p][o];

			if (!count)
				continue;
			(void)fputs("spliced_sessions_total", t->out);
			metrics_put_label(t->out, '{', "listener", l->name);
			metrics_put_label(t->out, ',', "protocol",
					  protocol ? protocol : "none");
			metrics_put_label(t->out, ',', "outcome",
					  outcome ? outcome : "other");
			(void)fprintf(t->out, "} %" PRIu64 "\n", count);
		}
}

static void put_listeners(struct metrics_text *t)
{
	const struct metrics *m = t->m;

	metrics_begin(
		t, "spliced_sessions", "counter",
		"Sessions that ended, by how: the words of the access log, and "
		"lost, by the death of their process.");
	for (size_t i = 0; i < m->listener_count; i++)
		put_sessions_of(t, &m->listeners[i]);
	metrics_begin(
		t, "spliced_bytes", "counter",
		"Bytes of sessions that ended; up is from clients to targets.");
	for (size_t i = 0; i < m->listener_count; i++) {
		const struct metrics_listener *l = &m->listeners[i];

		(void)fputs("spliced_bytes_total", t->out);
		metrics_put_label(t->out, '{', "listener", l->name);
		(void)fprintf(t->out, ",direction=\"up\"} %" PRIu64 "\n",
			      l->n.bytes_up);
		(void)fputs("spliced_bytes_total", t->out);
		metrics_put_label(t->out, '{', "listener", l->name);
		(void)fprintf(t->out, ",direction=\"down\"} %" PRIu64 "\n",
			      l->n.bytes_down);
	}
}

static void put_histogram(struct metrics_text *t, const char *name,
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
		metrics_put_label(t->out, '{', "listener", l->name);
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
	metrics_put_label(t->out, '{', "listener", l->name);
	(void)fprintf(t->out, "} %" PRIu64 ".%03" PRIu64 "\n%s_count",
		      h->sum_ms / 1000, h->sum_ms % 1000, name);
	metrics_put_label(t->out, '{', "listener", l->name);
	(void)fprintf(t->out, "} %" PRIu64 "\n", count);
}

static void put_histograms(struct metrics_text *t)
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
		metrics_begin(t, kinds[k].name, "histogram", kinds[k].help);
		for (size_t i = 0; i < t->m->listener_count; i++)
			put_histogram(t, kinds[k].name, &t->m->listeners[i],
				      (enum histogram_kind)k);
	}
}

/* --- By parent and user -------------------------------------------------- */

static void put_parent(struct metrics_text *t, const char *name,
		       const struct metrics_parent *p, const char *more,
		       uint64_t value)
{
	(void)fputs(name, t->out);
	metrics_put_label(t->out, '{', "upstream", p->n.upstream);
	metrics_put_label(t->out, ',', "parent", p->n.parent);
	(void)fprintf(t->out, "%s} %" PRIu64 "\n", more, value);
}

static void put_parents(struct metrics_text *t)
{
	const struct metrics_parent *p = t->m->parents;
	size_t count = t->m->parent_count;

	metrics_begin(t, "spliced_upstream_up", "gauge",
		      "Whether a parent proxy is well.");
	for (size_t i = 0; i < count; i++)
		if (p[i].lives)
			put_parent(t, "spliced_upstream_up", &p[i], "",
				   p[i].n.up != 0);
	metrics_begin(t, "spliced_upstream_sessions", "counter",
		      "Sessions by a parent proxy that ended.");
	for (size_t i = 0; i < count; i++)
		put_parent(t, "spliced_upstream_sessions_total", &p[i], "",
			   p[i].n.sessions);
	metrics_begin(t, "spliced_upstream_failures", "counter",
		      "Tries and checks that a parent proxy failed.");
	for (size_t i = 0; i < count; i++)
		put_parent(t, "spliced_upstream_failures_total", &p[i], "",
			   p[i].n.failures);
	metrics_begin(t, "spliced_upstream_bytes", "counter",
		      "Bytes of sessions by a parent proxy that ended.");
	for (size_t i = 0; i < count; i++) {
		put_parent(t, "spliced_upstream_bytes_total", &p[i],
			   ",direction=\"up\"", p[i].n.bytes_up);
		put_parent(t, "spliced_upstream_bytes_total", &p[i],
			   ",direction=\"down\"", p[i].n.bytes_down);
	}
}

static void put_user(struct metrics_text *t, const char *name,
		     const struct user_counts *u, const char *more,
		     uint64_t value)
{
	(void)fprintf(t->out, "%s{user=\"", name);
	if (u == &t->m->others)
		(void)fputs("other", t->out);
	else
		metrics_put_value(t->out, u->name, u->name_len);
	(void)fprintf(t->out, "\"%s} %" PRIu64 "\n", more, value);
}

/* One who is called so stands among the others. */
static bool is_other(const struct user_counts *u)
{
	return u->name_len == 5 && memcmp(u->name, "other", 5) == 0;
}

static void put_user_bytes(struct metrics_text *t, const struct user_counts *u)
{
	put_user(t, "spliced_user_bytes_total", u, ",direction=\"up\"",
		 u->bytes_up);
	put_user(t, "spliced_user_bytes_total", u, ",direction=\"down\"",
		 u->bytes_down);
}

static void put_users(struct metrics_text *t)
{
	const struct metrics *m = t->m;

	if (!m->users_wanted)
		return;
	metrics_begin(t, "spliced_user_sessions", "counter",
		      "Sessions that ended, of users who logged in.");
	for (size_t i = 0; i < m->user_count; i++)
		if (!is_other(&m->users[i]))
			put_user(t, "spliced_user_sessions_total", &m->users[i],
				 "", m->users[i].sessions);
	put_user(t, "spliced_user_sessions_total", &m->others, "",
		 m->others.sessions);
	metrics_begin(t, "spliced_user_bytes", "counter",
		      "Bytes of sessions that ended, of users who logged in.");
	for (size_t i = 0; i < m->user_count; i++)
		if (!is_other(&m->users[i]))
			put_user_bytes(t, &m->users[i]);
	put_user_bytes(t, &m->others);
}

void metrics_put_series(struct metrics_text *t)
{
	put_listeners(t);
	put_histograms(t);
	put_parents(t);
	put_users(t);
}
