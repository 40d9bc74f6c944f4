/*
 * Pages are what madvise(2) knows, so each secret has some: two system calls
 * where verifying a password takes milliseconds.
 */
#include "daemon/proxy/secret.h"

#include <string.h>
#include <sys/mman.h>

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
	explicit_bzero(p, size);
	(void)munmap(p, size);
}
