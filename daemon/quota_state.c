/*
 * A line a user: day, bytes of that day, month, bytes of that month, name.  The
 * last line says how many there are, so that a file that was cut is known.
 */
#include "daemon/quota_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "spliced-quotas 1"

int quota_state_init(struct quota_state *s)
{
	*s = (struct quota_state){ 0 };
	return text_table_init(&s->users);
}

void quota_state_done(struct quota_state *s)
{
	text_table_done(&s->users);
	free(TAKE_PTR(s->used));
	s->room = 0;
}

int quota_state_get(struct quota_state *s, struct span user,
		    struct quota_used **ret)
{
	uint32_t count = s->users.count, at;
	int r;

	if (count >= s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		struct quota_used *more = realloc(s->used,
						  room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->used = more;
		s->room = room;
	}
	if (count >= QUOTA_STATE_USERS_MAX &&
	    text_table_find(&s->users, user) == TEXT_NONE)
		return -E2BIG;
	r = text_table_add(&s->users, user, &at);
	if (r < 0)
		return r;
	if (at >= count)
		s->used[at] = (struct quota_used){ 0 };
	*ret = &s->used[at];
	return 0;
}

struct quota_used *quota_state_find(const struct quota_state *s,
				    struct span user)
{
	uint32_t at = text_table_find(&s->users, user);

	return at == TEXT_NONE ? NULL : &s->used[at];
}

void quota_used_turn(struct quota_used *u, uint32_t day, uint32_t month)
{
	if (u->day != day)
		u->day_bytes = 0;
	if (u->month != month)
		u->month_bytes = 0;
	u->day = day;
	u->month = month;
}

/* --- Sums ---------------------------------------------------------------- */

uint64_t quota_sum(uint64_t bytes, uint64_t more)
{
	if (bytes >= QUOTA_BYTES_MAX || more >= QUOTA_BYTES_MAX - bytes)
		return QUOTA_BYTES_MAX;
	return bytes + more;
}

static uint64_t without(uint64_t bytes, uint64_t less)
{
	if (bytes >= QUOTA_BYTES_MAX)
		return QUOTA_BYTES_MAX;
	return bytes > less ? bytes - less : 0;
}

void quota_used_add(struct quota_used *u, uint64_t more)
{
	u->day_bytes = quota_sum(u->day_bytes, more);
	u->month_bytes = quota_sum(u->month_bytes, more);
}

void quota_used_take(struct quota_used *u, uint64_t less)
{
	u->day_bytes = without(u->day_bytes, less);
	u->month_bytes = without(u->month_bytes, less);
}

/* --- Reading ------------------------------------------------------------- */

/* A number and the blank behind it. */
static bool read_number(char **at, uint64_t most, uint64_t *ret)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	*ret = strtoull(*at, &end, 10);
	if (errno || *end != ' ' || *ret > most)
		return false;
	*at = end + 1;
	return true;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* In its place; the length, 0: that was not written by put_name(). */
static size_t read_name(char *name)
{
	char *to = name;

	for (char *at = name; *at; at++) {
		int high, low;

		if (*at != '%') {
			*to++ = *at;
			continue;
		}
		high = hex(at[1]);
		low = high < 0 ? -1 : hex(at[2]);
		if (low < 0)
			return 0;
		*to++ = (char)(high << 4 | low);
		at += 2;
	}
	return (size_t)(to - name);
}

static int read_user(struct quota_state *s, char *line)
{
	uint64_t day, month, day_bytes, month_bytes;
	struct quota_used *u;
	size_t len;
	int r;

	if (!read_number(&line, UINT32_MAX, &day) ||
	    !read_number(&line, UINT64_MAX, &day_bytes) ||
	    !read_number(&line, UINT32_MAX, &month) ||
	    !read_number(&line, UINT64_MAX, &month_bytes))
		return -EBADMSG;
	len = read_name(line);
	if (len == 0 ||
	    quota_state_find(s, (struct span){ (const uint8_t *)line, len }))
		return -EBADMSG;
	r = quota_state_get(s, (struct span){ (const uint8_t *)line, len }, &u);
	if (r == 0)
		*u = (struct quota_used){ .day = (uint32_t)day,
					  .month = (uint32_t)month,
					  .day_bytes = quota_sum(day_bytes, 0),
					  .month_bytes = quota_sum(month_bytes,
								   0) };
	return r;
}

int quota_state_parse(struct quota_state *s, char *text, unsigned *ret_line)
{
	char *line = strsep(&text, "\n"), last[32];
	int r;

	*ret_line = 1;
	if (strcmp(line, HEAD) != 0)
		return -EBADMSG;
	while ((line = strsep(&text, "\n")) && text) {
		++*ret_line;
		if (!strncmp(line, "end ", 4)) {
			(void)snprintf(last, sizeof(last), "end %" PRIu32,
				       s->users.count);
			return !strcmp(line, last) && !*text ? 0 : -EBADMSG;
		}
		r = read_user(s, line);
		if (r < 0)
			return r;
	}
	++*ret_line;
	return -EBADMSG; /* without its last line */
}

/* --- Writing ------------------------------------------------------------- */

static void put_name(FILE *out, struct span name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.at[i] <= ' ' || name.at[i] > '~' || name.at[i] == '%')
			(void)fprintf(out, "%%%02X", name.at[i]);
		else
			(void)fputc(name.at[i], out);
	(void)fputc('\n', out);
}

char *quota_state_format(const struct quota_state *s, uint32_t month,
			 size_t *ret_len)
{
	char *text = NULL;
	uint32_t count = 0;
	FILE *out = open_memstream(&text, ret_len);

	if (!out)
		return NULL;
	(void)fputs(HEAD "\n", out);
	for (uint32_t i = 0; i < s->users.count; i++) {
		const struct quota_used *u = &s->used[i];

		/* A later month is that of a clock that was right before. */
		if (u->month < month || !u->month_bytes)
			continue;
		(void)fprintf(
			out, "%" PRIu32 " %" PRIu64 " %" PRIu32 " %" PRIu64 " ",
			u->day, u->day_bytes, u->month, u->month_bytes);
		put_name(out, text_table_text(&s->users, i));
		count++;
	}
	(void)fprintf(out, "end %" PRIu32 "\n", count);
	if (fclose(out) == EOF) {
		free(text);
		return NULL;
	}
	return text;
}
