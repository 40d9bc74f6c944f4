/*
 * The options of groups: the process and what all sessions have in common.
 */
#include "conf/option_internal.h"

/* Enums are stored through unsigned. */
_Static_assert(sizeof(enum conf_relay) == sizeof(unsigned), "enum size");
_Static_assert(sizeof(enum conf_sandbox) == sizeof(unsigned), "enum size");
_Static_assert(sizeof(enum conf_rotate) == sizeof(unsigned), "enum size");
_Static_assert(sizeof(enum conf_forwarded) == sizeof(unsigned), "enum size");

static const char *const log_levels[] = { "error", "warning", "notice",
					  "info",  "debug",   NULL };
static const char *const log_accesses[] = { "logfmt", "json", "danted", "off",
					    NULL };
static const char *const rotations[] = { "none", "per-connection", "per-client",
					 "same-as-inbound", NULL };
static const char *const orders[] = { "ipv6-first", "ipv4-first", "ipv6-only",
				      "ipv4-only", NULL };
static const char *const udp_sources[] = { "strict", "address", "any", NULL };
static const char *const udp_replies[] = { "contacted", "any", NULL };
static const char *const preferences[] = { "none", "ipv4", "ipv6", NULL };
static const char *const relays[] = { "adaptive", "copy", "splice", NULL };
static const char *const switches[] = { "off", "on", NULL };
static const char *const forwardeds[] = { "off", "forwarded", "x-forwarded-for",
					  "both", NULL };

#define STRUCT struct conf
static const struct conf_option top_options[] = {
	{ "workers", CONF_TYPE_INT, AT(workers), .def = "0", .max = 1024,
	  .help = "Threads that serve; 0: one per CPU" },
	{ "user", CONF_TYPE_STRING, AT(user), .def = "", .max = 32,
	  .help = "Whom to become when started as root; \"\": nobody else" },
	{ "sandbox", CONF_TYPE_WORD, AT(sandbox), .def = "on",
	  .words = switches,
	  .help = "Confine what serves, by seccomp and Landlock" },
};
#undef STRUCT

const struct conf_section conf_section_top = {
	.name = "",
	.size = sizeof(struct conf),
	OPTIONS(top_options),
	.help = "The process",
};

#define STRUCT struct conf_log
static const struct conf_option log_options[] = {
	{ "target", CONF_TYPE_LOG, .offset = 0, .def = "stderr",
	  .max = PATH_MAX_BYTES,
	  .help = "Where lines go: \"stderr\", \"journal\" (with fields) or "
		  "\"file:/PATH\", which SIGUSR1 opens anew" },
	{ "level", CONF_TYPE_WORD, AT(level), .def = "info",
	  .words = log_levels,
	  .help = "The least important lines that are written" },
	{ "access", CONF_TYPE_WORD, AT(access), .def = "logfmt",
	  .words = log_accesses,
	  .help = "The form of a session's lines (level info)" },
};
#undef STRUCT

const struct conf_section conf_section_log = {
	GROUP(log),
	.help = "The log",
};

#define STRUCT struct conf_auth
static const struct conf_option auth_options[] = {
	{ "users_file", CONF_TYPE_PATH, AT(users_file), .def = "",
	  .max = PATH_MAX_BYTES,
	  .help = "File of users, a line \"name:hash\" each; \"\": none" },
	{ "groups_file", CONF_TYPE_PATH, AT(groups_file), .def = "",
	  .max = PATH_MAX_BYTES,
	  .help = "File of groups, lines as in group(5); \"\": none" },
	{ "helper", CONF_TYPE_PATH, AT(helper), .def = "/run/spliced/pam",
	  .min = 1, .max = SOCKET_MAX_BYTES,
	  .help = "Socket of spliced-pam(8), for \"pam\" and \"system\"" },
	{ "pam_service", CONF_TYPE_NAME, AT(pam_service), .def = "spliced",
	  .min = 1, .max = NAME_MAX_BYTES,
	  .help = "The service that PAM is asked as: a file in /etc/pam.d" },
	{ "cache", CONF_TYPE_DURATION, AT(cache_ms), .def = "5m", .zero = "0",
	  .min = SECOND, .max = DAY,
	  .help = "How long a right password is known; 0: it is verified "
		  "each time" },
	{ "cache_entries", CONF_TYPE_INT, AT(cache_entries), .def = "4096",
	  .min = 1, .max = 1000000, .help = "How many of them at most" },
	{ "failure_delay", CONF_TYPE_DURATION, AT(failure_delay_ms),
	  .def = "1s", .max = 10 * SECOND,
	  .help = "What a wrong password waits for its answer" },
	{ "lock_after", CONF_TYPE_INT, AT(lock_after), .def = "20",
	  .max = 1000000,
	  .help = "Wrong passwords of a client in lock_time before it is "
		  "locked out; 0: never" },
	{ "lock_time", CONF_TYPE_DURATION, AT(lock_time_ms), .def = "5m",
	  .min = SECOND, .max = DAY, .help = "How long it is locked out" },
};
#undef STRUCT

