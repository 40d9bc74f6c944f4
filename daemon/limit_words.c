#include "daemon/limit_words.h"

#include "core/prefix.h"

#include <string.h>

/* As the configuration calls them. */
static const char *const options[LIMITS_KINDS] = {
	[LIMITS_CLIENT] = "limits.per_client",
	[LIMITS_CLIENT_RULE_CLIENT] = "clients.sessions_per_client",
	[LIMITS_LISTENER] = "listeners.sessions",
	[LIMITS_CLIENT_RULE] = "clients.sessions",
	[LIMITS_USER] = "limits.per_user",
	[LIMITS_RULE_CLIENT] = "rules.sessions_per_client",
	[LIMITS_RULE_USER] = "rules.sessions_per_user",
	[LIMITS_RULE] = "rules.sessions",
};

const char *limit_option(unsigned kind)
{
	return options[kind];
}

const char *limit_names(unsigned kind)
{
	switch (kind) {
	case LIMITS_LISTENER:
		return "listeners";
	case LIMITS_CLIENT_RULE:
	case LIMITS_CLIENT_RULE_CLIENT:
		return "clients";
	default:
		return "rules"; /* of which users and clients have number 0 */
	}
}

const char *limit_who(const struct limits_label *label,
		      char out[LIMIT_WHO_BYTES])
{
	static const uint8_t mapped[12] = { [10] = 0xff, 0xff };
	struct prefix p = { .bits = label->bits };

	if (label->kind == LIMITS_USER || label->kind == LIMITS_RULE_USER) {
		memcpy(out, label->text, label->len);
		out[label->len] = '\0';
		return out;
	}
	out[0] = '\0';
	if (label->len != sizeof(p.ip))
		return out;
	memcpy(p.ip, label->text, sizeof(p.ip));
	p.v4 = p.bits >= 96 && memcmp(p.ip, mapped, sizeof(mapped)) == 0;
	return prefix_format(&p, out, PREFIX_STRLEN);
}
