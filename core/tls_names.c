/*
 * A sorted table: a name that a client made up costs two binary searches, and
 * there is nothing in it that he could make collide.
 */
#include "core/tls_names.h"

#include "core/host_name.h"

#include <stdlib.h>
#include <string.h>

/* "*." in front and the NUL behind. */
#define KEY_SIZE (HOST_NAME_SIZE + 2)

/* While names are added: one for each certificate that has the name. */
struct entry {
	char *name;
	int cert;
	enum tls_kind kind;
};

/* A name, once. */
struct row {
	const char *name; /* an entry's */
	struct tls_set certs;
	int set;
};

struct tls_names {
	struct entry *entries;
	size_t entry_count, entry_cap;
	struct row *rows; /* sorted by name */
	size_t row_count;
	struct tls_set *sets;
	size_t set_count;
};

int tls_names_new(struct tls_names **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void tls_names_free(struct tls_names *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->entry_count; i++)
		free(n->entries[i].name);
	free(n->entries);
	free(n->rows);
	free(n->sets);
	free(n);
}

/* --- Adding ------------------------------------------------------------- */

/* Writes what the table knows a name by to key[KEY_SIZE].  -EINVAL. */
static int make_key(char *key, const char *name, size_t len)
{
	size_t star = len > 2 && name[0] == '*' && name[1] == '.' ? 2 : 0;
	int n = host_name_fold(key + star, name + star, len - star);

	if (n < 0)
		return n;
	memcpy(key, name, star);
	key[star + (size_t)n] = '\0';
	return 0;
}

static int make_room(struct tls_names *n)
{
	size_t cap = max_size(n->entry_cap * 2, 16);
	struct entry *p;

	if (n->entry_count < n->entry_cap)
		return 0;
	p = reallocarray(n->entries, cap, sizeof(*p));
	if (!p)
		return -ENOMEM;
	n->entries = p;
	n->entry_cap = cap;
	return 0;
}

int tls_names_add(struct tls_names *n, const char *name, size_t len, int cert,
		  enum tls_kind kind)
{
	char key[KEY_SIZE];
	char *copy;

	if (make_key(key, name, len) < 0)
		return 0;
	if (n->entry_count >= TLS_NAMES_MAX)
		return -E2BIG;
	if (make_room(n) < 0)
		return -ENOMEM;
	copy = strdup(key);
	if (!copy)
		return -ENOMEM;
	n->entries[n->entry_count++] = (struct entry){ .name = copy,
						       .cert = cert,
						       .kind = kind };
	return 0;
}

/* --- Sets --------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : x->cert - y->cert;
}

static const struct tls_set no_certs = {
	.cert = { [0 ... TLS_KINDS - 1] = -1 },
};

static void put_first(struct tls_set *s, enum tls_kind kind, int cert)
{
	if (s->cert[kind] < 0 || cert < s->cert[kind])
		s->cert[kind] = cert;
}

/* Merges the sorted entries of each name into one row. */
static void make_rows(struct tls_names *n)
{
	for (size_t i = 0; i < n->entry_count; i++) {
		const struct entry *e = &n->entries[i];

		if (i == 0 || strcmp(e->name, e[-1].name) != 0)
			n->rows[n->row_count++] = (struct row){
				.name = e->name,
				.certs = no_certs,
			};
		put_first(&n->rows[n->row_count - 1].certs, e->kind, e->cert);
	}
}

static bool has_cert(const struct tls_set *s, int cert)
{
	for (unsigned k = 0; k < TLS_KINDS; k++) {
		if (s->cert[k] == cert)
			return true;
	}
	return false;
}

static struct tls_set default_set(const struct tls_names *n, enum tls_kind kind)
{
	struct tls_set s = no_certs;

	for (size_t i = 0; i < n->row_count; i++) {
		const struct tls_set *certs = &n->rows[i].certs;

		for (unsigned k = 0; k < TLS_KINDS; k++) {
			if (has_cert(certs, 0) && certs->cert[k] >= 0)
				put_first(&s, k, certs->cert[k]);
		}
	}
	s.cert[kind] = 0;
	return s;
}

static int by_certs(const void *a, const void *b)
{
	const struct row *const *x = a, *const *y = b;

	return memcmp(&(*x)->certs, &(*y)->certs, sizeof((*x)->certs));
}

/* Numbers the sets that rows have, equal ones alike; 0 is there already. */
static void number_sets(struct tls_names *n, struct row **sorted)
{
	for (size_t i = 0; i < n->row_count; i++)
		sorted[i] = &n->rows[i];
	qsort(sorted, n->row_count, sizeof(void *), by_certs);
	for (size_t i = 0; i < n->row_count; i++) {
		struct row *row = sorted[i];

		if (memcmp(&row->certs, &n->sets[0], sizeof(row->certs)) == 0) {
			row->set = 0;
			continue;
		}
		if (memcmp(&row->certs, &n->sets[n->set_count - 1],
			   sizeof(row->certs)) != 0)
			n->sets[n->set_count++] = row->certs;
		row->set = (int)n->set_count - 1;
	}
}

int tls_names_done_adding(struct tls_names *n, enum tls_kind kind)
{
	struct row **sorted;

	if (n->entry_count > 0)
		qsort(n->entries, n->entry_count, sizeof(*n->entries), by_name);
	n->rows = calloc(n->entry_count + 1, sizeof(*n->rows));
	if (!n->rows)
		return -ENOMEM;
	make_rows(n);
	n->sets = calloc(n->row_count + 1, sizeof(*n->sets));
	sorted = calloc(n->row_count + 1, sizeof(struct row *));
	if (!n->sets || !sorted) {
		free(sorted);
		return -ENOMEM;
	}
	n->sets[n->set_count++] = default_set(n, kind);
	number_sets(n, sorted);
	free(sorted);
	return 0;
}

size_t tls_names_sets(const struct tls_names *n, const struct tls_set **ret)
{
	*ret = n->sets;
	return n->set_count;
}

/* --- Finding ------------------------------------------------------------ */

static int compare(const void *key, const void *row)
{
	return strcmp(key, ((const struct row *)row)->name);
}

static const struct row *find(const struct tls_names *n, const char *key)
{
	return bsearch(key, n->rows, n->row_count, sizeof(*n->rows), compare);
}

int tls_names_find(const struct tls_names *n, const char *name)
{
	char key[HOST_NAME_SIZE];
	const struct row *row;
	char *dot;
	int len;

	if (!name)
		return -ENOENT;
	len = host_name_fold(key, name, strlen(name));
	if (len < 0)
		return -ENOENT;
	key[len] = '\0';
	row = find(n, key);
	if (row)
		return row->set;
	dot = strchr(key, '.');
	if (!dot)
		return -ENOENT;
	/* A label has a character at least, so that there is room. */
	dot[-1] = '*';
	row = find(n, dot - 1);
	return row ? row->set : -ENOENT;
}
