/*
 * Whether one condition of a rule holds wherever another does.  Pure.  A
 * "yes" is certain; a "no" may only mean that it is not obvious.
 */
#pragma once

#include "conf/section.h"

/*
 * Tells whether all that `inner` matches is matched by `outer`.  With `targets`
 * the lists are those of `to`, where a keyword or name does not reach guarded
 * addresses (addr_is_guarded()); else those of `from`.
 */
bool conf_matches_cover(const struct conf_matches *outer,
			const struct conf_matches *inner, bool targets);

bool conf_ports_cover(const struct conf_ports *outer,
		      const struct conf_ports *inner);

bool conf_listeners_cover(const struct conf_listener_set *outer,
			  const struct conf_listener_set *inner);

bool conf_texts_hold(const struct conf_texts *list, const char *text);

/* Tells whether each text of `inner` is in `outer`. */
bool conf_texts_cover(const struct conf_texts *outer,
		      const struct conf_texts *inner);

/* Tells whether one holds whenever the other does. */
bool conf_windows_cover(const struct conf_windows *outer,
			const struct conf_windows *inner);

/* Tells whether a rule or client entry is about a listener, by index. */
bool conf_listeners_hold(const struct conf_listener_set *set, size_t listener);

/* Tells whether every public address is in a list of `from`. */
bool conf_matches_everyone(const struct conf_matches *from);
