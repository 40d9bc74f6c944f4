/*
 * The options of lists' entries: who is served where, and what he may do.
 */
#include "conf/option_internal.h"

/* Enums are stored through unsigned. */
_Static_assert(sizeof(enum conf_verify) == sizeof(unsigned), "enum size");
_Static_assert(sizeof(enum conf_tls_version) == sizeof(unsigned), "enum size");
_Static_assert(sizeof(enum conf_header) == sizeof(unsigned), "enum size");
_Static_assert(sizeof(enum conf_balance) == sizeof(unsigned), "enum size");
_Static_assert(sizeof(enum conf_over) == sizeof(unsigned), "enum size");
_Static_assert(sizeof(enum conf_turn) == sizeof(unsigned), "enum size");
_Static_assert(sizeof(enum conf_resolve) == sizeof(unsigned), "enum size");

static const char *const events[] = { "connect", "disconnect", "error", NULL };
static const char *const actions[] = { "deny", "allow", NULL };
static const char *const protocols[] = { "socks5",  "socks4",      "http",
					 "forward", "transparent", NULL };
static const char *const commands[] = { "connect", "bind", "udp", "request",
					NULL };
static const char *const auths[] = { "none",   "password",    "pam",
				     "system", "certificate", NULL };
static const char *const verifies[] = { "auto", "none", "optional", "required",
					NULL };
static const char *const versions[] = { "1.2", "1.3", NULL };
static const char *const turns[] = { "failover", "round-robin", NULL };
static const char *const headers[] = { "off", "v1", "v2", NULL };
static const char *const balances[] = { "failover",          "round-robin",
					"least-connections", "hash-client",
					"hash-target",       NULL };
static const char *const overs[] = { "refuse", "end", NULL };
static const char *const resolves[] = { "local", "remote", NULL };

/* Rules and listeners are counted in 16 bits elsewhere, from 1. */
#define TLS_MAX          256
#define UPSTREAMS_MAX    1024
#define CERTIFICATES_MAX 256
#define PARENTS_MAX      64
#define WINDOWS_MAX      64
#define QUOTAS_MAX       1024
#define QUOTA_MAX        ((int64_t)1 << 50)

#define SESSIONS_HELP "Sessions at once; 0: any number"
#define WHEN_HELP                                                              \
	"Times of the week, local, as in \"mon-fri 08:00-18:00\", one or a "   \
	"list; [ ]: always"
#define LOG_HELP                                                               \
	"Events of its sessions that are logged, one or a list; [ ]: none"
#define HEADER_HELP "Tell them the client's address in a PROXY header"

#define STRUCT struct conf_tls
static const struct conf_option tls_options[] = {
	{ "name", CONF_TYPE_NAME, AT(name), .def = "edge", .required = true,
	  .min = 1, .max = NAME_MAX_BYTES, .help = "What listeners call it" },
	{ "certificate", CONF_TYPE_PATHS, AT(certificate), .required = true,
	  .def = "/etc/spliced/edge.pem", .min = 1, .max = CERTIFICATES_MAX,
	  .help = "PEM files: a certificate and what signed it, one or a list; "
		  "the name that a client asks for chooses" },
	{ "key", CONF_TYPE_PATHS, AT(key), .def = "", .max = CERTIFICATES_MAX,
	  .help = "PEM files of their keys, in the same order; \"\": in the "
		  "certificate's file" },
	{ "ocsp", CONF_TYPE_PATHS, AT(ocsp), .def = "", .max = CERTIFICATES_MAX,
	  .help = "Files of OCSP responses to staple (DER), in the same order; "
		  "\"\": none" },
	{ "client_ca", CONF_TYPE_PATH, AT(client_ca), .def = "",
	  .max = PATH_MAX_BYTES,
	  .help = "PEM file of those who sign clients' certificates; \"\": "
		  "clients are asked for none" },
	{ "client_crl", CONF_TYPE_PATH, AT(client_crl), .def = "",
	  .max = PATH_MAX_BYTES,
	  .help = "PEM file of what these have revoked; \"\": nothing" },
	{ "verify", CONF_TYPE_WORD, AT(verify), .def = "auto",
	  .words = verifies,
	  .help = "Whether clients must show a certificate; auto: required "
		  "with client_ca, else none" },
	{ "min_version", CONF_TYPE_WORD, AT(min_version), .def = "1.2",
	  .words = versions, .help = "The oldest TLS that is spoken" },
	{ "ciphers", CONF_TYPE_STRING, AT(ciphers), .def = "", .max = 1023,
	  .help = "Ciphers of TLS 1.2, see openssl-ciphers(1); \"\": "
		  "OpenSSL's" },
	{ "ciphersuites", CONF_TYPE_STRING, AT(ciphersuites), .def = "",
	  .max = 1023, .help = "Those of TLS 1.3; \"\": OpenSSL's" },
	{ "groups", CONF_TYPE_STRING, AT(groups), .def = "", .max = 1023,
	  .help = "Groups of key exchange, as in \"X25519:P-256\"; \"\": "
		  "OpenSSL's" },
	{ "tickets", CONF_TYPE_BOOL, AT(tickets), .def = "true",
	  .help = "Let clients resume their sessions" },
	{ "strict_names", CONF_TYPE_BOOL, AT(strict_names), .def = "false",
	  .help = "Refuse who asks for a name of no certificate; false: he "
		  "gets the first" },
};
#undef STRUCT

