/*
 * The reading of a list: a file that is written by hand, or by whoever
 * collects addresses and names that are known for evil.
 */
#include "daemon/proxy/give_way.h"
#include "daemon/proxy/match_list_internal.h"
#include "daemon/proxy/target.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Of a line that is wrong so much is shown. */
#define SHOWN "%.60s"

struct reading {
	struct match_list *list;
	bool names;
	unsigned line;
	struct match_list_fault *fault;
};

static int PRINTF_LIKE(2, 3) wrong(struct reading *rd, const char *fmt, ...)
{
	va_list args;

	rd->fault->line = rd->line;
	va_start(args, fmt);
	(void)vsnprintf(rd->fault->why, sizeof(rd->fault->why), fmt, args);
	va_end(args);
	return -EBADMSG;
}

/* --- The file ----------------------------------------------------------- */

static int read_all(int fd, char *text, size_t size, size_t *ret_len)
{
	size_t len = 0;

	while (len < size) {
		size_t part = min_size(size - len, GIVE_WAY_BYTES);
		ssize_t n = read(fd, text + len, part);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		give_way(GIVE_WAY_NOW);
	}
	*ret_len = len;
	return 0;
}

/* *ret is the caller's to free, whatever is returned. */
static int read_file(struct reading *rd, const char *path, char **ret,
		     size_t *ret_len)
{
	/* A FIFO must not hold us up. */
	CLEANUP(close_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return wrong(rd, "it is not a regular file");
	if (st.st_size > (off_t)MATCH_LIST_BYTES) {
		(void)wrong(rd, "it is larger than 64 MiB");
		return -EFBIG;
	}
	*ret = malloc((size_t)st.st_size + 1);
	if (!*ret)
		return -ENOMEM;
	return read_all(fd, *ret, (size_t)st.st_size, ret_len);
}

/* --- Lines -------------------------------------------------------------- */

/* Only digits and dots, or with the marks of IPv6 and of prefixes. */
static bool looks_like_address(const char *text)
{
	return strpbrk(text, ":/") ||
	       strspn(text, "0123456789.") == strlen(text);
}

static int take_prefix(struct reading *rd, const char *text)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct prefix p;
	int r = prefix_parse(&p, text);

	if (r == -ERANGE)
		return wrong(rd, "'" SHOWN "' has host bits set", text);
	if (r < 0)
		return wrong(rd,
			     "'" SHOWN "' is no address and no prefix such as "
			     "10.0.0.0/8",
			     text);
	if (!p.v4 && p.bits >= 96 && memcmp(p.ip, mapped, 12) == 0)
		return wrong(rd,
			     "'" SHOWN "' is IPv4 within IPv6, which is "
			     "treated as IPv4; write it so",
			     text);
	return match_list_add_prefix(rd->list, &p);
}

static int take_name(struct reading *rd, const char *text)
{
	bool suffix = *text == '.';
	struct span bare = { (const uint8_t *)text + suffix,
			     strlen(text) - suffix };
	uint32_t number;

	if (!rd->names)
		return wrong(rd,
			     "'" SHOWN "' is no address and no prefix, which "
			     "are all that a list for 'from' may have",
			     text);
	if (strncmp(text, "*.", 2) == 0)
		return wrong(rd,
			     "'" SHOWN "': write '" SHOWN "', which is the "
			     "domain and all below it",
			     text, text + 1);
	if (bare.len && bare.at[bare.len - 1] == '.')
		bare.len--;
	if (!host_name_is_valid(bare))
		return wrong(rd,
			     "'" SHOWN "' is no address, prefix or host name",
			     text);
	return name_set_add(&rd->list->names, text,
			    suffix ? NAME_SUFFIX : NAME_ITSELF, &number);
}

static int take_entry(struct reading *rd, const char *text)
{
	enum addr_class class;

	if (strpbrk(text, " \t"))
		return wrong(rd,
			     "'" SHOWN "' is more than one entry: write "
			     "one a line",
			     text);
	if (looks_like_address(text))
		return take_prefix(rd, text);
	/* It would be taken for a host of that name. */
	if (addr_class_parse(&class, text) == 0)
		return wrong(rd,
			     "the keyword '%s' has its place in the "
			     "configuration, not in a list",
			     text);
	return take_name(rd, text);
}

/* The line without its comment and the blanks around it, ended by a NUL. */
static char *trim(char *line, char *end)
{
	char *comment = memchr(line, '#', (size_t)(end - line));

	end = comment ? comment : end;
	while (end > line && strchr(" \t\r", end[-1]))
		end--;
	*end = '\0';
	return line + strspn(line, " \t");
}

static int take_lines(struct reading *rd, char *at, char *last)
{
	int r = 0;

	while (r == 0 && at < last) {
		char *end = memchr(at, '\n', (size_t)(last - at));
		char *line = at;

		end = end ? end : last;
		at = end + 1;
		rd->line++;
		give_way(GIVE_WAY_LINE);
		if (memchr(line, '\0', (size_t)(end - line)))
			return wrong(rd, "there is a NUL in it");
		line = trim(line, end);
		if (*line)
			r = take_entry(rd, line);
	}
	return r;
}

static int read_list(struct reading *rd, const char *path)
{
	char *text = NULL;
	size_t len = 0;
	int r = read_file(rd, path, &text, &len);

	if (r == 0)
		r = take_lines(rd, text, text + len);
	if (r == 0)
		r = match_list_end(rd->list);
	free(text);
	return r;
}

int match_list_load(struct match_list **ret, const char *path, bool names,
		    struct match_list_fault *fault)
{
	struct reading rd = { .names = names, .fault = fault };
	int r = match_list_begin(&rd.list);

	if (r < 0)
		return r;
	r = read_list(&rd, path);
	if (r < 0) {
		match_list_free(rd.list);
		return r;
	}
	*ret = rd.list;
	return 0;
}
