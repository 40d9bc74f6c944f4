/*
 * What tests of listeners share.
 */
#include "t/unit/listener_at.h"

#include <check.h>

struct tcp_listener *listener;
struct tcp_listen_options listener_options;

void listener_teardown(void)
{
	listener_free(listener);
	listener = NULL;
}

void bind_at(const char *text, unsigned count)
{
	struct tcp_addr a = addr_at(text);

	ck_assert_int_eq(listener_new(&listener, &a, &listener_options, count),
			 0);
}

void open_at(const char *text, unsigned count)
{
	bind_at(text, count);
	ck_assert_int_eq(listener_listen(listener), 0);
}

int open_in_vain(const struct tcp_addr *a)
{
	struct tcp_listener *l = NULL;
	int r = listener_new(&l, a, &listener_options, 2);

	ck_assert_ptr_null(l);
	return r;
}
