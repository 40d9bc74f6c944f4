/*
 * A header with a directory of tables, then the tables.  The header of a
 * foreign segment is copied by read(2) once and judged in the copy: its owner
 * may have been broken into and go on writing.  It cannot shrink the memory
 * under a reader, for which the seals are asked.
 *
 * A descriptor that cannot be mapped writable is what makes a segment safe to
 * pass on, so a kernel without F_SEAL_FUTURE_WRITE (before 5.1) is an error.
 */
#include "daemon/segment.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define MAGIC  "spliced"
#define LAYOUT 1u
#define ALIGN  64u
#define SEALS  (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

/* Nothing but a bound: all slots that 32 bits can number take half of it. */
#define BYTES_MAX (UINT64_C(1) << (sizeof(size_t) > 4 ? 41 : 31))

struct entry {
	char name[SEGMENT_NAME_BYTES];
	uint32_t size, count;
	uint64_t offset; /* from the start of the segment */
};

struct header {
	char magic[8];
	uint32_t layout;
	uint32_t table_count;
	uint8_t reserved[48];
	struct entry table[SEGMENT_TABLES_MAX];
};

_Static_assert(sizeof(struct header) == 64 + 32 * SEGMENT_TABLES_MAX &&
		       sizeof(struct header) % ALIGN == 0,
	       "the header has no padding");

struct segment {
	int fd;
	char *base;
	size_t bytes;
	struct header header;
};

/* --- Layout ------------------------------------------------------------- */

static const struct entry *find(const struct header *h, const char *name)
{
	for (uint32_t i = 0; i < h->table_count; i++)
		if (!strcmp(h->table[i].name, name))
			return &h->table[i];
	return NULL;
}

/* Places the tables one after the other; *ret_bytes: of all of it. */
static int lay_out(struct header *h, const struct segment_spec *tables,
		   unsigned count, size_t *ret_bytes)
{
	uint64_t end = sizeof(*h);

	if (count > SEGMENT_TABLES_MAX)
		return -EINVAL;
	*h = (struct header){ .magic = MAGIC, .layout = LAYOUT };
	for (unsigned i = 0; i < count; i++) {
		const struct segment_spec *from = &tables[i];
		struct entry *to = &h->table[i];
		size_t len = strlen(from->name);

		if (len == 0 || len >= sizeof(to->name) || from->size == 0 ||
		    find(h, from->name))
			return -EINVAL;
		memcpy(to->name, from->name, len);
		to->size = from->size;
		to->count = from->count;
		to->offset = end;
		h->table_count++;
		end += (uint64_t)from->size * from->count;
		if (end > BYTES_MAX)
			return -ENOMEM;
		end = (end + ALIGN - 1) / ALIGN * ALIGN;
	}
	*ret_bytes = (size_t)end;
	return 0;
}

/* Judges what somebody else has laid out in that many bytes. */
static bool is_sound(const struct header *h, uint64_t bytes)
{
	struct header seen = { .table_count = 0 };

	if (memcmp(h->magic, MAGIC, sizeof(h->magic)) != 0 ||
	    h->layout != LAYOUT || h->table_count > SEGMENT_TABLES_MAX)
		return false;
	for (uint32_t i = 0; i < h->table_count; i++) {
		const struct entry *t = &h->table[i];

		if (t->name[0] == '\0' ||
		    !memchr(t->name, '\0', sizeof(t->name)) ||
		    find(&seen, t->name))
			return false;
		if (t->size == 0 || t->offset < sizeof(*h) ||
		    t->offset % ALIGN != 0 || t->offset > bytes ||
		    (uint64_t)t->size * t->count > bytes - t->offset)
			return false;
		seen.table[seen.table_count++] = *t;
	}
	return true;
}

/* --- Our own ------------------------------------------------------------ */

/* Memory that nobody can run; kernels before 6.3 do not know of that. */
static int make_memfd(void)
{
	int fd = memfd_create("spliced", MFD_CLOEXEC | MFD_ALLOW_SEALING |
						 MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("spliced", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? -errno : fd;
}

/* Our mapping must be there before the seals, which allow no other. */
static int map_own(struct segment *s)
{
	s->fd = make_memfd();
	if (s->fd < 0)
		return s->fd;
	if (ftruncate(s->fd, (off_t)s->bytes) < 0)
		return -errno;
	s->base = mmap(NULL, s->bytes, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_NORESERVE, s->fd, 0);
	if (s->base == MAP_FAILED)
		return -errno;
	memcpy(s->base, &s->header, sizeof(s->header));
	if (fcntl(s->fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	return 0;
}

static struct segment *segment_alloc(int fd)
{
	struct segment *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->fd = fd;
	s->base = MAP_FAILED;
	return s;
}

int segment_new(struct segment **ret, const struct segment_spec *tables,
		unsigned count)
{
	struct segment *s = segment_alloc(-1);
	int r;

	if (!s)
		return -ENOMEM;
	r = lay_out(&s->header, tables, count, &s->bytes);
	if (r == 0)
		r = map_own(s);
	if (r < 0) {
		segment_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* --- Somebody else's ---------------------------------------------------- */

/*
 * Tells whether a descriptor is memory that keeps its size, and so never
 * makes SIGBUS.  Of a pipe or a device not even the size may be asked.
 */
static bool is_sealed_memory(int fd, uint64_t *ret_bytes)
{
	struct statfs fs;
	struct stat st;
	int seals;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 0)
		return false;
	if (fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC)
		return false;
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SEALS) != SEALS)
		return false;
	/* Only now it cannot change any more. */
	if (fstat(fd, &st) < 0)
		return false;
	*ret_bytes = (uint64_t)st.st_size;
	return true;
}

static int map_foreign(struct segment *s)
{
	struct header *h = &s->header;
	uint64_t bytes;

	if (!is_sealed_memory(s->fd, &bytes) || bytes < sizeof(*h) ||
	    bytes > BYTES_MAX)
		return -EBADMSG;
	if (pread(s->fd, h, sizeof(*h), 0) != (ssize_t)sizeof(*h) ||
	    !is_sound(h, bytes))
		return -EBADMSG;
	s->bytes = (size_t)bytes;
	s->base = mmap(NULL, s->bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE,
		       s->fd, 0);
	return s->base == MAP_FAILED ? -errno : 0;
}

int segment_open(struct segment **ret, int fd)
{
	struct segment *s = segment_alloc(fd);
	int r;

	if (!s) {
		close_fd(&fd);
		return -ENOMEM;
	}
	r = map_foreign(s);
	if (r < 0) {
		segment_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void segment_free(struct segment *s)
{
	if (!s)
		return;
	if (s->base != MAP_FAILED)
		(void)munmap(s->base, s->bytes);
	close_fd(&s->fd);
	free(s);
}

int segment_fd(const struct segment *s)
{
	return s->fd;
}

int segment_peek(const struct segment *s, const void *at, void *out,
		 size_t bytes)
{
	ssize_t n = pread(s->fd, out, bytes, (const char *)at - s->base);

	if (n < 0)
		return -errno;
	return (size_t)n == bytes ? 0 : -EBADMSG;
}

void *segment_table(const struct segment *s, const char *name, uint32_t size,
		    uint32_t *ret_count)
{
	const struct entry *t = find(&s->header, name);

	if (!t || t->size != size)
		return NULL;
	*ret_count = t->count;
	return s->base + t->offset;
}
