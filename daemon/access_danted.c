/*
 * danted's own lines, for what reads those: "verdict(rule): protocol/command
 * mark: addresses: why".  The marks are '[' for a beginning and ']' for an end
 * or a refusal; numbers beside addresses are bytes sent to and received from
 * them.  A line has no names of rules but their numbers, and 0 is the default.
 *
 * What danted tells twice, for the client's rule and for the request's, is told
 * once, for the one that decided.  Text from a peer never has a blank in it, so
 * that nobody can write a line that a pattern takes for one of ours.
 */
#include "daemon/access.h"

#include "daemon/access_line.h"
#include "daemon/proxy/rule_spec.h"

/* A host name of odd bytes is cut here: a line may have it twice. */
#define HOST_MAX 512

#define USER_MAX ((size_t)SESSION_USER_BYTES * 4)

/* --- Text and addresses -------------------------------------------------- */

static bool is_harmless(uint8_t c)
{
	return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '%' &&
	       c != '@';
}

static void put_text(struct access_line *l, struct span text, const char *end)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < text.len && end - l->at >= 4; i++) {
		uint8_t c = text.at[i];
		const char form[] = { '\\', 'x', digits[c >> 4],
				      digits[c & 15] };

		if (is_harmless(c))
			*l->at++ = (char)c;
		else
			access_put_bytes(l, form, sizeof(form));
	}
}

/* "192.0.2.1.80"; nothing is "0.0.0.0.0". */
static void put_address(struct access_line *l, const struct tcp_addr *a)
{
	char text[TCPSERVER_ADDR_STRLEN];

	if (a->family == AF_INET) {
		for (size_t i = 12; i < 16; i++) {
			access_put_number(l, a->ip[i]);
			access_put(l, ".");
		}
	} else if (a->family == AF_INET6) {
		access_put(l, addr_format_ip(a, text, sizeof(text)));
		access_put(l, ".");
	} else {
		access_put(l, "0.0.0.0.");
	}
	access_put_number(l, a->port);
}

static void put_user(struct access_line *l, const struct session *s)
{
	struct span user = { (const uint8_t *)s->user,
			     min_size(s->user_len, SESSION_USER_BYTES) };

	/* None would be what no pattern takes for a name. */
	if (user.len == 0)
		user = (struct span){ (const uint8_t *)"-", 1 };
	put_text(l, user, access_within(l, USER_MAX));
}

/* danted's word for how somebody has logged in; "" for who has not. */
static const char *method_of(const struct session *s)
{
	static const char *const methods[] = {
		[AUTH_NONE] = "",
		[AUTH_PASSWORD] = "username%",
		[AUTH_PAM] = "pam.username%",
		[AUTH_SYSTEM] = "username%",
		[AUTH_CERTIFICATE] = "username%",
	};

	return methods[s->method < ARRAY_SIZE(methods) ? s->method : 0];
}

/* "[username%alice@]CLIENT LISTENER" */
static void put_client(struct access_line *l, const struct access_entry *e)
{
	static const struct tcp_addr none = { .family = AF_UNSPEC };
	const struct access_names *n = e->names;
	const struct session *s = e->session;
	const struct tcp_addr *own = &none;

	if (n->addresses && s->listener != SESSION_NONE &&
	    s->listener <= n->listener_count)
		own = &n->addresses[s->listener - 1]
				   [s->client.family == AF_INET6];
	if (*method_of(s)) {
		access_put(l, method_of(s));
		put_user(l, s);
		access_put(l, "@");
	}
	put_address(l, &s->client);
	access_put(l, " ");
	put_address(l, own);
}

static void put_host(struct access_line *l, const struct access_entry *e)
{
	const char *end = access_within(l, HOST_MAX);

	put_text(l, access_host(e->session), end);
	put_text(l, e->host_tail, end);
}

/* The address, or the name where that has none. */
static void put_target(struct access_line *l, const struct access_entry *e)
{
	const struct session *s = e->session;

	if (s->target.family != AF_UNSPEC || s->host_len == 0) {
		put_address(l, &s->target);
		return;
	}
	put_host(l, e);
	access_put(l, ".");
	access_put_number(l, s->target.port);
}

/* --- Parts of a line ----------------------------------------------------- */

static const char *command_of(const struct session *s)
{
	static const char *const commands[] = {
		[COMMAND_NONE] = "tcp/accept",
		[COMMAND_CONNECT] = "tcp/connect",
		[COMMAND_BIND] = "tcp/bind",
		[COMMAND_UDP] = "udp/udpassociate",
	};

	return commands[s->command < ARRAY_SIZE(commands) ? s->command : 0];
}

/* The rule that decided; 0: none did. */
static uint16_t rule_of(const struct session *s)
{
	if (s->command == COMMAND_NONE)
		return s->client_rule;
	if (s->rule != SESSION_NONE || s->outcome == OUTCOME_DENIED)
		return s->rule;
	return s->client_rule;
}

/* "pass(1): tcp/connect [: " */
static void put_head(struct access_line *l, const struct session *s, bool pass,
		     const char *mark)
{
	access_put(l, pass ? "info: pass(" : "info: block(");
	access_put_number(l, rule_of(s));
	access_put(l, "): ");
	access_put(l, command_of(s));
	access_put(l, mark);
}

/* Its words, or its number. */
static void put_errno(struct access_line *l, int error)
{
	const char *text = strerrordesc_np(error);

	if (text)
		access_put(l, text);
	else
		access_put_number(l, (uint16_t)error);
}

static void put_outcome(struct access_line *l, const struct session *s)
{
	access_put(l, s->outcome < OUTCOME_COUNT
			      ? outcome_word((enum outcome)s->outcome)
			      : "failed");
}