const struct conf_section conf_section_tls = {
	LIST(tls, tls_count),
	OPTIONS(tls_options),
	.max = TLS_MAX,
	.help = "Certificates and keys for listeners",
};

#define STRUCT struct conf_listener
static const struct conf_option listener_options[] = {
	{ "name", CONF_TYPE_NAME, AT(name), .def = "lan", .required = true,
	  .min = 1, .max = NAME_MAX_BYTES,
	  .help = "What rules and the log call it" },
	{ "address", CONF_TYPE_ADDRESSES, AT(address), .required = true,
	  .def = "0.0.0.0:1080 [::]:1080", .min = 1, .max = 64,
	  .help = "\"IP:PORT\", \"[IP6]:PORT\", \"INTERFACE:PORT\" (all "
		  "addresses of it), \"unix:/PATH\" or \"@NAME\", one or a "
		  "list" },
	{ "mode", CONF_TYPE_MODE, AT(mode), .def = "0600", .min = 0600,
	  .max = 0777,
	  .help = "Who may connect to a UNIX socket: the mode of "
		  "its file" },
	{ "protocols", CONF_TYPE_WORDS, AT(protocols),
	  .def = "socks5 socks4 http", .words = protocols,
	  .help = "What is spoken here; the first byte of a client decides; "
		  "forward and transparent stand alone" },
	{ "tls", CONF_TYPE_ENTRY, AT(tls), .def = "", .zero = "", .of = "tls",
	  .help = "The entry of tls by which clients are spoken to; \"\": "
		  "without TLS" },
	{ "http2", CONF_TYPE_BOOL, AT(http2), .def = "true",
	  .help = "Offer HTTP/2 to clients of http that come by TLS" },
	{ "proxy_protocol", CONF_TYPE_TRUSTED, AT(proxy_protocol), .def = "",
	  .max = ELEMENTS_MAX,
	  .help = "Whose connections begin with a PROXY header that says whom "
		  "they are for: prefixes and keywords, one or a list; [ ]: "
		  "nobody's" },
	{ "proxy_protocol_only", CONF_TYPE_BOOL, AT(proxy_protocol_only),
	  .def = "false",
	  .help = "Refuse all others; false: they are served as they are" },
	{ "target", CONF_TYPE_TARGETS, AT(target), .def = "",
	  .max = PARENTS_MAX,
	  .help = "Where forward leads: \"HOST:PORT\", one or a list, tried in "
		  "turn" },
	{ "target_policy", CONF_TYPE_WORD, AT(target_policy), .def = "failover",
	  .words = turns, .help = "With which of them that begins" },
	{ "send_proxy", CONF_TYPE_WORD, AT(send_proxy), .def = "off",
	  .words = headers, .help = HEADER_HELP },
	{ "tproxy", CONF_TYPE_BOOL, AT(tproxy), .def = "false",
	  .help = "How transparent learns the target: by TPROXY; false: by "
		  "REDIRECT" },
	{ "optional", CONF_TYPE_BOOL, AT(optional), .def = "false",
	  .help = "Go on without an address that this machine lacks" },
	{ "backlog", CONF_TYPE_INT, AT(backlog), .def = "4096", .min = 1,
	  .max = 65535,
	  .help = "Connections that may wait to be accepted, for each worker" },
	{ "fastopen", CONF_TYPE_INT, AT(fastopen), .def = "0", .max = 65535,
	  .help = "Length of the TCP Fast Open queue; 0: off" },
	{ "defer_accept", CONF_TYPE_DURATION, AT(defer_accept_ms), .def = "0",
	  .zero = "0", .min = SECOND, .max = 5 * MINUTE, .step = SECOND,
	  .help = "Leave silent clients in the kernel this long; 0: off" },
	{ "keepalive", CONF_TYPE_BOOL, AT(keepalive), .def = "true",
	  .help = "Probe idle clients, so that vanished ones are found" },
	{ "keepalive_idle", CONF_TYPE_DURATION, AT(keepalive_idle_ms),
	  .def = "0", .zero = "0", .min = SECOND, .max = 9 * HOUR,
	  .step = SECOND,
	  .help = "Silence before the first probe; 0: as the kernel is set" },
	{ "keepalive_interval", CONF_TYPE_DURATION, AT(keepalive_interval_ms),
	  .def = "0", .zero = "0", .min = SECOND, .max = 9 * HOUR,
	  .step = SECOND,
	  .help = "Time between probes; 0: as the kernel is set" },
	{ "keepalive_count", CONF_TYPE_INT, AT(keepalive_count), .def = "0",
	  .max = 127,
	  .help = "Probes before a client is given up; 0: as the kernel is "
		  "set" },
	{ "nodelay", CONF_TYPE_BOOL, AT(nodelay), .def = "true",
	  .help = "Send small pieces at once (TCP_NODELAY)" },
	{ "user_timeout", CONF_TYPE_DURATION, AT(user_timeout_ms), .def = "0",
	  .zero = "0", .min = 100, .max = DAY,
	  .help = "How long sent bytes may stay unacknowledged; 0: as the "
		  "kernel is set" },
	{ "v6only", CONF_TYPE_BOOL, AT(v6only), .def = "true",
	  .help = "[::] takes IPv6 only; false: IPv4 too" },
	{ "freebind", CONF_TYPE_BOOL, AT(freebind), .def = "false",
	  .help = "Bind addresses that this machine does not have yet" },
	{ "device", CONF_TYPE_STRING, AT(device), .def = "",
	  .max = INTERFACE_MAX_BYTES,
	  .help = "Take connections from this interface only; \"\": from any" },
	{ "mark", CONF_TYPE_INT, AT(mark), .def = "0", .max = UINT32_MAX,
	  .help = "Firewall mark of what is sent to clients; 0: none" },
	{ "udp_address", CONF_TYPE_TOLD, AT(udp_address), .def = "", .max = 2,
	  .help = "Where clients are told to send UDP to, behind NAT: an IP, "
		  "or one a family; [ ]: where they have connected to" },
	{ "udp_ports", CONF_TYPE_PORTS, AT(udp_ports), .def = "any", .min = 1,
	  .max = 1,
	  .help = "Ports at which clients are given UDP: \"LOW-HIGH\", or "
		  "\"any\"" },
	{ "sessions", CONF_TYPE_INT, AT(sessions), .def = "0",
	  .max = SESSIONS_MAX, .help = SESSIONS_HELP },
};
#undef STRUCT