const struct conf_section conf_section_auth = {
	GROUP(auth),
	.help = "Who may log in",
};

#define STRUCT struct conf_http
static const struct conf_option http_options[] = {
	{ "via", CONF_TYPE_NAME, AT(via), .def = "auto", .max = NAME_MAX_BYTES,
	  .help = "What this proxy calls itself in Via; \"auto\": a name that "
		  "no other has; \"\": it sends none" },
	{ "forwarded", CONF_TYPE_WORD, AT(forwarded), .def = "off",
	  .words = forwardeds,
	  .help = "Tell targets the client's address, in Forwarded (RFC 7239) "
		  "or X-Forwarded-For" },
	{ "realm", CONF_TYPE_STRING, AT(realm), .def = "spliced", .min = 1,
	  .max = 127,
	  .help = "What a client's user is told that the password is for" },
	{ "keep_alive", CONF_TYPE_DURATION, AT(keep_alive_ms), .def = "1m",
	  .zero = "0", .min = 100, .max = DAY,
	  .help = "How long a client's connection waits for its next request; "
		  "0: one each" },
	{ "pool", CONF_TYPE_INT, AT(pool), .def = "256", .max = 65535,
	  .help = "Idle connections to targets that each worker keeps; 0: "
		  "none" },
	{ "pool_idle", CONF_TYPE_DURATION, AT(pool_idle_ms), .def = "30s",
	  .min = 100, .max = DAY, .help = "How long it keeps one" },
	{ "pool_per_target", CONF_TYPE_INT, AT(pool_per_target), .def = "64",
	  .min = 1, .max = 65535, .help = "How many of them to one target" },
	{ "response", CONF_TYPE_DURATION, AT(response_ms), .def = "5m",
	  .zero = "0", .min = 100, .max = DAY,
	  .help = "For a target to begin its response; 0: for ever" },
};
#undef STRUCT

const struct conf_section conf_section_http = {
	GROUP(http),
	.help = "The HTTP proxy",
};

#define STRUCT struct conf_outbound
static const struct conf_option outbound_options[] = {
	{ "source", CONF_TYPE_SOURCES, AT(source), .def = "", .max = 1024,
	  .help = "Sources of what goes to targets: IPs, interfaces, IPv6 "
		  "prefixes, one or a list; [ ]: as routed" },
	{ "rotate", CONF_TYPE_WORD, AT(rotate), .def = "none",
	  .words = rotations,
	  .help = "Who gets which source; none: the first of its family" },
	{ "device", CONF_TYPE_STRING, AT(device), .def = "",
	  .max = INTERFACE_MAX_BYTES,
	  .help = "Leave by this interface or not at all; \"\": as routed" },
	{ "mark", CONF_TYPE_INT, AT(mark), .def = "0", .max = UINT32_MAX,
	  .help = "Firewall mark of connections to targets; 0: none" },
	{ "prefer", CONF_TYPE_WORD, AT(prefer), .def = "none",
	  .words = preferences,
	  .help = "The family tried first; none: in the order that names "
		  "resolve to" },
	{ "nodelay", CONF_TYPE_BOOL, AT(nodelay), .def = "true",
	  .help = "Send small pieces at once (TCP_NODELAY)" },
	{ "keepalive", CONF_TYPE_BOOL, AT(keepalive), .def = "false",
	  .help = "Probe idle targets, so that vanished ones are found" },
	{ "fastopen", CONF_TYPE_BOOL, AT(fastopen), .def = "false",
	  .help = "Send a client's first bytes with the SYN, where a target "
		  "is known to take them (TCP Fast Open)" },
	{ "bind_address", CONF_TYPE_TOLD, AT(bind_address), .def = "", .max = 2,
	  .help = "Where a BIND's peers are told to connect to, behind NAT: "
		  "an IP, or one a family; [ ]: where it listens" },
	{ "bind_ports", CONF_TYPE_PORTS, AT(bind_ports), .def = "any", .min = 1,
	  .max = 1,
	  .help = "Ports at which a BIND listens: \"LOW-HIGH\", or \"any\"" },
};
#undef STRUCT

