/*
 * What to do next about a file that could not be opened, read or written, to
 * be said behind strerror(3).
 */
#pragma once

/*
 * Takes 0 or -errno.  Both return " (a sentence)", or "" where the error says
 * all that there is to say; neither is ever NULL.
 */
const char *file_read_advice(int r);
const char *file_write_advice(int r);
