/*
 * The users' file: one copy of its text, and a sorted list of users that
 * points into it.  What could never let anybody in, such as a password in
 * plain text, is found when the file is read.
 */
#include "daemon/proxy/users.h"

#include "core/siphash.h"
#include "daemon/proxy/account_file.h"
#include "daemon/proxy/give_way.h"
#include "daemon/proxy/password.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

/* The shortest hash there is, without its salt: that of "$1$". */
#define HASH_TAIL_BYTES 22

struct user {
	const char *name, *hash; /* in the text */
	size_t name_len;
	unsigned line;
};

struct users {
	struct siphash_key key; /* of decoys */
	struct account_file file;
	struct user *list; /* sorted */
	size_t count;
};

void users_free(struct users *u)
{
	if (!u)
		return;
	account_file_done(&u->file);
	free(u->list);
	free(u);
}

static void users_freep(struct users **u)
{
	users_free(*u);
}

/* --- Reading ------------------------------------------------------------ */

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

/* Takes a line that ends in NUL. */
static int take_line(struct users *u, char *line, unsigned number,
		     struct users_fault *fault)
{
	char *colon = strchr(line, ':');

	if (!colon)
		return account_file_fault(
			fault, number,
			"there is no ':' between a name and a hash");
	if (!user_name_is_usable(line, (size_t)(colon - line)))
		return account_file_fault(
			fault, number,
			"a name has 1 to 255 bytes, none of them a "
			"control character");
	if (!hash_is_usable(colon + 1))
		return account_file_fault(
			fault, number,
			"after the ':' there is no hash of crypt(5); "
			"'splicedctl passwd' writes one");
	u->list[u->count++] = (struct user){
		.name = line,
		.name_len = (size_t)(colon - line),
		.hash = colon + 1,
		.line = number,
	};
	return 0;
}

static int take_lines(struct users *u, struct users_fault *fault)
{
	unsigned number = 0;
	char *line;
	int r;

	u->list = calloc(account_file_lines(&u->file), sizeof(*u->list));
	if (!u->list)
		return -ENOMEM;
	while ((r = account_file_next(&u->file, &line, &number, fault)) > 0)
		if (take_line(u, line, number, fault) < 0)
			return -EBADMSG;
	return r;
}

static int compare_names(const void *a, const void *b)
{
	const struct user *x = a, *y = b;

	if (x->name_len != y->name_len)
		return x->name_len < y->name_len ? -1 : 1;
	return memcmp(x->name, y->name, x->name_len);
}

static int compare_in_turns(const void *a, const void *b)
{
	give_way(GIVE_WAY_ENTRY);
	return compare_names(a, b);
}

/* Sorts, and finds the second line of a name that has two. */
static int sort_users(struct users *u, struct users_fault *fault)
{
	unsigned twice = 0;

	qsort(u->list, u->count, sizeof(*u->list), compare_in_turns);
	for (size_t i = 1; i < u->count; i++) {
		const struct user *pair = &u->list[i - 1];
		unsigned later = pair[pair[0].line < pair[1].line].line;

		if (compare_names(&pair[0], &pair[1]) == 0 &&
		    (!twice || later < twice))
			twice = later;
	}
	if (twice)
		return account_file_fault(fault, twice,
					  "this user has a line already");
	return 0;
}

int users_load(struct users **ret, const char *path, struct users_fault *fault)
{
	CLEANUP(users_freep) struct users *u = calloc(1, sizeof(*u));
	int r = u ? siphash_key_draw(&u->key) : -ENOMEM;

	if (r == 0)
		r = account_file_read(&u->file, path, fault);
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
		return password_decoy;
	return u->list[siphash(&u->key, name.at, name.len) % u->count].hash;
}

/* The first of those with names of `len` bytes that does not stand before all
 * that begin so; or of longer ones. */
static size_t find_first(const struct users *u, size_t len, struct span head)
{
	size_t low = 0, high = u->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct user *at = &u->list[middle];

		if (at->name_len < len ||
		    (at->name_len == len &&
		     memcmp(at->name, head.at, head.len) < 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A search for each length that there is: a loop waits for it. */
static bool has_longer(const struct users *u, struct span head)
{
	size_t len = head.len + 1, i;

	while ((i = find_first(u, len, head)) < u->count) {
		const struct user *at = &u->list[i];

		if (memcmp(at->name, head.at, head.len) == 0)
			return true;
		len = at->name_len > len ? at->name_len : len + 1;
	}
	return false;
}

bool users_has(const struct users *u, struct span name, bool cut)
{
	return users_hash(u, name) || (cut && has_longer(u, name));
}

size_t users_count(const struct users *u)
{
	return u->count;
}