const struct conf_section conf_section_listeners = {
	LIST(listeners, listener_count),
	OPTIONS(listener_options),
	.max = 256,
	.help = "Where clients are served",
};

#define STRUCT struct conf_client
static const struct conf_option client_options[] = {
	{ "name", CONF_TYPE_NAME, AT(name), .def = "", .max = NAME_MAX_BYTES,
	  .help = "What the log calls it; \"\": client-N, N from 1" },
	{ "action", CONF_TYPE_WORD, AT(action), .def = "allow",
	  .required = true, .words = actions,
	  .help = "What becomes of a connection" },
	{ "from", CONF_TYPE_FROM, AT(from), .def = "any", .min = 1,
	  .max = ELEMENTS_MAX,
	  .help = "Client addresses: prefixes and keywords, one or a list" },
	{ "auth", CONF_TYPE_RANKING, AT(auth), .def = "none", .words = auths,
	  .help = "How clients may say who they are, what is preferred "
		  "first" },
	{ "userid", CONF_TYPE_USERIDS, AT(userid), .def = "",
	  .max = ELEMENTS_MAX,
	  .help = "User ids that SOCKS4 clients may have, one or a list; "
		  "[ ]: any" },
	{ "listener", CONF_TYPE_LISTENERS, AT(listener), .def = "", .min = 0,
	  .max = ELEMENTS_MAX,
	  .help = "Listeners by name, one or a list; [ ]: all" },
	{ "when", CONF_TYPE_WINDOWS, AT(when), .def = "", .max = WINDOWS_MAX,
	  .help = WHEN_HELP },
	{ "log", CONF_TYPE_WORDS, AT(log), .def = "disconnect error",
	  .words = events, .or_none = true, .help = LOG_HELP },
	{ "sessions", CONF_TYPE_INT, AT(sessions), .def = "0",
	  .max = SESSIONS_MAX, .help = SESSIONS_HELP },
	{ "sessions_per_client", CONF_TYPE_INT, AT(sessions_per_client),
	  .def = "0", .max = SESSIONS_MAX,
	  .help = "The same of each client; 0: any number" },
	{ "rate", CONF_TYPE_RATE, AT(rate), .def = "0", .min = 1,
	  .max = RATE_MAX, .help = "New sessions in a time; 0: any number" },
	{ "rate_per_client", CONF_TYPE_RATE, AT(rate_per_client), .def = "0",
	  .min = 1, .max = RATE_MAX,
	  .help = "The same of each client; 0: any number" },
};
#undef STRUCT

