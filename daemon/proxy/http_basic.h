/*
 * Credentials of the Basic scheme (RFC 7617).
 */
#pragma once

#include "core/base.h"

#define HTTP_BASIC_MAX 512 /* bytes of a name, ':' and a password */

/*
 * Reads the value of Proxy-Authorization into room[HTTP_BASIC_MAX], where *name
 * and *password are.  -ENOENT: another scheme; -EBADMSG: not well-formed, or
 * longer.
 */
int http_basic_parse(struct span value, uint8_t *room, struct span *name,
		     struct span *password) MUST_CHECK;
