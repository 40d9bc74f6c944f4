/*
 * Text made the inside of a JSON string (RFC 8259): printable ASCII only, so
 * that a terminal shows what is there and nothing else.
 */
#pragma once

#include "core/base.h"

/*
 * Writes the text escaped, without quotes or terminator, between `out` and
 * `end`, and returns where it ended; cut in front of a character that does not
 * fit together with a "..." behind it.  What is UTF-8 stays the characters that
 * it is, as \uXXXX; every other byte becomes U+FFFD.
 */
char *log_json_bytes(struct span text, char *out, const char *end);
