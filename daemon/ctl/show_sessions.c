/*
 * Sessions, read from the memory that their generations share: the daemon is
 * not asked about each, and does no work for it.
 */
#include "daemon/ctl/show_sessions.h"

#include "daemon/ctl/columns.h"
#include "daemon/ctl/human.h"
#include "daemon/row.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

struct listing {
	FILE *out;
	const struct filters *filters;
	struct columns columns; /* unless it is JSON */
	bool json;
};

static int64_t monotonic_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int put_json(struct listing *l, const struct row *r)
{
	json_t *j = row_json(r);
	int bad = j ? json_dumpf(j, l->out, JSON_COMPACT | JSON_ENSURE_ASCII)
		    : -1;

	json_decref(j);
	if (bad < 0)
		return ferror(l->out) ? -EIO : -ENOMEM;
	return putc('\n', l->out) == EOF ? -EIO : 0;
}

static const char *or_dash(const char *text)
{
	return text && *text ? text : "-";
}

static int put_cells(struct listing *l, const struct row *r)
{
	const struct session *s = &r->session;
	char id[ROW_ID_BYTES], client[TCPSERVER_ADDR_STRLEN];
	char listener[ROW_NAME_BYTES * 4], rule[ROW_NAME_BYTES * 4];
	char upstream[ROW_NAME_BYTES * 4];
	char target[ROW_TARGET_BYTES], up[HUMAN_BYTES], down[HUMAN_BYTES];
	char age[HUMAN_BYTES], idle[HUMAN_BYTES];
	const char *cells[] = {
		row_id(r, id),
		tcp_addr_format(&s->client, client, sizeof(client)),
		or_dash(human_text(r->listener, listener, sizeof(listener))),
		or_dash(row_protocol_word(s->protocol)),
		or_dash(row_state_word(s->state)),
		or_dash(row_target(r, target)),
		human_size(s->bytes_up, up),
		human_size(s->bytes_down, down),
		human_age(r->age_ms, age),
		human_age(r->idle_ms, idle),
		or_dash(human_text(r->rule, rule, sizeof(rule))),
		or_dash(human_text(r->upstream, upstream, sizeof(upstream))),
	};
	int bad = columns_put(&l->columns, cells);

	return bad < 0 ? bad : ferror(l->out) ? -EIO : 0;
}

static int put_row(void *ctx, const struct row *r)
{
	struct listing *l = ctx;

	if (!filters_match(l->filters, r))
		return 0;
	return l->json ? put_json(l, r) : put_cells(l, r);
}

/* One generation; takes the descriptor. */
static int list_generation(struct listing *l, int fd)
{
	struct segment *s = NULL;
	int r = segment_open(&s, fd);

	if (r == 0)
		r = rows_each(s, monotonic_ms(), put_row, l);
	segment_free(s);
	return r;
}

static int list_all(struct listing *l, struct reply *r)
{
	const json_t *numbers = json_object_get(r->last, "generations");
	bool complete = true;

	for (size_t i = 0; i < r->fd_count; i++) {
		json_int_t number = json_integer_value(
			json_array_get(numbers, i));
		int bad = list_generation(l, take_fd(&r->fds[i]));

		if (bad == -EIO || bad == -ENOMEM)
			return bad;
		if (bad == 0)
			continue;
		complete = false;
		(void)fprintf(stderr,
			      "splicedctl: the sessions of generation "
			      "%" JSON_INTEGER_FORMAT " cannot be read: %s\n",
			      number, strerror(-bad));
	}
	return complete ? 0 : -EBADMSG;
}

int show_sessions(FILE *out, struct reply *r, const struct filters *filters,
		  bool json)
{
	static const struct column column[] = {
		{ "ID", false },       { "CLIENT", false },
		{ "LISTENER", false }, { "PROTOCOL", false },
		{ "STATE", false },    { "TARGET", false },
		{ "UP", true },        { "DOWN", true },
		{ "AGE", true },       { "IDLE", true },
		{ "RULE", false },     { "UPSTREAM", false },
	};
	struct listing l = { .out = out, .filters = filters, .json = json };
	int bad;

	if (!json)
		columns_init(&l.columns, out, column, ARRAY_SIZE(column));
	bad = list_all(&l, r);
	if (!json)
		columns_done(&l.columns);
	return bad;
}