const struct conf_section conf_section_clients = {
	LIST(clients, client_count),
	OPTIONS(client_options),
	.max = 65534,
	.help = "Who may connect; the first match decides, else: deny",
};

#define STRUCT struct conf_upstream
static const struct conf_option upstream_options[] = {
	{ "name", CONF_TYPE_NAME, AT(name), .def = "paris", .required = true,
	  .min = 1, .max = NAME_MAX_BYTES,
	  .help = "What rules and the log call it" },
	{ "url", CONF_TYPE_URLS, AT(url), .required = true,
	  .def = "socks5://192.0.2.1:1080", .min = 1, .max = PARENTS_MAX,
	  .help = "Parents, \"SCHEME://USER:PASSWORD@HOST:PORT\", of socks5, "
		  "socks5h, socks4, socks4a, http, https; one or a list" },
	{ "policy", CONF_TYPE_WORD, AT(policy), .def = "failover",
	  .words = balances, .help = "Which of them is asked first" },
	{ "resolve", CONF_TYPE_WORD, AT(resolve), .def = "local",
	  .words = resolves,
	  .help = "Who resolves targets' names: this proxy, or the parent "
		  "(rules then know no address)" },
	{ "chain", CONF_TYPE_BOOL, AT(chain), .def = "false",
	  .help = "The parents are hops, one behind the other, and not a "
		  "choice" },
	{ "credentials_file", CONF_TYPE_PATH, AT(credentials_file), .def = "",
	  .max = PATH_MAX_BYTES,
	  .help = "File with a line \"user:password\" for parents whose url "
		  "has none; \"\": none" },
	{ "tls_ca", CONF_TYPE_PATH, AT(tls_ca), .def = "",
	  .max = PATH_MAX_BYTES,
	  .help = "PEM file of those who sign https parents' certificates; "
		  "\"\": the system's" },
	{ "tls_name", CONF_TYPE_STRING, AT(tls_name), .def = "",
	  .max = HOST_MAX_BYTES,
	  .help = "The name that these must have; \"\": the url's host" },
	{ "tls_verify", CONF_TYPE_BOOL, AT(tls_verify), .def = "true",
	  .help = "Whether they are verified; false: anybody may be the "
		  "parent" },
	{ "send_proxy", CONF_TYPE_WORD, AT(send_proxy), .def = "off",
	  .words = headers, .help = HEADER_HELP },
	{ "retry", CONF_TYPE_DURATION, AT(retry_ms), .def = "10s", .min = 100,
	  .max = 5 * MINUTE,
	  .help = "How long one that failed is left alone, doubling to 5m" },
	{ "check", CONF_TYPE_DURATION, AT(check_ms), .def = "0", .zero = "0",
	  .min = 100, .max = DAY,
	  .help = "How often each is tried unasked; 0: never" },
	{ "check_target", CONF_TYPE_TARGETS, AT(check_target), .def = "",
	  .max = 1,
	  .help = "\"HOST:PORT\" that it is then asked for; \"\": it is only "
		  "connected to and greeted" },
};
#undef STRUCT

