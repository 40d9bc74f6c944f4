/*
 * The file: each thing with what it does, and what could be done instead.
 */
#include "daemon/init.h"

#include <pwd.h>
#include <string.h>

static void put_text(FILE *out, const char *text)
{
	(void)fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			(void)fputc('\\', out);
		if ((unsigned char)*text >= ' ')
			(void)fputc(*text, out);
	}
	(void)fputc('"', out);
}

static void put_list(FILE *out, const char *const *list, size_t count)
{
	(void)fputs("[ ", out);
	for (size_t i = 0; i < count; i++) {
		(void)fputs(i ? ", " : "", out);
		put_text(out, list[i]);
	}
	(void)fputs(" ]", out);
}

static void put_top(const struct init_plan *p, FILE *out)
{
	bool root = geteuid() == 0;

	(void)fputs("# The configuration of spliced(8), written by spliced "
		    "--init.  Every option\n"
		    "# is described in spliced.conf(5); \"spliced --check "
		    "--config FILE\" checks a\n"
		    "# change, \"systemctl reload spliced\" puts it into "
		    "use.\n\n"
		    "# The user that it becomes where root starts it.\n",
		    out);
	(void)fprintf(out, "%suser = \"spliced\";\n\n",
		      root && getpwnam("spliced") ? "" : "#");
	(void)fputs("# Where it logs: \"stderr\", \"journal\" or "
		    "\"file:/PATH\"; a line for each session.\n"
		    "log: {\n\ttarget = ",
		    out);
	put_text(out, p->log);
	(void)fputs(";\n};\n\n", out);
	if (!*p->certificate)
		return;
	(void)fputs("# Clients speak TLS to the proxy; curl -x "
		    "https://HOST:PORT does.\n"
		    "tls: ( {\n\tname = \"edge\";\n\tcertificate = ",
		    out);
	put_text(out, p->certificate);
	(void)fputs(";\t# with its key\n} );\n\n", out);
}

static void put_listeners(const struct init_plan *p, FILE *out)
{
	(void)fputs("# Where clients connect to, and what they speak; the "
		    "first byte decides.\n"
		    "listeners: ( {\n\tname = \"lan\";\n\taddress = ",
		    out);
	put_list(out, p->listen, p->listen_count);
	(void)fputs(";\n\tprotocols = ", out);
	put_list(out, p->protocols, p->protocol_count);
	(void)fprintf(out, ";\n%s} );\n\n",
		      *p->certificate ? "\ttls = \"edge\";\n" : "");
}

static void put_clients(const struct init_plan *p, const char *users, FILE *out)
{
	if (*p->user) {
		(void)fputs("# Users and hashes of their passwords; "
			    "\"splicedctl passwd NAME\" sets one.\n"
			    "auth: {\n\tusers_file = ",
			    out);
		put_text(out, users);
		(void)fputs(";\n};\n\n", out);
	}
	(void)fputs("# Who may connect: the first entry that matches decides, "
		    "all others are refused.\n"
		    "# \"loopback\" is this machine, \"private\" are private "
		    "networks.\n"
		    "clients: ( {\n\taction = \"allow\";\n\tfrom = ",
		    out);
	put_list(out, p->allow, p->allow_count);
	(void)fprintf(out, ";\n\tauth = \"%s\";\n} );\n\n",
		      *p->user ? "password" : "none");
}

static void put_rules(const struct init_plan *p, FILE *out)
{
	bool local = p->allow_count == 1 && !strcmp(p->allow[0], "loopback");

	(void)fputs("# What they may ask for: the first rule that matches "
		    "decides, all else is denied.\n"
		    "# \"any\" is every address but those of this machine and "
		    "its link.\n"
		    "rules: (\n",
		    out);
	if (local)
		(void)fputs("\t{ action = \"allow\"; to = [ \"any\", "
			    "\"loopback\" ]; }\n",
			    out);
	else
		(void)fputs("\t# Without the '#', nobody gets from here to "
			    "private networks:\n"
			    "\t#{ action = \"deny\"; to = \"private\"; },\n"
			    "\t{ action = \"deny\"; to = \"any\"; ports = "
			    "\"25\"; },\t# mail: spam goes this way\n"
			    "\t{ action = \"allow\"; to = \"any\"; }\n",
			    out);
	(void)fputs(");\n", out);
}

void init_put(const struct init_plan *p, const char *users, FILE *out)
{
	put_top(p, out);
	put_listeners(p, out);
	put_clients(p, users, out);
	put_rules(p, out);
}
