/*
 * Pages are what madvise(2) knows, so each secret has some.  To map and unmap
 * them takes the lock of the address space, which a thread that hashes holds
 * for milliseconds, and longer where others of its CPU come first: yescrypt
 * maps and unmaps 16 MiB for each hash.  A worker that waited for it would keep
 * all of its clients waiting, hence the stock.
 */
#include "daemon/proxy/secret.h"

#include "daemon/proxy/give_way.h"

#include <string.h>
#include <sys/mman.h>

/* Bytes that are cleared at once, and that take as long as an entry. */
#define PIECE   (32u << 10)
#define CLEARED 64u

void *secret_new(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	(void)madvise(p, size, MADV_DONTDUMP);
	return p;
}

void secret_free(void *p, size_t size)
{
	if (!p)
		return;
	for (size_t i = 0; i < size; i += PIECE) {
		explicit_bzero((uint8_t *)p + i, min_size(size - i, PIECE));
		give_way(PIECE / CLEARED);
	}
	(void)munmap(p, size);
}

/* --- A stock ------------------------------------------------------------ */

struct secret_piece {
	struct secret_piece *next;
};

void secret_stock_init(struct secret_stock *s, size_t size)
{
	*s = (struct secret_stock){ .size = size };
	(void)pthread_mutex_init(&s->lock, NULL);
}

void secret_stock_done(struct secret_stock *s)
{
	while (s->spare) {
		struct secret_piece *p = s->spare;

		s->spare = p->next;
		secret_free(p, s->size);
	}
	(void)pthread_mutex_destroy(&s->lock);
}

void *secret_stock_take(struct secret_stock *s)
{
	struct secret_piece *p;

	(void)pthread_mutex_lock(&s->lock);
	p = s->spare;
	if (p)
		s->spare = p->next;
	(void)pthread_mutex_unlock(&s->lock);
	if (!p)
		return secret_new(s->size);
	p->next = NULL;
	return p;
}

void secret_stock_give(struct secret_stock *s, void *secret)
{
	struct secret_piece *p = secret;

	if (!p)
		return;
	explicit_bzero(secret, s->size);
	(void)pthread_mutex_lock(&s->lock);
	p->next = s->spare;
	s->spare = p;
	(void)pthread_mutex_unlock(&s->lock);
}
