/*
 * The configuration that holds without a file.
 */
#include "conf/conf.h"

#include "conf/arena.h"

/* Addresses of this machine may be targets: nobody else can ask for them. */
static const char text[] =
	"listeners: ( {\n"
	"	name = \"default\";\n"
	"	address = [ \"127.0.0.1:1080\", \"[::1]:1080\" ];\n"
	"	optional = true;\n"
	"} );\n"
	"clients: ( { action = \"allow\"; from = \"loopback\"; } );\n"
	"rules: ( { action = \"allow\"; to = [ \"any\", \"loopback\" ]; } );\n";

int conf_default(struct conf **ret)
{
	struct conf_errors errors = { 0 };
	int r = conf_load_text(ret, text, "default", &errors);

	ASSERT(r == 0 || r == -ENOMEM);
	conf_errors_done(&errors);
	if (r == 0)
		(*ret)->path = NULL;
	return r;
}
