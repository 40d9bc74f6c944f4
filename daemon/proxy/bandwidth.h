/*
 * How fast sessions may be: rates of a session, of a user and of a rule, each
 * way by itself, and shared by all workers.
 */
#pragma once

#include "core/tcpserver.h"
#include "daemon/proxy/rule_action.h"

/* Bytes a second, each way; 0: no bound.  Those of rules: rule_action. */
struct bandwidth_options {
	uint64_t user, session;
};

/* --- All of a proxy ----------------------------------------------------- */

struct bandwidths;

/*
 * The rates of users and rules that have sessions; borrows the actions.  Where
 * nothing is bounded *ret becomes NULL.  -ENOMEM, -errno of getrandom(2).
 */
int bandwidths_new(struct bandwidths **ret, const struct bandwidth_options *o,
		   const struct rule_actions *actions) MUST_CHECK;

/* No session may be left.  NULL is harmless. */
void bandwidths_free(struct bandwidths *all);

/* How many rates are shared now.  From any thread. */
size_t bandwidths_count(struct bandwidths *all);

/* --- One session's ------------------------------------------------------ */

struct bandwidth;

/*
 * What bounds a session that a rule let in; `user` is empty for who has not
 * logged in: no user's rate is his.  NULL where nothing does, which is so
 * wherever `all` is NULL.  -ENOMEM.
 */
int bandwidth_open(struct bandwidth **ret, struct bandwidths *all,
		   uint16_t rule, struct span user, int64_t now_ms) MUST_CHECK;

/* From the thread that opened it.  NULL is harmless. */
void bandwidth_close(struct bandwidth *b);

/* For a relay, which closes it at its end.  NULL gives NULL. */
struct tcp_relay_pacer *bandwidth_pacer(struct bandwidth *b);

/* For who moves bytes himself: as the pacer's take and give. */
uint32_t bandwidth_take(struct bandwidth *b, int direction, int64_t now_ms,
			int64_t *ret_ms);
void bandwidth_give(struct bandwidth *b, int direction, uint32_t bytes);

/* So many more have passed than it was granted: those who follow wait. */
void bandwidth_owe(struct bandwidth *b, int direction, uint32_t bytes,
		   int64_t now_ms);
