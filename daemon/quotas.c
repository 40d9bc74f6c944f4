/*
 * Used is: what the file says, what we have counted and not written yet, and
 * the same of siblings.  A quota is used up at a value of our own counter, from
 * which the proxy needs one comparison.
 */
#include "daemon/quotas.h"

#include "core/clock.h"
#include "core/file_stamp.h"
#include "daemon/log.h"
#include "daemon/proxy/quota.h"
#include "daemon/proxy/quota_members.h"
#include "daemon/quota_file.h"
#include "daemon/tables.h"
#include "daemon/zone.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define SIBLINGS_MAX 64u

struct quota_keeper {
	const struct setup *setup;
	struct quotas *quotas;
	struct quota_file file;
	struct quota_state state;       /* as the file has it, or should */
	uint64_t added[QUOTA_ENTRIES];  /* to the state, of each entry */
	uint64_t others[QUOTA_ENTRIES]; /* of siblings, not written yet */
	uint32_t day, month;
	bool dirty; /* more was used than the file says */
	int64_t save_ms;
	pthread_mutex_t lock; /* of the siblings */
	struct segment *sibling[SIBLINGS_MAX];
	size_t siblings;
};

static uint64_t get(const uint64_t *n)
{
	return __atomic_load_n(n, __ATOMIC_ACQUIRE);
}

static void put(uint64_t *to, uint64_t n)
{
	__atomic_store_n(to, n, __ATOMIC_RELEASE);
}

static struct span user_of(const struct quota_entry *e)
{
	return (struct span){ (const uint8_t *)e->user, strlen(e->user) };
}

static size_t index_of(const struct quota_keeper *k,
		       const struct quota_entry *e)
{
	return (size_t)(e - k->setup->published.quotas);
}

static void today(uint32_t *day, uint32_t *month)
{
	time_t now = time(NULL);
	struct tm tm = { 0 };

	(void)localtime_r(&now, &tm);
	*month = (uint32_t)((tm.tm_year + 1900) * 100 + tm.tm_mon + 1);
	*day = *month * 100 + (uint32_t)tm.tm_mday;
}

/* --- Siblings ------------------------------------------------------------- */

static void add_other(struct quota_keeper *k, const struct quota_entry *e,
		      uint64_t more)
{
	uint64_t *sum = &k->others[index_of(k, e)];

	*sum = quota_sum(*sum, more);
}

static void add_sibling(struct quota_keeper *k, const struct segment *s)
{
	const struct quota_entry *list;
	uint32_t count;

	list = segment_table(s, "quota-users", sizeof(*list), &count);
	for (uint32_t i = 0; list && i < min_size(count, QUOTA_ENTRIES); i++) {
		uint64_t more = get(&list[i].counted) - get(&list[i].saved);
		char user[QUOTA_USER_BYTES];
		struct quota_entry *own;
		struct span name;

		if (list[i].state != QUOTA_USED || !more || more > INT64_MAX)
			continue;
		memcpy(user, list[i].user, sizeof(user));
		name = (struct span){ (const uint8_t *)user,
				      strnlen(user, sizeof(user)) };
		own = quotas_entry(
			k->quotas, name,
			quota_members_find(policy_quotas(k->setup->policy),
					   name));
		if (own)
			add_other(k, own, more);
	}
}

static void sum_others(struct quota_keeper *k)
{
	memset(k->others, 0, sizeof(k->others));
	(void)pthread_mutex_lock(&k->lock);
	for (size_t i = 0; i < k->siblings; i++)
		add_sibling(k, k->sibling[i]);
	(void)pthread_mutex_unlock(&k->lock);
}

/* --- The file ------------------------------------------------------------- */

/* What is not written yet goes into the state; false: nothing. */
static bool add_own(struct quota_keeper *k)
{
	struct quota_entry *e;
	struct quota_used *u;
	uint32_t at = 0;
	bool any = false;

	while ((e = quotas_next(k->quotas, &at))) {
		uint64_t more = get(&e->counted) - get(&e->saved);

		k->added[index_of(k, e)] = 0;
		if (!more || quota_state_get(&k->state, user_of(e), &u) < 0)
			continue;
		quota_used_turn(u, k->day, k->month);
		quota_used_add(u, more);
		k->added[index_of(k, e)] = more;
		any = true;
	}
	return any;
}

