/*
 * Turns and progress of associations.  A socket that has something gives its
 * association a turn, at once, which handles one batch of each of its sockets.
 * If there is more, it queues behind all others of that kind, and few of these
 * have a turn before the loop looks for events again: who sends little does not
 * wait for those who flood.
 */
#include "daemon/proxy/associate_pace.h"
#include "daemon/proxy/associate_up.h"
#include "daemon/proxy/record.h"

#define TELL_EVERY_MS 1000

/* How many that have more than a batch get a turn between two looks. */
#define BUSY_TURNS 2

/* --- Progress ----------------------------------------------------------- */

void association_note_progress(struct association *a)
{
	list_remove(&a->moved);
	record_moved(a->here->proxy, a->session,
		     (uint64_t[]){ a->bytes_up, a->bytes_down }, a->moved_ms);
}

static void tell(struct timer *t)
{
	struct associations *all = container_of(t, struct associations, tell);

	while (!list_empty(&all->moved))
		association_note_progress(
			list_first(&all->moved, struct association, moved));
}

void association_moved(struct association *a, bool up, unsigned count,
		       size_t bytes)
{
	struct associations *all = a->all;

	if (count == 0)
		return;
	*(up ? &a->bytes_up : &a->bytes_down) += bytes;
	count_add(up ? &a->counts->datagrams_up : &a->counts->datagrams_down,
		  count);
	a->moved_ms = loop_now(loop_self());
	association_passed(a, up, bytes);
	if (a->moved.next)
		return;
	list_append(&all->moved, &a->moved);
	if (timer_armed(&all->tell))
		return;
	all->tell.fire = tell;
	/* No memory: the end tells. */
	(void)!timer_set(loop_self(), &all->tell, a->moved_ms + TELL_EVERY_MS);
}

void association_dropped(struct association *a, unsigned count)
{
	if (count)
		count_add(&a->counts->datagrams_dropped, count);
}

/* --- Turns -------------------------------------------------------------- */

static bool is_ready(const struct association_socket *s)
{
	return s->d.watch.ready & EPOLLIN;
}

/* What another policy has said is not true any more. */
static void follow_policy(struct association *a)
{
	uint64_t number = policy_number(a->here->policy);

	if (a->policy == number)
		return;
	a->policy = number;
	contacts_forget_verdicts(&a->contacts);
	a->way.len = 0;
	a->sender.known = false;
}

void association_turn(struct association *a)
{
	struct associations *all = a->all;
	bool more = false;

	follow_policy(a);
	if (is_ready(&a->client) && association_may_pass(a, true))
		more |= association_up(a);
	for (int i = 0; i < 2; i++)
		if (is_ready(&a->target[i]) && association_may_pass(a, false))
			more |= association_down(a, &a->target[i]);
	association_pay(a);
	if (!more)
		return;
	list_append(&all->busy, &a->busy);
	work_queue(loop_self(), &all->turns);
}

void associations_turn(struct work *w)
{
	struct associations *all = container_of(w, struct associations, turns);

	for (int i = 0; i < BUSY_TURNS && !list_empty(&all->busy); i++) {
		struct association *a = list_first(&all->busy,
						   struct association, busy);

		list_remove(&a->busy);
		association_turn(a);
	}
	if (!list_empty(&all->busy))
		work_queue(loop_self(), w);
}

void association_wake(struct association *a, struct association_socket *s)
{
	/* Of no use: it is not connected, so that no error is anybody's. */
	s->d.watch.ready &= ~(uint32_t)EPOLLERR;
	loop_gather(loop_self());
	if (!a->busy.next)
		association_turn(a);
}
