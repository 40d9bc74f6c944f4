/*
 * What a control socket stands in front of, and who asks there.  All of it is
 * for the body of on_loop().
 */
#pragma once

#include "daemon/control.h"

#include <jansson.h>

/* A master that shows what it was told to show. */
extern struct master_stand_in {
	struct control *control;
	int listener;
	char folder[64], path[80];
	struct view view;
	struct view_generation generations[300];
	uint64_t number;   /* of the last reload */
	bool ends_at_once; /* reloads fail before their number is known */
	bool refuses;      /* to reload */
	int drains;
	struct drained drained;
	int passes; /* < 0: what passing on fails with */
	char passed[CONTROL_REQUEST_BYTES + 8]; /* the last line */
} stand_in;

void stand_in_begin(void);
void stand_in_end(void);
void stand_in_be_impatient(int64_t request, int64_t answer, int64_t reload);

/* Connects; returns a socket that does not block. */
int asker(void);
void asker_tell(int fd, const char *text);
int asking(const char *text); /* both */

/* All that comes until the end of the stream; closes the socket. */
const char *heard(int fd);

/* The line of a number from 0 as an object, or NULL. */
json_t *line_of(const char *text, size_t number);

/* The only line, which must be the last. */
json_t *only_line(const char *text);

/* Fields, which must be there. */
int64_t field_number(json_t *j, const char *key);
const char *field_text(json_t *j, const char *key);
bool field_is_true(json_t *j, const char *key);

/* Answers of one line; these close the socket. */
void expect_ok(int fd);
void expect_error(int fd, const char *why);
void expect_closed(int fd); /* without a word */

/* Tells whether nothing has come, the end neither. */
bool is_open(int fd);