const struct conf_section conf_section_upstreams = {
	LIST(upstreams, upstream_count),
	OPTIONS(upstream_options),
	.max = UPSTREAMS_MAX,
	.help = "Parent proxies, in groups",
};

#define STRUCT struct conf_rule
static const struct conf_option rule_options[] = {
	{ "name", CONF_TYPE_NAME, AT(name), .def = "", .max = NAME_MAX_BYTES,
	  .help = "What the log calls it; \"\": rule-N, N from 1" },
	{ "action", CONF_TYPE_WORD, AT(action), .def = "allow",
	  .required = true, .words = actions,
	  .help = "What becomes of a request" },
	{ "from", CONF_TYPE_FROM, AT(from), .def = "any", .min = 1,
	  .max = ELEMENTS_MAX,
	  .help = "Client addresses: prefixes and keywords, one or a list" },
	{ "to", CONF_TYPE_TO, AT(to), .def = "any", .min = 1,
	  .max = ELEMENTS_MAX,
	  .help = "Targets: prefixes, keywords, \"host.name\" or \".domain\", "
		  "one or a list" },
	{ "ports", CONF_TYPE_PORTS, AT(ports), .def = "any", .min = 1,
	  .max = ELEMENTS_MAX,
	  .help = "Target ports: numbers and \"LOW-HIGH\", one or a list, or "
		  "\"any\"" },
	{ "commands", CONF_TYPE_WORDS, AT(commands),
	  .def = "connect bind udp request", .words = commands,
	  .help = "What the client wants to do" },
	{ "listener", CONF_TYPE_LISTENERS, AT(listener), .def = "", .min = 0,
	  .max = ELEMENTS_MAX,
	  .help = "Listeners by name, one or a list; [ ]: all" },
	{ "protocols", CONF_TYPE_WORDS, AT(protocols),
	  .def = "socks5 socks4 http forward transparent", .words = protocols,
	  .help = "What the client speaks" },
	{ "upstream", CONF_TYPE_ENTRY, AT(upstream), .def = "direct",
	  .zero = "direct", .of = "upstreams",
	  .help = "The entry of upstreams by which it goes to the target; "
		  "direct: by none" },
	{ "users", CONF_TYPE_USERIDS, AT(users), .def = "", .max = ELEMENTS_MAX,
	  .help = "Who has logged in as one of these (\"*\": as anybody; "
		  "\"-\": "
		  "who has not), one or a list; [ ]: logged in or not" },
	{ "groups", CONF_TYPE_USERIDS, AT(groups), .def = "",
	  .max = ELEMENTS_MAX,
	  .help = "Or as a member of one of these, one or a list" },
	{ "when", CONF_TYPE_WINDOWS, AT(when), .def = "", .max = WINDOWS_MAX,
	  .help = WHEN_HELP },
	{ "log", CONF_TYPE_WORDS, AT(log), .def = "disconnect error",
	  .words = events, .or_none = true, .help = LOG_HELP },
	{ "sessions", CONF_TYPE_INT, AT(sessions), .def = "0",
	  .max = SESSIONS_MAX, .help = SESSIONS_HELP },
	{ "sessions_per_client", CONF_TYPE_INT, AT(sessions_per_client),
	  .def = "0", .max = SESSIONS_MAX,
	  .help = "The same of each client; 0: any number" },
	{ "sessions_per_user", CONF_TYPE_INT, AT(sessions_per_user), .def = "0",
	  .max = SESSIONS_MAX, .help = "The same of each user; 0: any number" },
	{ "rate", CONF_TYPE_RATE, AT(rate), .def = "0", .min = 1,
	  .max = RATE_MAX, .help = "New sessions in a time; 0: any number" },
	{ "rate_per_client", CONF_TYPE_RATE, AT(rate_per_client), .def = "0",
	  .min = 1, .max = RATE_MAX,
	  .help = "The same of each client; 0: any number" },
	{ "bandwidth", CONF_TYPE_SIZE, AT(bandwidth), .def = "0", .zero = "0",
	  .min = BANDWIDTH_MIN, .max = BANDWIDTH_MAX,
	  .help = "Bytes a second, each way, of all its sessions together; "
		  "0: no bound" },
	{ "bandwidth_user", CONF_TYPE_SIZE, AT(bandwidth_user), .def = "0",
	  .zero = "0", .min = BANDWIDTH_MIN, .max = BANDWIDTH_MAX,
	  .help = "The same of those of one user; 0: no bound" },
	{ "bandwidth_session", CONF_TYPE_SIZE, AT(bandwidth_session),
	  .def = "0", .zero = "0", .min = BANDWIDTH_MIN, .max = BANDWIDTH_MAX,
	  .help = "The same of each session; 0: no bound" },
	{ "idle", CONF_TYPE_DURATION, AT(idle_ms), .def = "default",
	  .zero = "default", .zero_is = CONF_DURATION_DEFAULT, .or_zero = true,
	  .min = 100, .max = 365 * DAY,
	  .help = "In the place of timeouts.idle; 0: for ever" },
	{ "connect", CONF_TYPE_DURATION, AT(connect_ms), .def = "default",
	  .zero = "default", .zero_is = CONF_DURATION_DEFAULT, .min = 100,
	  .max = 10 * MINUTE, .help = "In the place of timeouts.connect" },
};
#undef STRUCT

