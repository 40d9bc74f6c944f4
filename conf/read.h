/*
 * From a text to a filled configuration, without the checks across options.
 */
#pragma once

#include "conf/fill.h"

/*
 * Parses f->source and fills f->conf by the option table.  Whatever is wrong
 * is told; f->result says how it went.
 */
void conf_read(struct conf_fill *f);
