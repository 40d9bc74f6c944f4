/*
 * What names are without DNS: addresses, lines of the hosts file, this machine
 * itself.  Inside of the resolver.
 */
#pragma once

#include "core/hosts_file.h"
#include "core/resolver.h"

/* Makes the answer for a name that is an address. */
bool name_is_literal(const char *name, struct resolve_answer *ret);

/*
 * Makes the answer for a folded name of `len` characters.  -EAGAIN: DNS is to
 * be asked; 0 or -ENOENT: it is not.
 */
int name_local(struct hosts_view *hosts, enum resolver_order order,
	       const char *name, size_t len, struct resolve_answer *ret)
	MUST_CHECK;
