/*
 * splicedctl but for main().
 */
#pragma once

/* Does what the arguments say and returns the exit status. */
int ctl_run(int argc, char **argv);
