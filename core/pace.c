/*
 * What a paced direction has been granted and not used yet.
 *
 * A source that is drained may go on in a moment, so it keeps what is left and
 * need not queue for it again.  That is for a moment only: a thousand tunnels
 * that were quiet for an hour could else all be fast at once.  It is found out
 * when something is to be moved again; until then it costs no timer.
 */
#include "core/pace.h"

#define KEPT_MS 20 /* more than from one grant to the next where many share */

bool pace_take(struct tcp_relay_pacer *p, struct flow *f, int i)
{
	int64_t now = loop_now(net_self()->loop), at = now;

	f->most = p->take(p, i, now, &at);
	p->taken_ms[i] = now;
	if (f->most)
		return true;
	f->paused_until = max_i64(at, now + 1); /* no turn without an end */
	return false;
}

void pace_renew(struct tcp_relay_pacer *p, struct flow *f, int i)
{
	if (!f->most || loop_now(net_self()->loop) - p->taken_ms[i] <= KEPT_MS)
		return;
	p->give(p, i, f->most);
	f->most = 0;
}

void pace_end(struct tcp_relay_pacer *p, struct flow *f, int i)
{
	p->give(p, i, f->most);
	f->most = 0;
}
