/*
 * Configurations as texts, for the tests of conf/.
 */
#pragma once

#include "conf/conf.h"

/* A listener, a client entry and a rule that load without a warning. */
#define CONF_TEXT_LISTENERS                                                    \
	"listeners: ( { name = \"lan\"; address = \"127.0.0.1:1080\"; "        \
	"} );\n"
#define CONF_TEXT_CLIENTS                                                      \
	"clients: ( { action = \"allow\"; from = \"loopback\"; } );\n"
#define CONF_TEXT_RULES "rules: ( { action = \"allow\"; } );\n"
#define CONF_TEXT       CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS CONF_TEXT_RULES

/*
 * Writes a list with one entry, `assignment` ("key = value;") and what an entry
 * must have besides, so that each option can be said by itself.
 */
void conf_text_entry(char *out, size_t size, const char *list, const char *key,
		     const char *assignment);

/* Loads a text that must be accepted without a warning. */
struct conf *conf_text_load(const char *text);

/*
 * Loads a text that must be refused, with `part` in one of its errors; with
 * `alone` it must be the only one.
 */
void conf_text_refused(const char *text, const char *part, bool alone);

/* Loads a text that must be accepted with this in one of its warnings. */
void conf_text_warned(const char *text, const char *part);

/* Writes what conf_dump() writes; to be freed. */
char *conf_text_dump(const struct conf *c);
