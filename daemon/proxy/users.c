/*
 * The users' file: one copy of its text, and a sorted list of users that
 * points into it.  What could never let anybody in, such as a password in
 * plain text, is found when the file is read.
 */
#include "daemon/proxy/users.h"

#include "core/siphash.h"
#include "daemon/proxy/secret.h"

#include <crypt.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The shortest hash there is, without its salt: that of "$1$". */
#define HASH_TAIL_BYTES 22

/* For a file that has none: what mkpasswd(1) writes today. */
static const char usual_hash[] =
	"$y$j9T$abcdefghijklmnop$xxI14acrF4kcY59GsyqJ1DqdhVdc9N0f1.omTKnq.61";

struct user {
	const char *name, *hash; /* in the text */
	size_t name_len;
	unsigned line;
};

struct users {
	struct siphash_key key; /* of decoys */
	char *text;             /* a secret of text_size */
	size_t text_len, text_size;
	struct user *list; /* sorted */
	size_t count;
};

void users_free(struct users *u)
{
	if (!u)
		return;
	secret_free(u->text, u->text_size);
	free(u->list);
	free(u);
}

static void users_freep(struct users **u)
{
	users_free(*u);
}

/* --- Reading ------------------------------------------------------------ */

static int wrong(struct users_fault *fault, unsigned line, const char *why)
{
	*fault = (struct users_fault){ .line = line, .why = why };
	return -EBADMSG;
}

/* What there is of `size` bytes; a NUL stands behind it. */
static int read_text(struct users *u, int fd, size_t size)
{
	u->text_size = size + 1;
	u->text = secret_new(u->text_size);
	if (!u->text)
		return -ENOMEM;
	while (u->text_len < size) {
		ssize_t n = read(fd, u->text + u->text_len, size - u->text_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		u->text_len += (size_t)n;
	}
	return 0;
}

static int read_file(struct users *u, const char *path,
		     struct users_fault *fault)
{
	/* A FIFO must not hold us up. */
	CLEANUP(close_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return wrong(fault, 0, "it is not a regular file");
	if (st.st_size > (off_t)USERS_FILE_BYTES) {
		(void)wrong(fault, 0, "it is larger than 16 MiB");
		return -EFBIG;
	}
	return read_text(u, fd, (size_t)st.st_size);
}

/*
 * Tells whether crypt(3) can verify by this.  The old forms without '$' are
 * not taken: almost every word looks like one, "secret" too.
 */
static bool hash_is_usable(const char *hash)
{
	const char *tail = strrchr(hash, '$');
	int r;

	if (*hash != '$' || strlen(tail + 1) < HASH_TAIL_BYTES)
		return false;
	r = crypt_checksalt(hash);
	return r == CRYPT_SALT_OK || r == CRYPT_SALT_METHOD_LEGACY ||
	       r == CRYPT_SALT_TOO_CHEAP;
}

static bool name_is_usable(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return false;
	return len > 0 && len <= USER_NAME_BYTES;
}

/* Takes a line that ends in NUL. */
static int take_line(struct users *u, char *line, unsigned number,
		     struct users_fault *fault)
{
	char *colon = strchr(line, ':');

	if (!colon)
		return wrong(fault, number,
			     "there is no ':' between a name and a hash");
	if (!name_is_usable(line, (size_t)(colon - line)))
		return wrong(fault, number,
			     "a name has 1 to 255 bytes, none of them a "
			     "control character");
	if (!hash_is_usable(colon + 1))
		return wrong(fault, number,
			     "after the ':' there is no hash of crypt(5); "
			     "'mkpasswd' and 'htpasswd -B' write some");
	u->list[u->count++] = (struct user){
		.name = line,
		.name_len = (size_t)(colon - line),
		.hash = colon + 1,
		.line = number,
	};
	return 0;
}

/* Ends a line without the blanks behind it, one of which may be '\r'. */
static void end_line(char *line, char *end)
{
	while (end > line &&
	       (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	*end = '\0';
}

static int take_lines(struct users *u, struct users_fault *fault)
{
	char *at = u->text, *last = u->text + u->text_len;
	unsigned number = 0;
	size_t lines = 1;

	for (const char *p = at; p < last; p++)
		lines += *p == '\n';
	u->list = calloc(lines, sizeof(*u->list));
	if (!u->list)
		return -ENOMEM;
	while (at < last) {
		char *line = at, *end = memchr(at, '\n', (size_t)(last - at));

		end = end ? end : last;
		at = end + 1;
		number++;
		if (memchr(line, '\0', (size_t)(end - line)))
			return wrong(fault, number, "there is a NUL in it");
		end_line(line, end);
		if (*line == '\0' || *line == '#')
			continue;
		if (take_line(u, line, number, fault) < 0)
			return -EBADMSG;
	}
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	const struct user *x = a, *y = b;

	if (x->name_len != y->name_len)
		return x->name_len < y->name_len ? -1 : 1;
	return memcmp(x->name, y->name, x->name_len);
}

/* Sorts, and finds the second line of a name that has two. */
static int sort_users(struct users *u, struct users_fault *fault)
{
	unsigned twice = 0;

	qsort(u->list, u->count, sizeof(*u->list), compare_names);
	for (size_t i = 1; i < u->count; i++) {
		const struct user *pair = &u->list[i - 1];
		unsigned later = pair[pair[0].line < pair[1].line].line;

		if (compare_names(&pair[0], &pair[1]) == 0 &&
		    (!twice || later < twice))
			twice = later;
	}
	if (twice)
		return wrong(fault, twice, "this user has a line already");
	return 0;
}

int users_load(struct users **ret, const char *path, struct users_fault *fault)
{
	CLEANUP(users_freep) struct users *u = calloc(1, sizeof(*u));
	int r = u ? siphash_key_draw(&u->key) : -ENOMEM;

	if (r == 0)
		r = read_file(u, path, fault);
	if (r == 0)
		r = take_lines(u, fault);
	if (r == 0)
		r = sort_users(u, fault);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(u);
	return 0;
}

/* --- Looking ------------------------------------------------------------ */

const char *users_hash(const struct users *u, struct span name)
{
	const struct user key = { .name = (const char *)name.at,
				  .name_len = name.len };
	const struct user *found;

	if (!u->count || !name.len)
		return NULL;
	found = bsearch(&key, u->list, u->count, sizeof(key), compare_names);
	return found ? found->hash : NULL;
}

const char *users_decoy(const struct users *u, struct span name)
{
	if (!u->count)
		return usual_hash;
	return u->list[siphash(&u->key, name.at, name.len) % u->count].hash;
}

bool users_has(const struct users *u, struct span name, bool cut)
{
	if (users_hash(u, name))
		return true;
	for (size_t i = 0; cut && i < u->count; i++)
		if (u->list[i].name_len > name.len &&
		    memcmp(u->list[i].name, name.at, name.len) == 0)
			return true;
	return false;
}

size_t users_count(const struct users *u)
{
	return u->count;
}
