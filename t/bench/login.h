/*
 * Who logs in at a proxy, and as whom (RFC 1929).
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define LOGIN_MAX 64

/* User number n: "user-N" with the password "secret-N"; its length. */
static inline size_t login_text(uint8_t *out, uint32_t n)
{
	char name[24], password[24];
	size_t a = (size_t)snprintf(name, sizeof name, "user-%u", n);
	size_t b = (size_t)snprintf(password, sizeof password, "secret-%u", n);

	out[0] = 1;
	out[1] = (uint8_t)a;
	memcpy(out + 2, name, a);
	out[2 + a] = (uint8_t)b;
	memcpy(out + 3 + a, password, b);
	return 3 + a + b;
}
