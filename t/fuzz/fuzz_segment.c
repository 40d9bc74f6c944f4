/*
 * A sealed memfd of arbitrary bytes: whether it can be opened or not, nothing
 * that readers do with it leads outside of it, neither before nor after its
 * owner has thrown its directory over.
 */
#include "daemon/tables.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void read_bytes(const void *at, size_t len)
{
	const volatile uint8_t *p = at;

	for (size_t i = 0; i < len; i++)
		(void)p[i];
}

static void read_table(const struct segment *s, const char *name, uint32_t size)
{
	uint32_t count;
	const void *at = segment_table(s, name, size, &count);

	if (!at)
		return;
	ASSERT((uintptr_t)at % 64 == 0);
	read_bytes(at, (size_t)size * count);
}

static void read_names(const struct segment *s, const char *table)
{
	static const unsigned numbers[] = { 0, 1, 2, 3, 65535, UINT32_MAX };
	struct table_name name;

	read_table(s, table, sizeof(name));
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		table_name_read(&name, s, table, numbers[i]);
		ASSERT(memchr(name.text, '\0', sizeof(name.text)));
	}
}

static void read_sessions(const struct segment *s, bool lives)
{
	char name[SESSION_NAME_BYTES], text[TCPSERVER_ADDR_STRLEN];
	struct table_slots slots;
	struct session_walk w;
	struct session copy;
	size_t found = 0;

	table_sessions_walk(&w, s, lives, &slots);
	w.patience = min_size(w.patience, 20); /* nobody writes here */
	while (session_walk_next(&w, &copy)) {
		size_t len = session_host(&copy, slots.at, slots.count, name,
					  sizeof(name));

		ASSERT(len < sizeof(name) && name[len] == '\0');
		ASSERT(copy.user_len <= sizeof(copy.user));
		read_bytes(tcp_addr_format(&copy.client, text, sizeof(text)),
			   1);
		found++;
	}
	ASSERT(found == 0 || found < slots.count);
}

static void read_all(const struct segment *s)
{
	struct table_totals t = { .active = 0 };
	struct table_about about;

	if (table_about_read(&about, s)) {
		ASSERT(memchr(about.version, '\0', sizeof(about.version)));
		ASSERT(memchr(about.config, '\0', sizeof(about.config)));
	}
	read_table(s, "workers", sizeof(struct tcp_worker_counts));
	read_table(s, "proxy", sizeof(struct proxy_counts));
	read_table(s, "sessions", sizeof(struct session));
	read_names(s, "listeners");
	read_names(s, "clients");
	read_names(s, "rules");
	read_sessions(s, true);
	read_sessions(s, false);
	table_totals_add(&t, s, true);
	table_totals_add(&t, s, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct segment *s;
	void *own = NULL;
	int r;

	ASSERT(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	if (size) {
		own = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			   0);
		ASSERT(own != MAP_FAILED);
		memcpy(own, bytes, size);
	}
	ASSERT(fcntl(fd, F_ADD_SEALS, SEALS) == 0);
	r = segment_open(&s, fd);
	ASSERT(r == 0 || r == -EBADMSG);
	if (r == 0) {
		read_all(s);
		if (own)
			memset(own, 0xff, min_size(size, 1088));
		read_all(s);
		segment_free(s);
	}
	if (own)
		(void)munmap(own, size);
	return 0;
}