const struct conf_section conf_section_outbound = {
	GROUP(outbound),
	.help = "Connections to targets",
};

#define STRUCT struct conf_udp
static const struct conf_option udp_options[] = {
	{ "source", CONF_TYPE_WORD, AT(source), .def = "strict",
	  .words = udp_sources,
	  .help = "Whose datagrams are taken: from the client's address and "
		  "first port, its address, or anywhere" },
	{ "replies", CONF_TYPE_WORD, AT(replies), .def = "contacted",
	  .words = udp_replies,
	  .help = "Whose datagrams a client gets: of addresses that it has "
		  "sent to, or of all that the rules let it send to" },
	{ "buffer", CONF_TYPE_SIZE, AT(buffer), .def = "256k", .zero = "0",
	  .min = 4 * KIB, .max = 64 * MIB,
	  .help = "What the buffers of a socket grow to, each way; 0: as the "
		  "kernel is set" },
};
#undef STRUCT

const struct conf_section conf_section_udp = {
	GROUP(udp),
	.help = "UDP associations",
};

#define STRUCT struct conf_names
static const struct conf_option names_options[] = {
	{ "servers", CONF_TYPE_SERVERS, AT(servers), .def = "", .max = 16,
	  .help = "Name servers, \"IP\" or \"IP:PORT\"; [ ]: as resolv_conf "
		  "says" },
	{ "hosts", CONF_TYPE_PATH, AT(hosts), .def = "/etc/hosts",
	  .max = PATH_MAX_BYTES,
	  .help = "File of names that are looked up first; \"\": none" },
	{ "resolv_conf", CONF_TYPE_PATH, AT(resolv_conf),
	  .def = "/etc/resolv.conf", .min = 1, .max = PATH_MAX_BYTES,
	  .help = "File with name servers and search domains" },
	{ "search", CONF_TYPE_DOMAINS, AT(search), .def = "", .max = 16,
	  .help = "Domains that short names are looked up in; \".\": none, "
		  "[ ]: as resolv_conf says" },
	{ "ndots", CONF_TYPE_INT, AT(ndots), .def = "auto", .zero = "auto",
	  .zero_is = CONF_NDOTS_AUTO, .max = 15,
	  .help = "Dots that make a name be tried as it is first; \"auto\": "
		  "as resolv_conf says" },
	{ "order", CONF_TYPE_WORD, AT(order), .def = "ipv6-first",
	  .words = orders, .help = "Families that are asked for, in order" },
	{ "timeout", CONF_TYPE_DURATION, AT(timeout_ms), .def = "5s",
	  .min = 100, .max = MINUTE, .help = "Patience with one server, once" },
	{ "tries", CONF_TYPE_INT, AT(tries), .def = "2", .min = 1, .max = 10,
	  .help = "How often each server is asked" },
	{ "cache_entries", CONF_TYPE_INT, AT(cache_entries), .def = "10000",
	  .max = 1000000,
	  .help = "Answers that each worker remembers; 0: none" },
	{ "ttl_min", CONF_TYPE_DURATION, AT(ttl_min_ms), .def = "0", .max = DAY,
	  .help = "Remember an answer at least this long" },
	{ "ttl_max", CONF_TYPE_DURATION, AT(ttl_max_ms), .def = "1h",
	  .max = 7 * DAY, .help = "Remember an answer at most this long" },
	{ "negative_ttl", CONF_TYPE_DURATION, AT(negative_ttl_ms), .def = "5s",
	  .max = HOUR,
	  .help = "Remember that a name does not exist, where the reply "
		  "does not say how long" },
	{ "pending", CONF_TYPE_INT, AT(pending), .def = "1000", .min = 1,
	  .max = 16384,
	  .help = "Questions that each worker has under way at most" },
};
#undef STRUCT

const struct conf_section conf_section_names = {
	GROUP(names),
	.help = "Resolving of names",
};

