/*
 * Inside the table: what its files write rows with.
 */
#pragma once

#include "conf/option.h"

#define SECOND ((int64_t)1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define KIB    ((int64_t)1 << 10)
#define MIB    ((int64_t)1 << 20)
#define GIB    ((int64_t)1 << 30)

#define NAME_MAX_BYTES      63
#define INTERFACE_MAX_BYTES 15   /* IFNAMSIZ less its NUL */
#define PATH_MAX_BYTES      4095 /* PATH_MAX less its NUL */
#define SOCKET_MAX_BYTES    107  /* sun_path less its NUL */
#define HOST_MAX_BYTES      253  /* RFC 1035, section 2.3.4 */
#define ELEMENTS_MAX        65535
#define SESSIONS_MAX        10000000
#define RATE_MAX            1000000

/* A slower tunnel would hardly be one. */
#define BANDWIDTH_MIN KIB
#define BANDWIDTH_MAX (64 * GIB)

/* STRUCT is that of the rows that follow. */
#define AT(field_) .offset = offsetof(STRUCT, field_)

#define OPTIONS(table_) .options = table_, .option_count = ARRAY_SIZE(table_)
#define GROUP(name_)                                                           \
	.name = #name_, .offset = offsetof(struct conf, name_),                \
	.size = sizeof(((struct conf *)NULL)->name_), OPTIONS(name_##_options)
#define LIST(name_, count_)                                                    \
	.name = #name_, .is_list = true,                                       \
	.offset = offsetof(struct conf, name_),                                \
	.count_offset = offsetof(struct conf, count_),                         \
	.size = sizeof(*((struct conf *)NULL)->name_)

extern const struct conf_section conf_section_top, conf_section_log,
	conf_section_tls, conf_section_listeners, conf_section_clients,
	conf_section_upstreams, conf_section_rules, conf_section_quotas,
	conf_section_auth, conf_section_http, conf_section_outbound,
	conf_section_udp, conf_section_names, conf_section_timeouts,
	conf_section_limits, conf_section_admin, conf_section_debug;
