/*
 * The listener for metrics and the status page, as if it stood among those of
 * clients.
 */
#pragma once

#include "conf/conf.h"

/* A name that tells its sockets from those of `listeners`. */
#define CONF_ADMIN_NAME "admin.http"

/* Makes one that borrows from the configuration; without an address: off. */
struct conf_listener conf_admin_listener(const struct conf *c);