#define STRUCT struct conf_timeouts
static const struct conf_option timeouts_options[] = {
	{ "handshake", CONF_TYPE_DURATION, AT(handshake_ms), .def = "15s",
	  .min = 100, .max = HOUR,
	  .help = "From accepting a client to its whole request" },
	{ "tls", CONF_TYPE_DURATION, AT(tls_ms), .def = "10s", .min = 100,
	  .max = HOUR, .help = "For a client's TLS handshake" },
	{ "name", CONF_TYPE_DURATION, AT(name_ms), .def = "10s", .min = 100,
	  .max = 10 * MINUTE, .help = "For resolving the target's name" },
	{ "connect", CONF_TYPE_DURATION, AT(connect_ms), .def = "15s",
	  .min = 100, .max = 10 * MINUTE,
	  .help = "For connecting to the target, all its addresses together" },
	{ "upstream", CONF_TYPE_DURATION, AT(upstream_ms), .def = "15s",
	  .min = 100, .max = 10 * MINUTE,
	  .help = "For what parents have to say once connected, all of a "
		  "chain together" },
	{ "bind", CONF_TYPE_DURATION, AT(bind_ms), .def = "2m", .min = 100,
	  .max = HOUR, .help = "For the peer of a BIND to connect" },
	{ "idle", CONF_TYPE_DURATION, AT(idle_ms), .def = "1h", .zero = "0",
	  .min = 100, .max = 365 * DAY,
	  .help = "A tunnel in which nothing moves; 0: for ever" },
	{ "half_closed", CONF_TYPE_DURATION, AT(half_closed_ms), .def = "1m",
	  .zero = "0", .min = 100, .max = 365 * DAY,
	  .help = "The same once one side has ended; 0: for ever" },
	{ "udp_idle", CONF_TYPE_DURATION, AT(udp_idle_ms), .def = "2m",
	  .zero = "0", .min = 100, .max = 365 * DAY,
	  .help = "A UDP association in which nothing moves; 0: for ever" },
	{ "session", CONF_TYPE_DURATION, AT(session_ms), .def = "0",
	  .zero = "0", .min = 100, .max = 365 * DAY,
	  .help = "Age of any tunnel, busy or not; 0: for ever" },
	{ "shutdown", CONF_TYPE_DURATION, AT(shutdown_ms), .def = "30s",
	  .max = DAY,
	  .help = "What tunnels get after SIGTERM; 0: they end at once" },
	{ "start", CONF_TYPE_DURATION, AT(start_ms), .def = "30s",
	  .min = SECOND, .max = 10 * MINUTE,
	  .help = "For a new generation to become ready" },
	{ "drain", CONF_TYPE_DURATION, AT(drain_ms), .def = "0", .zero = "0",
	  .min = 100, .max = 365 * DAY,
	  .help = "What tunnels get after a reload; 0: for ever" },
	{ "watchdog", CONF_TYPE_DURATION, AT(watchdog_ms), .def = "10s",
	  .zero = "0", .min = SECOND, .max = 10 * MINUTE,
	  .help = "A worker that stands still this long is replaced; 0: off" },
};
#undef STRUCT

const struct conf_section conf_section_timeouts = {
	GROUP(timeouts),
	.help = "How long things may take",
};

