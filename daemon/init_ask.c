/*
 * The questions.  Each has an answer for who only presses Return.
 */
#include "daemon/init.h"

#include <string.h>

/* Into room[INIT_TEXT]; what stands in brackets where nothing was typed. */
static int ask(const char *question, const char *usual, char *room)
{
	(void)printf("%s [%s] ", question, *usual ? usual : "none");
	(void)fflush(stdout);
	if (!fgets(room, INIT_TEXT, stdin))
		return -ECANCELED;
	room[strcspn(room, "\r\n")] = '\0';
	if (!room[strspn(room, " ")])
		(void)snprintf(room, INIT_TEXT, "%s", usual);
	return 0;
}

/* Cuts at blanks and commas. */
static size_t split(char *text, const char **list)
{
	size_t count = 0;
	char *word;

	while ((word = strsep(&text, " ,")) && count < INIT_LIST_MAX)
		if (*word)
			list[count++] = word;
	return count;
}

static int ask_list(const char *question, const char *usual, char *room,
		    const char **list, size_t *count)
{
	int r = *count ? 0 : ask(question, usual, room);

	if (r == 0 && !*count)
		*count = split(room, list);
	return r;
}

static int ask_text(const char *question, const char *usual, char *room,
		    const char **ret)
{
	int r = *ret ? 0 : ask(question, usual, room);

	if (r == 0 && !*ret)
		*ret = strcmp(room, "none") ? room : "";
	return r;
}

static bool is_for_this_machine(const struct init_plan *p)
{
	return p->allow_count == 1 && !strcmp(p->allow[0], "loopback");
}

int init_ask(struct init_plan *p)
{
	int r;

	(void)puts("A few questions; Return takes what stands in brackets.\n");
	r = ask_list("Who may use the proxy: \"loopback\" is this machine, "
		     "\"private\" are\nprivate networks, or prefixes such as "
		     "10.1.0.0/16:",
		     "loopback", p->typed[0], p->allow, &p->allow_count);
	if (r == 0)
		r = ask_list("Addresses to listen on:",
			     is_for_this_machine(p) ? "127.0.0.1:1080 "
						      "[::1]:1080"
						    : "0.0.0.0:1080 [::]:1080",
			     p->typed[1], p->listen, &p->listen_count);
	if (r == 0)
		r = ask_text("Who logs in, by a password; the first user's "
			     "name (none: nobody has to):",
			     "", p->typed[2], &p->user);
	if (r == 0)
		r = ask_list("What they speak:",
			     *p->user ? "socks5 http" : "socks5 socks4 http",
			     p->typed[3], p->protocols, &p->protocol_count);
	if (r == 0)
		r = ask_text("For TLS, the PEM file with certificate and key "
			     "(none: without TLS):",
			     "", p->typed[4], &p->certificate);
	if (r == 0)
		r = ask_text("Where to log: stderr, journal or file:/PATH:",
			     "stderr", p->typed[5], &p->log);
	return r;
}