static void put_broken(struct access_line *l, const char *side, int error)
{
	access_put(l, side);
	access_put(l, " error (");
	put_errno(l, error ? error : ECONNRESET);
	access_put(l, ")");
}

/* Why a session ended that had begun. */
static void put_reason(struct access_line *l, const struct session *s)
{
	switch (s->outcome) {
	case OUTCOME_CLOSED:
		access_put(l, s->command == COMMAND_UDP ? "local client closed"
							: "remote peer closed");
		break;
	case OUTCOME_CLIENT_RESET:
		put_broken(l, "local client", s->error);
		break;
	case OUTCOME_TARGET_RESET:
	case OUTCOME_REFUSED:
		put_broken(l, "remote peer", s->error);
		break;
	case OUTCOME_IDLE:
		access_put(l, "i/o timeout");
		break;
	case OUTCOME_HALF_CLOSED:
		access_put(l, "tcp-fin-wait timeout");
		break;
	case OUTCOME_CONNECT_TIMEOUT:
		access_put(l, "connect timeout");
		break;
	default:
		put_outcome(l, s);
		break;
	}
}

/* --- Lines --------------------------------------------------------------- */

static void put_connect(struct access_line *l, const struct access_entry *e)
{
	put_head(l, e->session, true, " [: ");
	put_client(l, e);
	access_put(l, " -> ");
	put_address(l, &e->session->bound);
	access_put(l, " ");
	put_target(l, e);
}

/* "10 -> CLIENT LISTENER -> 5, 5 -> BOUND TARGET -> 10: why." */
static void put_disconnect(struct access_line *l, const struct access_entry *e)
{
	const struct session *s = e->session;

	put_head(l, s, true, " ]: ");
	access_put_number(l, s->bytes_down);
	access_put(l, " -> ");
	put_client(l, e);
	access_put(l, " -> ");
	access_put_number(l, s->bytes_up);
	access_put(l, ", ");
	access_put_number(l, s->bytes_up);
	access_put(l, " -> ");
	put_address(l, &s->bound);
	access_put(l, " ");
	put_target(l, e);
	access_put(l, " -> ");
	access_put_number(l, s->bytes_down);
	access_put(l, ": ");
	put_reason(l, s);
	access_put(l, ".  Session duration: ");
	access_put_number(l, access_duration_ms(s) / 1000);
	access_put(l, "s");
}

/* What went wrong before there was a request. */
static void put_handshake_error(struct access_line *l, const struct session *s)
{
	switch (s->outcome) {
	case OUTCOME_AUTH_FAILED:
	case OUTCOME_LOCKED_OUT:
		access_put(l, "system password authentication failed for "
			      "user \"");
		put_user(l, s);
		access_put(l, "\"");
		break;
	case OUTCOME_NO_METHOD:
	case OUTCOME_AUTH_REQUIRED:
		access_put(l, "client offered no acceptable authentication "
			      "method");
		break;
	case OUTCOME_HANDSHAKE:
		access_put(l, "negotiate timeout");
		break;
	case OUTCOME_CLIENT_LEFT:
		access_put(l, "eof from local client");
		break;
	default:
		put_outcome(l, s);
		break;
	}
}

/* The number of bytes is not known; patterns want one. */
static void put_no_request(struct access_line *l, const struct access_entry *e)
{
	const struct session *s = e->session;

	put_head(l, s, false, " ]: ");
	put_client(l, e);
	if (s->outcome == OUTCOME_DENIED)
		return;
	access_put(l, ": error after reading 0 bytes in ");
	access_put_number(l, access_duration_ms(s) / 1000);
	access_put(l, " seconds: ");
	put_handshake_error(l, s);
}

static void put_unresolved(struct access_line *l, const struct access_entry *e)
{
	put_head(l, e->session, false, " ]: ");
	put_client(l, e);
	access_put(l, ": could not resolve hostname \"");
	put_host(l, e);
	access_put(l, "\": ");
	put_outcome(l, e->session);
}

static void put_refusal(struct access_line *l, const struct access_entry *e)
{
	const struct session *s = e->session;

	put_head(l, s, false, " ]: ");
	put_client(l, e);
	access_put(l, " -> ");
	put_address(l, &s->bound);
	access_put(l, " ");
	put_target(l, e);
	if (s->outcome == OUTCOME_DENIED) {
		if (s->rule == SESSION_NONE)
			access_put(l, ": no rules matched; using default "
				      "block rule");
		return;
	}
	access_put(l, ": ");
	if (!s->error) {
		put_outcome(l, s);
		return;
	}
	access_put(l, "connect(2) to ");
	put_target(l, e);
	access_put(l, " from ");
	put_address(l, &s->bound);
	access_put(l, " failed: ");
	put_errno(l, s->error);
}

static void put_error(struct access_line *l, const struct access_entry *e)
{
	const struct session *s = e->session;

	if (s->command == COMMAND_NONE) {
		put_no_request(l, e);
		return;
	}
	switch (s->outcome) {
	case OUTCOME_NAME_NOT_FOUND:
	case OUTCOME_NAME_FAILED:
	case OUTCOME_NAME_TIMEOUT:
		put_unresolved(l, e);
		break;
	case OUTCOME_REFUSED:
	case OUTCOME_CONNECT_TIMEOUT:
		put_disconnect(l, e); /* it had passed the rules */
		break;
	default:
		put_refusal(l, e);
		break;
	}
}

size_t access_danted(const struct access_entry *e, char *out, size_t size)
{
	struct access_line l = { out, out + size };

	switch (e->event) {
	case ACCESS_CONNECT:
		put_connect(&l, e);
		break;
	case ACCESS_DISCONNECT:
		put_disconnect(&l, e);
		break;
	case ACCESS_ERROR:
		put_error(&l, e);
		break;
	}
	return (size_t)(l.at - out);
}