#define STRUCT struct conf_limits
static const struct conf_option limits_options[] = {
	{ "connections", CONF_TYPE_INT, AT(connections), .def = "auto",
	  .zero = "auto", .min = 1, .max = 10000000,
	  .help = "Sessions in all; \"auto\": as many as RLIMIT_NOFILE "
		  "allows" },
	{ "handshakes", CONF_TYPE_INT, AT(handshakes), .def = "10000", .min = 1,
	  .max = 1000000,
	  .help = "Clients that have not made their request yet" },
	{ "tls_handshakes", CONF_TYPE_INT, AT(tls_handshakes), .def = "0",
	  .max = 1000000,
	  .help = "TLS handshakes of clients at once; 0: any number" },
	{ "buffers", CONF_TYPE_SIZE, AT(buffers), .def = "64M", .min = 64 * KIB,
	  .max = 64 * GIB,
	  .help = "Memory for bytes that a peer does not take yet" },
	{ "pipes", CONF_TYPE_INT, AT(pipes), .def = "64", .max = 1024,
	  .help = "Pipes for splicing; 0: always copy" },
	{ "generations", CONF_TYPE_INT, AT(generations), .def = "8", .min = 2,
	  .max = 1000,
	  .help = "Generations at a time; beyond it the oldest is ended" },
	{ "udp_associations", CONF_TYPE_INT, AT(udp_associations),
	  .def = "4096", .max = 1000000,
	  .help = "UDP associations in all; 0: UDP is not served" },
	{ "udp_per_client", CONF_TYPE_INT, AT(udp_per_client), .def = "64",
	  .max = 1000000,
	  .help = "UDP associations of one client in each worker; 0: any "
		  "number" },
	{ "udp_memory", CONF_TYPE_SIZE, AT(udp_memory), .def = "256M",
	  .min = MIB, .max = 64 * GIB,
	  .help = "Memory for UDP associations, their sockets' buffers "
		  "included" },
	{ "per_client", CONF_TYPE_INT, AT(per_client), .def = "1024",
	  .max = SESSIONS_MAX,
	  .help = "Sessions of one client at once; 0: any number" },
	{ "per_user", CONF_TYPE_INT, AT(per_user), .def = "0",
	  .max = SESSIONS_MAX,
	  .help = "Sessions of one user at once; 0: any number" },
	{ "rate_per_client", CONF_TYPE_RATE, AT(rate_per_client), .def = "0",
	  .min = 1, .max = RATE_MAX,
	  .help = "New sessions of one client in a time; 0: any number" },
	{ "client_prefix4", CONF_TYPE_INT, AT(client_prefix4), .def = "32",
	  .min = 8, .max = 32, .help = "Bits of IPv4 that are one client" },
	{ "client_prefix6", CONF_TYPE_INT, AT(client_prefix6), .def = "64",
	  .min = 16, .max = 128, .help = "Bits of IPv6 that are one client" },
	{ "bandwidth_user", CONF_TYPE_SIZE, AT(bandwidth_user), .def = "0",
	  .zero = "0", .min = BANDWIDTH_MIN, .max = BANDWIDTH_MAX,
	  .help = "Bytes a second, each way, of all sessions of one user; 0: "
		  "no bound" },
	{ "bandwidth_session", CONF_TYPE_SIZE, AT(bandwidth_session),
	  .def = "0", .zero = "0", .min = BANDWIDTH_MIN, .max = BANDWIDTH_MAX,
	  .help = "The same of each session; 0: no bound" },
	{ "table", CONF_TYPE_INT, AT(table), .def = "65536", .min = 1024,
	  .max = 16777216,
	  .help = "Clients, users and rules that can be counted at a time" },
	{ "quota_state", CONF_TYPE_PATH, AT(quota_state), .def = "auto",
	  .zero = "auto", .max = PATH_MAX_BYTES - 8, .min = 0,
	  .help = "File that keeps what was used of quotas; \"auto\": "
		  "/var/lib/spliced/quotas, \"\": none, a restart forgets it" },
};
#undef STRUCT

const struct conf_section conf_section_limits = {
	GROUP(limits),
	.help = "How much there may be",
};

#define STRUCT struct conf_admin
static const struct conf_option admin_options[] = {
	{ "socket", CONF_TYPE_PATH, AT(socket), .def = "auto", .zero = "auto",
	  .max = SOCKET_MAX_BYTES,
	  .help = "Control socket; \"auto\": /run/spliced/control where that "
		  "can be made, \"\": none" },
	{ "http", CONF_TYPE_ADDRESSES, AT(http), .def = "", .max = 16,
	  .help = "Where metrics and the status page are served: "
		  "\"IP:PORT\", \"unix:/PATH\" or a list; [ ]: nowhere" },
	{ "tls", CONF_TYPE_ENTRY, AT(tls), .def = "", .zero = "", .of = "tls",
	  .help = "Entry of 'tls' that http is served by; \"\": plain" },
	{ "users", CONF_TYPE_PATH, AT(users), .def = "", .max = PATH_MAX_BYTES,
	  .help = "File of users who may look at http, as auth.users_file; "
		  "\"\": whoever reaches it" },
	{ "user_metrics", CONF_TYPE_INT, AT(user_metrics), .def = "0",
	  .max = 10000,
	  .help = "Users with metrics of their own, all others are one; 0: "
		  "users have none" },
	{ "pac_host", CONF_TYPE_NAME, AT(pac_host), .def = "", .max = 253,
	  .help = "The name by which browsers reach the listeners, for "
		  "/proxy.pac; \"\": that by which they asked for it" },
	{ "pac_direct", CONF_TYPE_TO, AT(pac_direct), .def = "", .max = 1024,
	  .help = "What browsers fetch without us: names, \".suffix\", "
		  "prefixes, \"plain\" (names without a dot); [ ]: nothing" },
};
#undef STRUCT

const struct conf_section conf_section_admin = {
	GROUP(admin),
	.help = "For splicedctl(8), monitoring and browsers",
};

#define STRUCT struct conf_debug
static const struct conf_option debug_options[] = {
	{ "relay", CONF_TYPE_WORD, AT(relay), .def = "adaptive",
	  .words = relays, .help = "How bytes are moved" },
};
#undef STRUCT

const struct conf_section conf_section_debug = {
	GROUP(debug),
	.help = "For finding faults",
};