/* It is in the file now (`kept`), or must not be in the state. */
static void settle(struct quota_keeper *k, bool kept)
{
	struct quota_entry *e;
	uint32_t at = 0;

	while ((e = quotas_next(k->quotas, &at))) {
		uint64_t *added = &k->added[index_of(k, e)];
		struct quota_used *u = quota_state_find(&k->state, user_of(e));

		if (kept) {
			put(&e->saved, get(&e->saved) + *added);
		} else if (u && *added) {
			quota_used_take(u, *added);
		}
		*added = 0;
	}
}

/*
 * Reads what others have written, adds what is ours, writes it.  At the end of
 * a day (`last`) what cannot be written counts for that day nevertheless.
 */
static int save(struct quota_keeper *k, bool last)
{
	int r = quota_file_lock(&k->file, last);
	bool any;

	if (r == 0)
		r = quota_file_read(&k->file, &k->state);
	if (r == 0)
		sum_others(k);
	any = add_own(k);
	if (r == 0 && any)
		r = quota_file_write(&k->file, &k->state, k->month);
	settle(k, r == 0 || last);
	quota_file_unlock(&k->file);
	quota_file_tell(&k->file, r);
	k->dirty = r < 0 && any;
	k->save_ms = clock_deadline(QUOTA_SAVE_MS);
	return r;
}

/* --- What was used -------------------------------------------------------- */

/* Of this day and month, all that is known but our own unwritten bytes. */
static struct quota_used known_of(const struct quota_keeper *k,
				  const struct quota_entry *e)
{
	const struct quota_used *u = quota_state_find(&k->state, user_of(e));
	uint64_t others = k->others[index_of(k, e)];
	struct quota_used sum = u ? *u : (struct quota_used){ 0 };

	quota_used_turn(&sum, k->day, k->month);
	quota_used_add(&sum, others);
	return sum;
}

static uint64_t left_of(uint64_t bound, uint64_t used)
{
	if (!bound)
		return UINT64_MAX;
	return bound > used ? bound - used : 0;
}

/* The value of `counted` at which it is used up. */
static uint64_t stop_of(const struct quota_bound *b, const struct quota_used *u,
			uint64_t saved)
{
	uint64_t day = left_of(b->day, u->day_bytes);
	uint64_t month = left_of(b->month, u->month_bytes);
	uint64_t left = day < month ? day : month;

	return left > UINT64_MAX - saved ? UINT64_MAX : saved + left;
}

static void tell_over(const struct quota_entry *e, const struct quota_bound *b,
		      bool over)
{
	log_line(LOG_LEVEL_NOTICE, "quota '%s' of user '%s' %s", b->name,
		 e->user, over ? "is used up" : "has room again");
}

/* Returns whether somebody is over it whose sessions are to end. */
static bool judge(struct quota_keeper *k, struct quota_entry *e)
{
	uint16_t number = quota_members_find(policy_quotas(k->setup->policy),
					     user_of(e));
	const struct quota_bound *b = quotas_bound(k->quotas, number);
	struct quota_used u = known_of(k, e);
	uint64_t stop = b ? stop_of(b, &u, get(&e->saved)) : UINT64_MAX;
	bool over = get(&e->counted) >= stop;

	__atomic_store_n(&e->number, number, __ATOMIC_RELAXED);
	put(&e->stop_at, stop);
	if (b && over != e->over)
		tell_over(e, b, over);
	e->over = over;
	return over && b && b->end;
}

static void turn_day(struct quota_keeper *k)
{
	uint32_t day, month;

	today(&day, &month);
	if (k->day && day != k->day)
		(void)save(k, true);
	k->day = day;
	k->month = month;
}

static bool has_siblings(struct quota_keeper *k)
{
	bool any;

	(void)pthread_mutex_lock(&k->lock);
	any = k->siblings > 0;
	(void)pthread_mutex_unlock(&k->lock);
	return any;
}

/*
 * The file and what it does not have yet.  While a sibling writes, the same
 * bytes are in both or in neither: what we know then stays for another second.
 */
static void look_at_others(struct quota_keeper *k)
{
	bool beside = has_siblings(k);
	int r = beside ? quota_file_lock(&k->file, false) : 0;

	if (r == -EWOULDBLOCK)
		return;
	if (quota_file_has_changed(&k->file))
		quota_file_tell(&k->file, quota_file_read(&k->file, &k->state));
	sum_others(k);
	quota_file_unlock(&k->file);
}

/* What was used, and who has used it up; true: some sessions are to end. */
static bool look(struct quota_keeper *k)
{
	struct quota_entry *e;
	uint32_t at = 0;
	bool end = false;

	turn_day(k);
	look_at_others(k);
	while ((e = quotas_next(k->quotas, &at))) {
		end |= judge(k, e);
		k->dirty |= get(&e->counted) != get(&e->saved);
	}
	return end;
}

