#include "conf/admin.h"

#define BACKLOG     128
#define SOCKET_MODE 0660

struct conf_listener conf_admin_listener(const struct conf *c)
{
	return (struct conf_listener){
		.where = c->path ? c->path : "built-in",
		.name = CONF_ADMIN_NAME,
		.address = c->admin.http,
		.mode = SOCKET_MODE,
		.tls = c->admin.tls,
		.nodelay = true,
		.v6only = true,
		.backlog = BACKLOG,
		.device = "",
	};
}
