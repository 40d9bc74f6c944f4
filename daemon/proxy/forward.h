/*
 * Listeners whose clients speak no proxy protocol: what they are connected to
 * stands in the configuration.
 */
#pragma once

#include "daemon/proxy/proxy_protocol.h"
#include "daemon/proxy/target.h"

#include <stdatomic.h>

#define FORWARD_TARGETS_MAX 64

struct forward_target {
	struct target target; /* its host is borrowed */
	/* Failed: tried after all others until then, CLOCK_MONOTONIC, ms. */
	_Atomic(int64_t) later_ms;
};

/* One listener's; workers share it. */
struct forward {
	struct forward_target *targets;
	size_t count; /* 1..FORWARD_TARGETS_MAX */
	bool round_robin;
	enum proxy_version send;
	atomic_uint turn;
};