void quota_keeper_look(struct quota_keeper *k)
{
	if (look(k))
		(void)proxy_end_over_quota(k->setup->proxy);
	if (k->dirty && clock_ms() >= k->save_ms)
		(void)save(k, false);
}

/* --- For splicedctl ------------------------------------------------------- */

void quota_keeper_each(struct quota_keeper *k,
		       void (*fn)(void *ctx, const struct quota_view *v),
		       void *ctx)
{
	struct quota_entry *e;
	uint32_t at = 0;

	(void)save(k, false);
	(void)look(k);
	while ((e = quotas_next(k->quotas, &at))) {
		const struct quota_bound *b = quotas_bound(k->quotas,
							   e->number);
		struct quota_used u = known_of(k, e);

		quota_used_add(&u, get(&e->counted) - get(&e->saved));
		if (b)
			fn(ctx, &(struct quota_view){ .user = e->user,
						      .quota = b->name,
						      .day = u.day_bytes,
						      .month = u.month_bytes,
						      .bound = b,
						      .over = e->over });
	}
}

int quota_keeper_reset(struct quota_keeper *k, struct span user)
{
	struct quota_used *u;
	int r = quota_file_lock(&k->file, true);

	if (!quota_members_find(policy_quotas(k->setup->policy), user)) {
		quota_file_unlock(&k->file);
		return -ESRCH;
	}
	if (r == 0)
		r = quota_file_read(&k->file, &k->state);
	if (r == 0)
		sum_others(k);
	(void)add_own(k);
	u = quota_state_find(&k->state, user);
	if (u)
		u->day_bytes = u->month_bytes = 0;
	if (r == 0)
		r = quota_file_write(&k->file, &k->state, k->month);
	settle(k, true);
	quota_file_unlock(&k->file);
	quota_file_tell(&k->file, r);
	(void)look(k);
	return r;
}

/* --- Life ----------------------------------------------------------------- */

/* So that whoever has used up his quota is known from the first session on. */
static void show_known(struct quota_keeper *k)
{
	for (uint32_t i = 0; i < k->state.users.count; i++) {
		struct span user = text_table_text(&k->state.users, i);
		uint16_t number = quota_members_find(
			policy_quotas(k->setup->policy), user);

		if (number)
			(void)quotas_entry(k->quotas, user, number);
	}
}

static void take_siblings(struct quota_keeper *k,
			  struct segment *const *siblings, size_t count)
{
	for (size_t i = 0; i < count && k->siblings < SIBLINGS_MAX; i++) {
		int fd = fcntl(segment_fd(siblings[i]), F_DUPFD_CLOEXEC, 3);

		if (fd >= 0 && segment_open(&k->sibling[k->siblings], fd) == 0)
			k->siblings++;
	}
}

int quota_keeper_new(struct quota_keeper **ret, const struct setup *s,
		     struct segment *const *siblings, size_t count)
{
	struct quota_keeper *k;
	int r;

	*ret = NULL;
	if (!s->conf->quota_count)
		return 0;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->setup = s;
	k->quotas = proxy_quotas(s->proxy);
	(void)pthread_mutex_init(&k->lock, NULL);
	r = quota_state_init(&k->state);
	if (r < 0) {
		free(k);
		return r;
	}
	quota_file_init(&k->file, quota_state_path(s->conf));
	take_siblings(k, siblings, count);
	zone_follow();
	quota_file_tell(&k->file, quota_file_read(&k->file, &k->state));
	show_known(k);
	(void)look(k);
	k->save_ms = clock_deadline(QUOTA_SAVE_MS);
	*ret = k;
	return 0;
}

void quota_keeper_free(struct quota_keeper *k)
{
	if (!k)
		return;
	turn_day(k);
	(void)save(k, true);
	quota_file_done(&k->file);
	quota_state_done(&k->state);
	for (size_t i = 0; i < k->siblings; i++)
		segment_free(k->sibling[i]);
	(void)pthread_mutex_destroy(&k->lock);
	free(k);
}

void quota_keeper_gone(struct quota_keeper *k, uint32_t number)
{
	size_t kept = 0;

	if (!k)
		return;
	(void)pthread_mutex_lock(&k->lock);
	for (size_t i = 0; i < k->siblings; i++) {
		struct table_about about;

		if (table_about_read(&about, k->sibling[i]) &&
		    about.generation == number)
			segment_free(k->sibling[i]);
		else
			k->sibling[kept++] = k->sibling[i];
	}
	k->siblings = kept;
	(void)pthread_mutex_unlock(&k->lock);
}
