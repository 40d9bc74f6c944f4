/*
 * Lines of the screen: four of a head, the heads of a table, its rows, the
 * keys.  What is widest of a row, its target, gets what is left of the line.
 */
#include "daemon/ctl/top_text.h"

#include "daemon/ctl/human.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEAD_LINES 5 /* with the heads of the table */

static size_t page_of(size_t lines)
{
	return lines > HEAD_LINES + 1 ? lines - HEAD_LINES - 1 : 0;
}

void top_layout(struct top *t, size_t lines)
{
	size_t rows = top_rows(t);

	t->page = page_of(lines);
	if (t->selected < t->first)
		t->first = t->selected;
	if (t->page && t->selected >= t->first + t->page)
		t->first = t->selected - t->page + 1;
	if (rows <= t->page)
		t->first = 0;
	else if (t->first > rows - t->page)
		t->first = rows - t->page;
}

/* "1.2M/s" */
static char *rate_text(uint64_t rate, char *out)
{
	char size[HUMAN_BYTES];

	(void)snprintf(out, HUMAN_BYTES, "%.10s/s", human_size(rate, size));
	return out;
}

/* --- The head ------------------------------------------------------------ */

static void put_title(const struct top *t, char *out)
{
	char age[HUMAN_BYTES];

	if (!t->answers) {
		(void)snprintf(out, TOP_LINE_BYTES, "spliced  %s",
			       *t->why ? t->why : "asking");
		return;
	}
	(void)snprintf(out, TOP_LINE_BYTES,
		       "spliced %s  %s, up %s  generation %" PRIu32
		       ", %zu alive  crashes %" PRId64,
		       t->version, t->state, human_age(t->uptime_ms, age),
		       t->serving, t->generation_count, t->crashes);
}

static void put_traffic(const struct top *t, char *out)
{
	char up[HUMAN_BYTES], down[HUMAN_BYTES];

	(void)snprintf(out, TOP_LINE_BYTES,
		       "up %s  down %s  sessions %zu  tunnels %" PRId64
		       "  handshakes %" PRId64 "  accepts %" PRIu64 "/s",
		       rate_text(t->up_rate, up), rate_text(t->down_rate, down),
		       t->seen_count, t->tunnels, t->handshakes,
		       t->accept_rate);
}

/* "1/2 ms" of each, as many as there is room for; the worst decide. */
static enum top_style put_threads(const struct top *t, size_t columns,
				  char *out)
{
	size_t len = (size_t)snprintf(out, TOP_LINE_BYTES,
				      "threads, lag/accept ms:");
	uint32_t worst = 0;

	for (size_t i = 0; i < t->worker_count; i++) {
		const struct top_worker *w = &t->workers[i];
		char one[64];
		int n = snprintf(one, sizeof(one), " %u.%u %u/%u",
				 w->generation, w->number, w->lag_ms,
				 w->accept_ms);

		worst = w->lag_ms > worst ? w->lag_ms : worst;
		if (len + (size_t)n + 4 >= min_size(columns, TOP_LINE_BYTES)) {
			(void)snprintf(out + len, TOP_LINE_BYTES - len, " ...");
			break;
		}
		memcpy(out + len, one, (size_t)n + 1);
		len += (size_t)n;
	}
	return worst >= 100 ? TOP_WARNING : TOP_PLAIN;
}

static enum top_style put_message(const struct top *t, char *out)
{
	if (t->mode == TOP_TYPING)
		(void)snprintf(out, TOP_LINE_BYTES, "filter: %s_", t->input);
	else if (t->mode == TOP_ASKING)
		(void)snprintf(out, TOP_LINE_BYTES,
			       "end session %s? y ends it, n does not",
			       t->victim);
	else if (*t->message)
		(void)snprintf(out, TOP_LINE_BYTES, "%s", t->message);
	else
		(void)snprintf(out, TOP_LINE_BYTES, "%s%s%s",
			       t->paused ? "paused  " : "",
			       t->filters.count ? "filter: " : "",
			       t->filters.count ? t->input : "");
	return t->mode == TOP_ASKING ? TOP_WARNING : TOP_PLAIN;
}

/* --- Tables -------------------------------------------------------------- */

static int target_width(size_t columns)
{
	/* 58 for the others and the blanks between. */
	return columns > 78 ? (int)min_size(columns - 58, 90) : 20;
}

static void put_session(const struct top_session *s, size_t columns, char *out)
{
	char client[TCPSERVER_ADDR_STRLEN] = "-", rate[HUMAN_BYTES];
	char bytes[HUMAN_BYTES], age[HUMAN_BYTES], idle[HUMAN_BYTES];
	int width = target_width(columns);

	if (s->client.family != AF_UNSPEC)
		(void)tcp_addr_format(&s->client, client, sizeof(client));
	(void)snprintf(out, TOP_LINE_BYTES,
		       "%-21.21s %-8.8s %-*.*s %7s %5s %6s %6s", client,
		       *s->user ? s->user : "-", width - 1, width - 1,
		       *s->target ? s->target : s->state,
		       rate_text(s->rate, rate), human_size(s->bytes, bytes),
		       human_age(s->age_ms, age), human_age(s->idle_ms, idle));
}

static void put_user(const struct top_user *u, char *out)
{
	char rate[HUMAN_BYTES], bytes[HUMAN_BYTES];

	(void)snprintf(out, TOP_LINE_BYTES, "%-32.32s %9" PRIu64 " %9s %7s",
		       *u->name ? u->name : "-", u->sessions,
		       rate_text(u->rate, rate), human_size(u->bytes, bytes));
}

