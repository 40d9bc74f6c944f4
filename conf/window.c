/*
 * Days are written as systemd.time(7) writes them, but for "-", which reads
 * more like a span than its "..".
 */
#include "conf/window.h"

#include "conf/match.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ALL_DAYS ((1u << CONF_DAYS) - 1)

static const char *const days[CONF_DAYS] = {
	"monday", "tuesday",  "wednesday", "thursday",
	"friday", "saturday", "sunday",
};

/* --- Reading ------------------------------------------------------------- */

static bool is_letter(char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The number of a day; -1: that is none. */
static int read_day(const char **text)
{
	size_t len = 0;

	while (is_letter((*text)[len]))
		len++;
	for (int i = 0; i < CONF_DAYS; i++) {
		if ((len != 3 && len != strlen(days[i])) ||
		    strncasecmp(*text, days[i], len) != 0)
			continue;
		*text += len;
		return i;
	}
	return -1;
}

static bool skip(const char **text, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*text, word, len) != 0)
		return false;
	*text += len;
	return true;
}

/* "mon", "mon-fri", "fri-mon"; 0: neither. */
static uint8_t read_days(const char **text)
{
	int first = read_day(text), last = first;
	uint8_t set = 0;

	if (first >= 0 && (skip(text, "..") || skip(text, "-")))
		last = read_day(text);
	if (first < 0 || last < 0)
		return 0;
	for (int i = first;; i = (i + 1) % CONF_DAYS) {
		set |= (uint8_t)(1u << i);
		if (i == last)
			return set;
	}
}

/* "8:00", "08:00", "24:00"; -1: that is no time. */
static int read_time(const char **text)
{
	const char *p = *text;
	int hour = 0, minute;

	if (!is_digit(*p))
		return -1;
	for (int i = 0; i < 2 && is_digit(*p); i++)
		hour = hour * 10 + *p++ - '0';
	if (*p != ':' || !is_digit(p[1]) || !is_digit(p[2]) || is_digit(p[3]))
		return -1;
	minute = (p[1] - '0') * 10 + p[2] - '0';
	if (hour > 24 || minute > 59 || (hour == 24 && minute))
		return -1;
	*text = p + 3;
	return hour * 60 + minute;
}

static int read_span(struct conf_window *w, const char *text, char *why)
{
	const char *p = text;
	int from = read_time(&p), to = -1;

	if (from >= 0 && skip(&p, "-"))
		to = read_time(&p);
	if (from < 0 || to < 0 || *p || from == CONF_DAY_MINUTES)
		return conf_refuse(why,
				   "'" CONF_SHOWN
				   "' is no span of time; write it as in "
				   "\"08:00-18:00\", from 00:00 to 24:00",
				   text);
	if (from == to)
		return conf_refuse(why,
				   "'" CONF_SHOWN
				   "' ends when it begins; for the whole day "
				   "write \"00:00-24:00\", or the days alone",
				   text);
	w->from = (uint16_t)from;
	w->to = (uint16_t)to;
	return 0;
}

/* Up to the blank behind the last one. */
static int read_day_list(struct conf_window *w, const char **text, char *why)
{
	const char *begin = *text;

	w->days = 0;
	do {
		uint8_t more = read_days(text);

		if (!more)
			return conf_refuse(
				why,
				"'" CONF_SHOWN
				"' does not begin with days; write them as in "
				"\"mon-fri\" or \"sat,sun\", and times as in "
				"\"08:00-18:00\"",
				begin);
		w->days |= more;
	} while (skip(text, ","));
	if (**text && **text != ' ')
		return conf_refuse(
			why,
			"'" CONF_SHOWN
			"': a blank must part days from times, as in "
			"\"mon-fri 08:00-18:00\"",
			begin);
	return 0;
}

int conf_window_parse(struct conf_window *ret, const char *text, char *why)
{
	struct conf_window w = { .days = ALL_DAYS, .to = CONF_DAY_MINUTES };
	const char *p = text + strspn(text, " ");
	int r = 0;

	if (!*p)
		return conf_refuse(why,
				   "a time of the week is empty; write it as "
				   "in \"mon-fri 08:00-18:00\"");
	if (!is_digit(*p))
		r = read_day_list(&w, &p, why);
	p += strspn(p, " ");
	if (r == 0 && *p)
		r = read_span(&w, p, why);
	if (r == 0)
		*ret = w;
	return r;
}

/* --- Writing ------------------------------------------------------------- */

static bool has_day(const struct conf_window *w, unsigned day)
{
	return day < CONF_DAYS && w->days & 1u << day;
}

static void put_days(const struct conf_window *w, FILE *out)
{
	const char *comma = "";

	for (unsigned i = 0; i < CONF_DAYS; i++) {
		unsigned last = i;

		if (!has_day(w, i))
			continue;
		while (has_day(w, last + 1))
			last++;
		(void)fprintf(out, "%s%.3s", comma, days[i]);
		if (last > i)
			(void)fprintf(out, "%s%.3s", last > i + 1 ? "-" : ",",
				      days[last]);
		comma = ",";
		i = last;
	}
}

char *conf_window_format(const struct conf_window *w, char *out, size_t size)
{
	bool all = w->from == 0 && w->to == CONF_DAY_MINUTES;
	FILE *f = fmemopen(out, size, "w");

	out[0] = '\0';
	if (!f)
		return out;
	if (w->days != ALL_DAYS || all)
		put_days(w, f);
	if (!all)
		(void)fprintf(f, "%s%02u:%02u-%02u:%02u",
			      w->days != ALL_DAYS ? " " : "", w->from / 60u,
			      w->from % 60u, w->to / 60u, w->to % 60u);
	(void)fclose(f);
	out[size - 1] = '\0';
	return out;
}

bool conf_window_equal(const struct conf_window *a, const struct conf_window *b)
{
	return a->days == b->days && a->from == b->from && a->to == b->to;
}