const struct conf_section conf_section_rules = {
	LIST(rules, rule_count),
	OPTIONS(rule_options),
	.max = 65534,
	.help = "What a client may do; the first match decides, else: deny",
};

#define STRUCT struct conf_quota
static const struct conf_option quota_options[] = {
	{ "name", CONF_TYPE_NAME, AT(name), .def = "", .max = NAME_MAX_BYTES,
	  .help = "What the log calls it; \"\": quota-N, N from 1" },
	{ "users", CONF_TYPE_USERIDS, AT(users), .def = "", .max = ELEMENTS_MAX,
	  .help = "Who has logged in as one of these (\"*\": as anybody), one "
		  "or a list; each has a quota of his own" },
	{ "groups", CONF_TYPE_USERIDS, AT(groups), .def = "",
	  .max = ELEMENTS_MAX,
	  .help = "Or as a member of one of these, one or a list" },
	{ "day", CONF_TYPE_SIZE, AT(day), .def = "0", .zero = "0", .min = KIB,
	  .max = QUOTA_MAX,
	  .help = "Bytes a day, both ways together; 0: no bound" },
	{ "month", CONF_TYPE_SIZE, AT(month), .def = "0", .zero = "0",
	  .min = KIB, .max = QUOTA_MAX,
	  .help = "The same of a calendar month" },
	{ "over", CONF_TYPE_WORD, AT(over), .def = "refuse", .words = overs,
	  .help = "What happens then: requests are refused, or running "
		  "sessions end, too" },
};
#undef STRUCT

const struct conf_section conf_section_quotas = {
	LIST(quotas, quota_count),
	OPTIONS(quota_options),
	.max = QUOTAS_MAX,
	.help = "How much users may move in a day or month; the first entry "
		"that names one is his",
};
