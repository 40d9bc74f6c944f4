/*
 * Which of a listener's protocols a client speaks, from its first byte.
 */
#pragma once

#include "daemon/proxy/session.h"

#define PROTOCOL_BIT(p) (1u << (p))

/*
 * `enabled` is a set of PROTOCOL_BIT()s.  PROTOCOL_NONE: the byte begins none
 * of these.
 */
enum session_protocol guess_protocol(uint8_t first, uint32_t enabled);
