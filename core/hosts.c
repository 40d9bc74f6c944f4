/*
 * The table lies over one copy of the file's text: names are folded there in
 * place and referred to by offset, and neighbouring lines with one address
 * (a block list has 150,000 of them) share it.
 */
#include "core/hosts.h"

#include "core/host_name.h"
#include "core/siphash.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX ((size_t)64 << 20)
#define NONE     UINT32_MAX

struct hosts_name {
	uint32_t at;   /* where the name stands in the text */
	uint32_t next; /* in the same bucket, or NONE */
	uint32_t addr;
	uint32_t hash; /* spares most looks at the text */
	uint8_t len;
};

struct hosts {
	atomic_size_t references;
	struct siphash_key key;
	char *text;
	struct hosts_name *names;
	size_t name_count, name_cap;
	struct tcp_addr *addrs;
	size_t addr_count, addr_cap;
	struct span last; /* the word that the last address was read from */
	uint32_t *buckets;
	uint32_t mask;
};

struct hosts *hosts_get(struct hosts *h)
{
	if (h)
		(void)atomic_fetch_add_explicit(&h->references, 1,
						memory_order_relaxed);
	return h;
}

void hosts_put(struct hosts *h)
{
	if (!h || atomic_fetch_sub_explicit(&h->references, 1,
					    memory_order_acq_rel) > 1)
		return;
	free(h->text);
	free(h->names);
	free(h->addrs);
	free(h->buckets);
	free(h);
}

static void hosts_putp(struct hosts **h)
{
	hosts_put(*h);
}

size_t hosts_count(const struct hosts *h)
{
	return h->name_count;
}

/* Makes room for one more element behind `count`. */
static int grow(void **array, size_t count, size_t *cap, size_t size)
{
	size_t wanted = max_size(*cap * 2, 16);
	void *p;

	if (count < *cap)
		return 0;
	p = reallocarray(*array, wanted, size);
	if (!p)
		return -ENOMEM;
	*array = p;
	*cap = wanted;
	return 0;
}

/* --- Reading ------------------------------------------------------------ */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v' ||
	       c == '\0';
}

/* Takes the next word of a line; returns false at its end or a comment. */
static bool next_word(char **at, char *end, char **ret, size_t *ret_len)
{
	char *p = *at;

	while (p < end && is_blank(*p))
		p++;
	*ret = p;
	while (p < end && !is_blank(*p) && *p != '#')
		p++;
	*at = p;
	*ret_len = (size_t)(p - *ret);
	return *ret_len > 0;
}

static int add_addr(struct hosts *h, const char *word, size_t len)
{
	char text[TCPSERVER_ADDR_STRLEN];
	struct tcp_addr a;

	if (len == h->last.len && memcmp(word, h->last.at, len) == 0)
		return 0;
	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, word, len);
	text[len] = '\0';
	if (addr_parse_ip(&a, text) < 0)
		return -EINVAL;
	addr_unmap(&a);
	h->last = (struct span){ (const uint8_t *)word, len };
	if (h->addr_count > 0 && addr_equal(&h->addrs[h->addr_count - 1], &a))
		return 0;
	if (grow((void **)&h->addrs, h->addr_count, &h->addr_cap, sizeof(a)) <
	    0)
		return -ENOMEM;
	h->addrs[h->addr_count++] = a;
	return 0;
}

static int add_name(struct hosts *h, char *word, size_t len)
{
	char folded[HOST_NAME_SIZE];
	int n = host_name_fold(folded, word, len);

	if (n < 0)
		return 0;
	if (grow((void **)&h->names, h->name_count, &h->name_cap,
		 sizeof(*h->names)) < 0)
		return -ENOMEM;
	memcpy(word, folded, (size_t)n);
	h->names[h->name_count++] = (struct hosts_name){
		.at = (uint32_t)(word - h->text),
		.next = NONE,
		.addr = (uint32_t)h->addr_count - 1,
		.len = (uint8_t)n,
	};
	return 0;
}

static int read_line(struct hosts *h, char *at, char *end)
{
	char *word;
	size_t len;
	int r;

	if (!next_word(&at, end, &word, &len))
		return 0;
	r = add_addr(h, word, len);
	if (r < 0)
		return r == -EINVAL ? 0 : r;
	while (next_word(&at, end, &word, &len)) {
		r = add_name(h, word, len);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_text(struct hosts *h, size_t len)
{
	char *end = h->text + len;

	for (char *line = h->text; line < end;) {
		char *stop = memchr(line, '\n', (size_t)(end - line));
		int r;

		if (!stop)
			stop = end;
		r = read_line(h, line, stop);
		if (r < 0)
			return r;
		line = stop + 1;
	}
	return 0;
}

/* --- Finding ------------------------------------------------------------ */

static uint32_t hash_of(const struct hosts *h, const char *name, size_t len)
{
	return (uint32_t)siphash(&h->key, name, len);
}

static bool name_is(const struct hosts *h, const struct hosts_name *n,
		    uint32_t hash, const char *name, size_t len)
{
	return n->hash == hash && n->len == len &&
	       memcmp(h->text + n->at, name, len) == 0;
}

/*
 * Appends the name to its bucket unless that holds the same pair, or enough
 * addresses for the name, already.
 */
static void index_name(struct hosts *h, uint32_t i)
{
	struct hosts_name *n = &h->names[i];
	const char *name = h->text + n->at;
	uint32_t *link;
	unsigned alike = 0;

	n->hash = hash_of(h, name, n->len);
	link = &h->buckets[n->hash & h->mask];
	for (; *link != NONE; link = &h->names[*link].next) {
		const struct hosts_name *other = &h->names[*link];

		if (!name_is(h, other, n->hash, name, n->len))
			continue;
		if (++alike >= HOSTS_NAME_MAX ||
		    addr_equal(&h->addrs[other->addr], &h->addrs[n->addr]))
			return;
	}
	*link = i;
}

static int index_names(struct hosts *h)
{
	size_t count = 16;

	while (count < h->name_count)
		count *= 2;
	h->buckets = malloc(count * sizeof(*h->buckets));
	if (!h->buckets)
		return -ENOMEM;
	memset(h->buckets, 0xff, count * sizeof(*h->buckets));
	h->mask = (uint32_t)count - 1;
	for (size_t i = 0; i < h->name_count; i++)
		index_name(h, (uint32_t)i);
	return 0;
}

int hosts_parse(struct hosts **ret, const char *text, size_t len)
{
	CLEANUP(hosts_putp) struct hosts *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	atomic_init(&h->references, 1);
	if (len >= TEXT_MAX)
		return -EFBIG;
	r = siphash_key_draw(&h->key);
	if (r < 0)
		return r;
	h->text = malloc(len + 1);
	if (!h->text)
		return -ENOMEM;
	memcpy(h->text, text, len);
	h->text[len] = '\0';
	r = read_text(h, len);
	if (r < 0)
		return r;
	r = index_names(h);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(h);
	return 0;
}

unsigned hosts_find(const struct hosts *h, const char *name, size_t len,
		    sa_family_t family, const struct tcp_addr **ret,
		    unsigned max)
{
	uint32_t hash = hash_of(h, name, len);
	unsigned found = 0;

	for (uint32_t i = h->buckets[hash & h->mask]; i != NONE && found < max;
	     i = h->names[i].next) {
		const struct hosts_name *n = &h->names[i];

		if (h->addrs[n->addr].family == family &&
		    name_is(h, n, hash, name, len))
			ret[found++] = &h->addrs[n->addr];
	}
	return found;
}
