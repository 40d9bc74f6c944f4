/*
 * Reading files and following @include.  This is not left to libconfig: 1.5
 * puts its include folder in front of absolute paths too, says neither which
 * file is missing nor why, and reads the file after our scan, when it may
 * have changed.  So it gets one text, and lines are mapped back.
 */
#include "conf/source.h"

#include "conf/arena.h"
#include "conf/file_advice.h"
#include "conf/scan.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A file that is being taken in, and the one that includes it. */
struct place {
	const char *file;   /* as messages name it */
	const char *folder; /* of the main file, for relative paths */
	unsigned depth;
};

struct blob {
	char *at;
	size_t len;
};

static void free_blob(struct blob *b)
{
	free(b->at);
}

static void take_in(struct conf_source *s, const struct blob *b,
		    const struct place *p, struct conf_errors *errors, int *r);

/* Reads to the end; -EFBIG: more than a configuration may have. */
static int read_all(int fd, struct blob *ret)
{
	size_t room = 0;

	for (;;) {
		ssize_t n;

		if (ret->len == room) {
			char *more;

			if (room > CONF_SOURCE_BYTES_MAX)
				return -EFBIG;
			room = room ? room * 2 : 16384;
			more = realloc(ret->at, room);
			if (!more)
				return -ENOMEM;
			ret->at = more;
		}
		n = read(fd, ret->at + ret->len, room - ret->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return ret->len > CONF_SOURCE_BYTES_MAX ? -EFBIG : 0;
		ret->len += (size_t)n;
	}
}

static int read_file(const char *path, struct blob *ret)
{
	CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return read_all(fd, ret);
}

static int append(struct conf_source *s, const char *text, size_t len)
{
	size_t need = s->len + len + 1;

	if (need > s->room) {
		size_t room = max_size(need, s->room * 2);
		char *more = realloc(s->text, room);

		if (!more)
			return -ENOMEM;
		s->text = more;
		s->room = room;
	}
	memcpy(s->text + s->len, text, len);
	s->len += len;
	s->text[s->len] = '\0';
	for (size_t i = 0; i < len; i++)
		s->line += text[i] == '\n';
	return 0;
}

/* Says that the next line of the whole text is `line` of `file`. */
static int add_piece(struct conf_source *s, const char *file, unsigned line)
{
	if (s->piece_count == s->piece_room) {
		size_t room = s->piece_room ? s->piece_room * 2 : 8;
		struct conf_piece *more = realloc(s->pieces,
						  room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->pieces = more;
		s->piece_room = room;
	}
	s->pieces[s->piece_count++] = (struct conf_piece){
		.line = s->line,
		.file_line = line,
		.file = file,
	};
	return 0;
}

/* Where an included file lies; NULL: out of memory. */
static char *resolve(struct conf_source *s, const struct place *p,
		     const struct conf_token *t)
{
	const char *path = (const char *)t->path.at;
	int len = (int)t->path.len;

	if ((len && *path == '/') || !strcmp(p->folder, "."))
		return conf_arena_copy(s->arena, path, t->path.len);
	return conf_arena_format(s->arena, "%s/%.*s", p->folder, len, path);
}

static void include(struct conf_source *s, const struct place *p,
		    const struct conf_token *t, struct conf_errors *errors,
		    int *r)
{
	struct place inner = { .folder = p->folder, .depth = p->depth + 1 };
	CLEANUP(free_blob) struct blob b = { 0 };
	int err;

	inner.file = resolve(s, p, t);
	if (!inner.file) {
		*r = -ENOMEM;
		return;
	}
	if (inner.depth > CONF_SOURCE_DEPTH_MAX) {
		conf_errors_add(errors, CONF_ERROR, p->file, t->line,
				"@include is nested more than %d deep: does a "
				"file include itself?",
				CONF_SOURCE_DEPTH_MAX);
		*r = -EBADMSG;
		return;
	}
	err = read_file(inner.file, &b);
	if (err == -ENOMEM) {
		*r = err;
	} else if (err < 0) {
		conf_errors_add(errors, CONF_ERROR, p->file, t->line,
				"cannot include %s: %s%s", inner.file,
				err == -EFBIG ? "the file is too large"
					      : strerrordesc_np(-err),
				file_read_advice(err));
		*r = -EBADMSG;
	} else {
		take_in(s, &b, &inner, errors, r);
	}
}

/* Tells of a file whose end leaves something open, or that is no text. */
static void report_fault(const struct place *p, const struct conf_token *t,
			 struct conf_errors *errors, int *r)
{
	conf_errors_add(errors, CONF_ERROR, p->file, t->line, "%s", t->why);
	*r = -EBADMSG;
}

static bool within_bounds(const struct conf_source *s, size_t more,
			  const struct place *p, struct conf_errors *errors,
			  int *r)
{
	const char *what = NULL;

	if (more && s->len + more > CONF_SOURCE_BYTES_MAX)
		what = "the configuration is larger than 16 MiB";
	else if (s->files > CONF_SOURCE_FILES_MAX)
		what = "more than 1000 files are included";
	else if (s->line - 1 > CONF_SOURCE_LINES_MAX)
		what = "the configuration has more than 65535 lines";
	if (!what)
		return true;
	conf_errors_add(errors, CONF_ERROR, p->file, 0, "%s", what);
	*r = -EBADMSG;
	return false;
}

/*
 * Puts a file's text behind what is there, each @include replaced by what the
 * other file holds.  Faults are told, and the rest is looked at all the same.
 */
static void take_in(struct conf_source *s, const struct blob *b,
		    const struct place *p, struct conf_errors *errors, int *r)
{
	const char *from = b->at;
	struct conf_scan scan;
	struct conf_token t;

	s->files++;
	if (!within_bounds(s, b->len, p, errors, r))
		return;
	if (b->len >= 3 && !memcmp(b->at, "\xef\xbb\xbf", 3))
		from += 3; /* a byte order mark, which libconfig refuses */
	conf_scan_init(&scan, from, b->len - (size_t)(from - b->at));
	if (add_piece(s, p->file, 1) < 0)
		*r = -ENOMEM;
	do {
		conf_scan_next(&scan, &t);
		if (t.kind == CONF_TOKEN_FAULT)
			report_fault(p, &t, errors, r);
		if (t.kind != CONF_TOKEN_INCLUDE)
			continue;
		if (append(s, from, (size_t)(t.at - from)) < 0 ||
		    append(s, "\n", 1) < 0)
			*r = -ENOMEM;
		include(s, p, &t, errors, r);
		if (add_piece(s, p->file, t.line) < 0)
			*r = -ENOMEM;
		from = t.at + t.len;
	} while (t.kind != CONF_TOKEN_END && t.kind != CONF_TOKEN_FAULT &&
		 *r != -ENOMEM);
	if (append(s, from, (size_t)(scan.end - from)) < 0 ||
	    append(s, "\n", 1) < 0)
		*r = -ENOMEM;
	(void)within_bounds(s, 0, p, errors, r);
}

int conf_source_text(struct conf_source *ret, struct conf_arena *arena,
		     const char *text, size_t len, const char *name,
		     const char *folder, struct conf_errors *errors)
{
	struct place p = { .file = name, .folder = folder };
	struct blob b = { .at = (char *)text, .len = len };
	int r = 0;

	*ret = (struct conf_source){ .arena = arena, .line = 1 };
	take_in(ret, &b, &p, errors, &r);
	if (r < 0)
		conf_source_done(ret);
	return r;
}

int conf_source_read(struct conf_source *ret, struct conf_arena *arena,
		     const char *path, struct conf_errors *errors)
{
	CLEANUP(free_blob) struct blob b = { 0 };
	const char *slash = strrchr(path, '/');
	const char *folder = ".";
	int r = read_file(path, &b);

	*ret = (struct conf_source){ 0 };
	if (r == -EFBIG) {
		conf_errors_add(errors, CONF_ERROR, path, 0,
				"the file is larger than 16 MiB");
		return -EBADMSG;
	}
	if (r < 0) {
		conf_errors_add(errors, CONF_ERROR, path, 0,
				"cannot read the file: %s%s",
				strerrordesc_np(-r),
				r == -ENOENT ? " (correct the path, or let "
					       "'spliced --init' write one)"
					     : file_read_advice(r));
		return r;
	}
	if (slash == path)
		folder = "";
	else if (slash)
		folder = conf_arena_copy(arena, path, (size_t)(slash - path));
	if (!folder)
		return -ENOMEM;
	return conf_source_text(ret, arena, b.at ? b.at : "", b.len, path,
				folder, errors);
}

void conf_source_where(const struct conf_source *s, unsigned line,
		       const char **ret_file, unsigned *ret_line)
{
	size_t lo = 0, hi = s->piece_count;

	/* The last piece that begins at or before the line. */
	while (hi - lo > 1) {
		size_t middle = lo + (hi - lo) / 2;

		if (s->pieces[middle].line <= line)
			lo = middle;
		else
			hi = middle;
	}
	*ret_file = s->pieces[lo].file;
	*ret_line = s->pieces[lo].file_line + (line - s->pieces[lo].line);
}

void conf_source_done(struct conf_source *s)
{
	free(s->text);
	free(s->pieces);
	*s = (struct conf_source){ 0 };
}