static void put_generation(const struct top_generation *g, char *out)
{
	char age[HUMAN_BYTES];

	(void)snprintf(out, TOP_LINE_BYTES,
		       "%10u %-9s %8" PRId64 " %7s %8" PRId64 " %8" PRId64
		       " %10" PRId64 "  %s",
		       g->number, g->state, g->pid, human_age(g->age_ms, age),
		       g->active, g->tunnels, g->accepted, g->version);
}

static void put_worker(const struct top_worker *w, char *out)
{
	char name[32], silent[32] = "-";

	(void)snprintf(name, sizeof(name), "%u.%u", w->generation, w->number);
	if (w->silent_ms >= 0)
		(void)snprintf(silent, sizeof(silent), "%" PRId64,
			       w->silent_ms);
	(void)snprintf(out, TOP_LINE_BYTES, "%10s %8u %10u %11s %11" PRIu64,
		       name, w->lag_ms, w->accept_ms, silent, w->active);
}

static enum top_style put_row(const struct top *t, size_t i, size_t columns,
			      char *out)
{
	if (i >= top_rows(t))
		return TOP_PLAIN;
	switch (t->view) {
	case TOP_SESSIONS:
		put_session(&t->sessions[i], columns, out);
		break;
	case TOP_USERS:
		put_user(&t->users[i], out);
		break;
	case TOP_GENERATIONS:
		if (i < t->generation_count) {
			put_generation(&t->generations[i], out);
		} else if (i == t->generation_count) {
			(void)snprintf(out, TOP_LINE_BYTES,
				       "%10s %8s %10s %11s %11s", "THREAD",
				       "LAG ms", "ACCEPT ms", "SILENT ms",
				       "CONNECTIONS");
			return TOP_BOLD;
		} else {
			put_worker(&t->workers[i - t->generation_count - 1],
				   out);
		}
		break;
	}
	return i == t->selected ? TOP_REVERSE : TOP_PLAIN;
}

static void put_heads(const struct top *t, size_t columns, char *out)
{
	int width = target_width(columns) - 1;

	switch (t->view) {
	case TOP_SESSIONS:
		(void)snprintf(out, TOP_LINE_BYTES,
			       "%-21s %-8s %-*s %7s %5s %6s %6s", "CLIENT",
			       "USER", width, "TARGET", "RATE", "BYTES", "AGE",
			       "IDLE");
		break;
	case TOP_USERS:
		(void)snprintf(out, TOP_LINE_BYTES, "%-32s %9s %9s %7s", "USER",
			       "SESSIONS", "RATE", "BYTES");
		break;
	case TOP_GENERATIONS:
		(void)snprintf(out, TOP_LINE_BYTES,
			       "%10s %-9s %8s %7s %8s %8s %10s  %s",
			       "GENERATION", "STATE", "PID", "AGE", "ACTIVE",
			       "TUNNELS", "ACCEPTED", "VERSION");
		break;
	}
}

static void put_keys(const struct top *t, char *out)
{
	static const char *const sorts[] = {
		[TOP_TRAFFIC] = "traffic", [TOP_AGE] = "age",
		[TOP_IDLE] = "idle",       [TOP_CLIENT] = "client",
		[TOP_USER] = "user",
	};

	(void)snprintf(out, TOP_LINE_BYTES,
		       "q quit  p pause  s sort:%-7s  f filter  k kill  "
		       "1 2 3 Tab views  h help",
		       sorts[t->sort]);
}

/* --- Help ---------------------------------------------------------------- */

static void put_help(size_t y, char *out)
{
	static const char *const text[] = {
		"Keys of splicedctl top",
		"",
		"  1 2 3, Tab   sessions, users, generations and their "
		"threads",
		"  t a i c u    sort by traffic, age, idle, client, user; s: "
		"the next",
		"  arrows       choose a row; PgUp PgDn Home End",
		"  Enter        of a user: his sessions",
		"  f or /       filter: user=alice client=10.0.0.0/8 "
		"bytes>1G age>1h",
		"               (those of splicedctl sessions); empty: all",
		"  k            end the session, after a question",
		"  p            pause; space: look now",
		"  q            quit",
		"",
		"LAG     how late the thread's last timer was",
		"ACCEPT  how long the last client that was looked at had "
		"waited",
		"        in the queue of its listening socket",
		"SILENT  since the thread last showed that it turns",
		"",
		"any key goes back",
	};

	if (y < ARRAY_SIZE(text))
		(void)snprintf(out, TOP_LINE_BYTES, "%s", text[y]);
}

/* --- All of it ----------------------------------------------------------- */

static enum top_style put_line(const struct top *t, size_t y, size_t lines,
			       size_t columns, char *out)
{
	if (t->mode == TOP_HELP) {
		put_help(y, out);
		return y == 0 ? TOP_BOLD : TOP_PLAIN;
	}
	if (y == 0) {
		put_title(t, out);
		return t->answers ? TOP_BOLD : TOP_WARNING;
	}
	if (y + 1 == lines) {
		put_keys(t, out);
		return TOP_REVERSE;
	}
	switch (y) {
	case 1:
		put_traffic(t, out);
		return TOP_PLAIN;
	case 2:
		return put_threads(t, columns, out);
	case 3:
		return put_message(t, out);
	case 4:
		put_heads(t, columns, out);
		return TOP_BOLD;
	default:
		return put_row(t, t->first + y - HEAD_LINES, columns, out);
	}
}

enum top_style top_line(const struct top *t, size_t y, size_t lines,
			size_t columns, char out[TOP_LINE_BYTES])
{
	enum top_style style;

	memset(out, 0, TOP_LINE_BYTES);
	style = put_line(t, y, lines, columns, out);
	out[min_size(columns, TOP_LINE_BYTES - 1)] = '\0';
	return style;
}
