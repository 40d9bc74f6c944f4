/*
 * "quotas [USER]" and "quotas reset USER" of the control socket.
 */
#pragma once

struct refresh;

/* Lines of JSON, to be freed; NULL: there is no memory. */
char *quota_answer(struct refresh *r, char *words);
