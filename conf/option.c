/*
 * The options, and nothing hard-coded elsewhere.  Their rows stand in
 * option_groups.c and option_entries.c.
 */
#include "conf/option_internal.h"

const struct conf_section *const conf_sections[] = {
	&conf_section_top,      &conf_section_log,
	&conf_section_tls,      &conf_section_listeners,
	&conf_section_clients,  &conf_section_upstreams,
	&conf_section_rules,    &conf_section_quotas,
	&conf_section_auth,     &conf_section_http,
	&conf_section_outbound, &conf_section_udp,
	&conf_section_names,    &conf_section_timeouts,
	&conf_section_limits,   &conf_section_admin,
	&conf_section_debug,
};

const size_t conf_section_count = ARRAY_SIZE(conf_sections);
