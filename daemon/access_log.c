#include "daemon/access_log.h"

#include "daemon/log.h"

/* What is wanted of this session, as RULE_LOG_... */
static uint32_t wanted(const struct access_log *a, const struct session *s)
{
	const struct rule_action *action = s->rule != SESSION_NONE
						   ? rule_action(&a->actions,
								 s->rule)
						   : rule_action(
							     &a->client_actions,
							     s->client_rule);

	return action ? action->log : RULE_LOG_DEFAULT;
}

static size_t format(const struct access_log *a, const struct access_entry *e,
		     char *out)
{
	switch (a->format) {
	case ACCESS_FORMAT_OFF:
		break;
	case ACCESS_FORMAT_LOGFMT:
		return access_logfmt(e, out, LOG_LINE_BYTES);
	case ACCESS_FORMAT_JSON:
		return access_json(e, out, LOG_LINE_BYTES);
	case ACCESS_FORMAT_DANTED:
		return access_danted(e, out, LOG_LINE_BYTES);
	}
	return 0;
}

static void write_line(const struct access_log *a, const struct access_entry *e)
{
	char *out = log_reserve();
	size_t len, pairs = 0;

	if (!out)
		return;
	len = format(a, e, out);
	if (a->pairs && a->format != ACCESS_FORMAT_LOGFMT)
		pairs = access_logfmt(e, out + len, LOG_LINE_BYTES);
	log_commit_pairs(LOG_LEVEL_INFO, len, pairs);
}

static bool is_off(const struct access_log *a)
{
	return a->format == ACCESS_FORMAT_OFF || !log_wants(LOG_LEVEL_INFO);
}

void access_began(const struct access_log *a, const struct session *s,
		  struct span host_tail)
{
	struct access_entry e = { .event = ACCESS_CONNECT,
				  .session = s,
				  .host_tail = host_tail,
				  .names = &a->names };

	if (!is_off(a) && wanted(a, s) & RULE_LOG_CONNECT)
		write_line(a, &e);
}

/* Whether what began did not end as such things do. */
static bool has_broken(enum outcome o)
{
	switch (o) {
	case OUTCOME_CLOSED:
	case OUTCOME_IDLE:
	case OUTCOME_HALF_CLOSED:
	case OUTCOME_EXPIRED:
	case OUTCOME_SHUTDOWN:
	case OUTCOME_QUOTA:
	case OUTCOME_KILLED:
		return false;
	default:
		return true;
	}
}

void access_ended(const struct access_log *a, const struct session *s,
		  struct span host_tail, bool began)
{
	struct access_entry e = { .event = began ? ACCESS_DISCONNECT
						 : ACCESS_ERROR,
				  .session = s,
				  .host_tail = host_tail,
				  .names = &a->names };
	uint32_t asked = began ? RULE_LOG_DISCONNECT : RULE_LOG_ERROR;

	if (is_off(a))
		return;
	if (began && has_broken((enum outcome)s->outcome))
		asked |= RULE_LOG_ERROR;
	if (wanted(a, s) & asked)
		write_line(a, &e);
}
