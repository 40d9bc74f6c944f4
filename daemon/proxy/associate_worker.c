/*
 * All associations of a worker: what they share, and how many of one client
 * there may be.
 */
#include "daemon/proxy/associate_internal.h"

#include <stdlib.h>

/* --- All of a worker ---------------------------------------------------- */

int associations_new(struct associations **ret,
		     const struct associate_options *o)
{
	struct associations *all;
	int r;

	*ret = NULL;
	if (o->max == 0)
		return 0;
	all = calloc(1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	all->o = *o;
	all->budget.max = o->bytes;
	for (size_t i = 0; i < CLIENT_BUCKETS; i++)
		list_init(&all->client[i]);
	list_init(&all->moved);
	list_init(&all->busy);
	all->turns.run = associations_turn;
	r = siphash_key_draw(&all->key);
	if (r == 0)
		r = dgram_batch_new(&all->batch);
	if (r < 0) {
		free(all);
		return r;
	}
	*ret = all;
	return 0;
}

void associations_free(struct associations *all)
{
	if (!all)
		return;
	ASSERT(all->count == 0 && all->budget.used == 0);
	timer_stop(loop_self(), &all->tell);
	work_cancel(loop_self(), &all->turns);
	dgram_batch_free(all->batch);
	free(all);
}

/* --- Bounds for each client --------------------------------------------- */

static struct prefix prefix_of_client(const struct associations *all,
				      const struct tcp_addr *a)
{
	return prefix_of(a, a->family == AF_INET ? all->o.client_prefix4
						 : all->o.client_prefix6);
}

static size_t hash_client(const struct associations *all,
			  const struct tcp_addr *a)
{
	struct prefix p = prefix_of_client(all, a);

	return siphash(&all->key, p.ip, sizeof(p.ip)) % CLIENT_BUCKETS;
}

bool associations_have_room(const struct associations *all,
			    const struct tcp_addr *client)
{
	const struct list *bucket = &all->client[hash_client(all, client)];
	struct prefix p = prefix_of_client(all, client);
	size_t count = 0;

	if (all->count >= all->o.max)
		return false;
	if (all->o.per_client == 0)
		return true;
	for (const struct list *at = bucket->next; at != bucket; at = at->next)
		if (prefix_match(
			    &p, &list_entry(at, struct association, same_client)
					 ->query.client))
			count++;
	return count < all->o.per_client;
}

void associations_enter(struct associations *all, struct association *a)
{
	all->count++;
	all->opened++;
	list_append(&all->client[hash_client(all, &a->query.client)],
		    &a->same_client);
}
