/*
 * The local time zone, for what depends on the time of the day.
 */
#pragma once

#include "conf/conf.h"

/* Tells whether anything of a configuration does. */
bool zone_matters(const struct conf *c);

/* What zone_follow() reads: a file and a folder. */
#define ZONE_FILE   "/etc/localtime"
#define ZONE_FOLDER "/usr/share/zoneinfo"

/*
 * Takes another zone that the machine has been given, as by timedatectl(1).
 * What $TZ says stays for the life of the process.
 */
void zone_follow(void);
