/*
 * Logins: by a certificate, or by name and password in whatever protocol they
 * come.
 */
#pragma once

#include "daemon/proxy/outcome.h"
#include "daemon/proxy/request.h"

struct login;

struct request_login {
	struct login *login; /* to be verified; NULL: it is settled */
	uint8_t name_len;
};

/* The methods of the client's rule, what is preferred first. */
unsigned request_login_methods(const struct request *rq, enum auth_method *ret);

/*
 * Who showed a certificate, on TLS, is who that says, where the client's rule
 * takes that: rq->user and rq->method.  Costs nothing without TLS.
 */
void request_login_certificate(struct request *rq);

/*
 * Takes what a client says: afterwards his input may be overwritten.  Settles
 * at once what is known already.  OUTCOME_NONE, with what
 * request_login_verify() has to know; or the failure.
 */
enum outcome request_login_claim(struct request *rq, struct span name,
				 struct span password,
				 struct request_login *ret);

/*
 * Verifies what is not settled, as long as the client is there, and takes it.
 * OUTCOME_NONE: rq->user and rq->method say who it is.
 */
enum outcome request_login_verify(struct request *rq, struct request_login *l);
