/*
 * A danted.conf that was read, written as a spliced.conf.  Nothing is written
 * to the caller's stream before all of it is known, for the remarks stand at
 * its head, and a refusal leaves nothing.
 */
#include "conf/danted_write_ways.h"

#include "conf/danted_lex.h"
#include "conf/quantity.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_S ((int64_t)60)
#define HOUR_S   (60 * MINUTE_S)
#define YEAR_S   (365 * 24 * HOUR_S)

/* The longest element: a word of the file, and a little more. */
#define ELEMENT_BYTES (DANTED_WORD_MAX + 24)

/* What the kernel takes to give up a connection. */
#define SYSTEM_CONNECT_S 130

/* --- Elements ----------------------------------------------------------- */

void danted_add(struct danted_writer *w, struct conf_texts *list,
		const char *fmt, ...)
{
	char text[ELEMENT_BYTES];
	const char **at;
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	/* Lists are short, and all is freed soon. */
	at = conf_arena_alloc(w->f->arena, list->count + 1, sizeof(*at));
	if (at && list->count)
		memcpy(at, list->at, list->count * sizeof(*at));
	if (at)
		at[list->count] = conf_arena_copy(w->f->arena, text,
						  strlen(text));
	if (!at || !at[list->count]) {
		w->no_memory = true;
		return;
	}
	list->at = at;
	list->count++;
}

static void put_quoted(struct danted_writer *w, const char *text)
{
	(void)putc('"', w->out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			(void)putc('\\', w->out);
		(void)putc(*text, w->out);
	}
	(void)putc('"', w->out);
}

void danted_put_text(struct danted_writer *w, const char *key, const char *text)
{
	(void)fprintf(w->out, "%s = ", key);
	put_quoted(w, text);
	(void)fputs(";\n", w->out);
}

void danted_put_texts(struct danted_writer *w, const char *key,
		      const struct conf_texts *list)
{
	(void)fprintf(w->out, "%s = [", key);
	for (size_t i = 0; i < list->count; i++) {
		(void)fputs(i % 4 || list->count <= 4 ? " " : "\n\t\t\t",
			    w->out);
		put_quoted(w, list->at[i]);
		if (i + 1 < list->count)
			(void)putc(',', w->out);
	}
	(void)fputs(" ];\n", w->out);
}

void danted_put_seconds(struct danted_writer *w, const char *key, int64_t s,
			int64_t max_s)
{
	char text[CONF_QUANTITY_BYTES];

	if (s > max_s)
		danted_remark(w->remarks, DANTED_CHANGED, 0,
			      "'%s' is %" PRId64 " s instead of %" PRId64
			      " s, which is the longest",
			      key + strspn(key, "\t"), max_s, s);
	danted_put_text(w, key,
			conf_duration_format(min_i64(s, max_s) * 1000, text));
}

void danted_open_entry(struct danted_writer *w, unsigned line, const char *what)
{
	(void)fprintf(w->out, "%s\t{\n\t\t# %s:%u: %s\n",
		      w->entries++ ? ",\n" : "\n", w->name, line, what);
}

void danted_close_entry(struct danted_writer *w)
{
	(void)fputs("\t}", w->out);
}

bool danted_cannot(struct danted_writer *w, const struct danted_rule *r,
		   unsigned line, const char *why)
{
	danted_remark(w->remarks, r->pass ? DANTED_LOST : DANTED_REFUSED, line,
		      "%s%s", why,
		      r->pass ? ": this rule is left out"
			      : ", and without this rule too much would pass");
	return false;
}

bool danted_never(struct danted_writer *w, const struct danted_rule *r,
		  const char *why)
{
	danted_remark(w->remarks, DANTED_NOTE, r->line,
		      "%s: this rule, which matches nothing, is left out", why);
	return false;
}

/* --- What is known before anything is written ---------------------------- */

uint32_t danted_commands(const struct danted_rule *r)
{
	uint32_t tcp = DANTED_CONNECT | DANTED_BIND | DANTED_BINDREPLY;
	uint32_t udp = DANTED_UDP | DANTED_UDPREPLY;
	uint32_t commands = r->commands ? r->commands : tcp | udp;

	if (r->protocols && !(r->protocols & DANTED_TCP))
		commands &= ~tcp;
	if (r->protocols && !(r->protocols & DANTED_DATAGRAMS))
		commands &= ~udp;
	return commands;
}

static void look_at_ports(struct danted_writer *w, const struct danted_rule *r)
{
	if (!r->udp_ports.lo || !r->pass)
		return;
	if (!w->udp_ports.lo)
		w->udp_ports = r->udp_ports;
	else if (w->udp_ports.lo != r->udp_ports.lo ||
		 w->udp_ports.hi != r->udp_ports.hi)
		danted_remark(w->remarks, DANTED_LOST, r->line,
			      "udp.portrange: there is one range for all, "
			      "%u-%u",
			      w->udp_ports.lo, w->udp_ports.hi);
}

static void look_at_pam(struct danted_writer *w, const struct danted_rule *r)
{
	if (!r->pam)
		return;
	if (w->pam && strcmp(w->pam, r->pam))
		danted_remark(w->remarks, DANTED_REFUSED, r->line,
			      "pam.servicename: there is one service for all, "
			      "and %.100s is another",
			      r->pam);
	w->pam = r->pam;
}

/* Rules for answers to UDP are not asked here: whom was sent to may answer. */
static void look_at_rules(struct danted_writer *w)
{
	bool wanted = false, all = false;

	for (size_t i = 0; i < w->f->rules.count; i++) {
		const struct danted_rule *r = &w->f->rules.at[i];
		uint32_t commands = danted_commands(r);

		look_at_ports(w, r);
		look_at_pam(w, r);
		w->groups |= r->groups.count > 0;
		wanted |= r->pass && commands & DANTED_UDP;
		if (r->pass && commands & DANTED_UDPREPLY)
			all |= danted_is_all(&r->from, DANTED_IPV4) ||
			       danted_is_all(&r->from,
					     DANTED_IPV4 | DANTED_IPV6);
	}
	if (wanted && !all)
		danted_remark(w->remarks, DANTED_CHANGED, 0,
			      "answers to UDP pass from whomever was sent to, "
			      "also where no rule for udpreply says so");
}

/* --- Groups ------------------------------------------------------------- */

static void write_top(struct danted_writer *w)
{
	const struct danted_file *f = w->f;

	if (f->user && strcmp(f->user, "root") && strlen(f->user) <= 32)
		danted_put_text(w, "# Counts when started as root.\nuser",
				f->user);
	(void)fputs("\nlog: {\n", w->out);
	if (f->log) {
		char *target = conf_arena_format(w->f->arena, "file:%s",
						 f->log);

		w->no_memory |= !target;
		if (*f->log == '/')
			danted_put_text(w, "\ttarget", target ? target : "");
		else
			danted_remark(w->remarks, DANTED_LOST, 0,
				      "logoutput: the log goes to standard "
				      "error, %.200s is no absolute path",
				      f->log);
	}
	if (f->debug)
		danted_put_text(w, "\tlevel", "debug");
	(void)fputs(
		"\t# Lines as danted's; \"logfmt\" and \"json\" say more.\n",
		w->out);
	danted_put_text(w, "\taccess", "danted");
	(void)fputs("};\n", w->out);
}

static void write_auth(struct danted_writer *w)
{
	if (!(w->offered & DANTED_LOGIN) && !w->groups)
		return;
	(void)fputs("\nauth: {\n", w->out);
	if (w->offered & DANTED_LOGIN)
		(void)fputs("\t# \"system\" and \"pam\" above need "
			    "spliced-pam.socket.  Without accounts of\n"
			    "\t# this machine: splicedctl passwd, users_file, "
			    "and auth = \"password\".\n",
			    w->out);
	if (w->offered & DANTED_PAM)
		danted_put_text(w, "\tpam_service", w->pam ? w->pam : "danted");
	if (w->groups)
		danted_put_text(w, "\tgroups_file", "/etc/group");
	(void)fputs("};\n", w->out);
}

static void write_times(struct danted_writer *w)
{
	const struct danted_file *f = w->f;

	if (f->full_cone)
		(void)fputs("\nudp: {\n\treplies = \"any\";\n};\n", w->out);
	(void)fputs("\ntimeouts: {\n", w->out);
	danted_put_seconds(w, "\thandshake",
			   f->negotiate_s ? f->negotiate_s : HOUR_S, HOUR_S);
	danted_put_seconds(w, "\tconnect",
			   f->connect_s ? f->connect_s : SYSTEM_CONNECT_S,
			   10 * MINUTE_S);
	danted_put_seconds(w, "\tidle", f->io_s, YEAR_S);
	danted_put_seconds(w, "\tudp_idle", f->udp_io_s, YEAR_S);
	danted_put_seconds(w, "\thalf_closed", f->fin_s, YEAR_S);
	(void)fputs("};\n"
		    "\nlimits: {\n"
		    "\t# danted has no such bound; 1024 is the default.\n"
		    "\tper_client = 0;\n"
		    "};\n",
		    w->out);
}

static void write_all(struct danted_writer *w)
{
	look_at_rules(w);
	danted_plan_bind(w);
	danted_plan_ways(w);
	write_top(w);
	danted_write_listeners(w);
	danted_write_clients(w);
	danted_write_upstreams(w);
	danted_write_rules(w);
	write_auth(w);
	danted_write_outbound(w);
	write_times(w);
}

/* The remarks that tell of a difference, each a comment. */
static void write_head(const struct danted_writer *w, FILE *out)
{
	bool any = false;

	(void)fprintf(out,
		      "# spliced.conf, made from %s by "
		      "\"spliced --import-danted\"; see spliced-danted(7).\n"
		      "# To check it: spliced --config FILE --check\n",
		      w->name);
	for (size_t i = 0; i < w->remarks->kept; i++) {
		const struct danted_remark *m = &w->remarks->list[i];

		if (m->grade == DANTED_NOTE)
			continue;
		if (!any)
			(void)fputs("#\n# What is not as it was:\n", out);
		any = true;
		if (m->line)
			(void)fprintf(out, "#   line %u: %s: %s\n", m->line,
				      danted_grade_word(m->grade), m->text);
		else
			(void)fprintf(out, "#   %s: %s\n",
				      danted_grade_word(m->grade), m->text);
	}
	(void)putc('\n', out);
}

static int write_file(struct danted_writer *w, FILE *out)
{
	char *text = NULL;
	size_t size = 0;
	int r;

	w->out = open_memstream(&text, &size);
	if (!w->out)
		return -ENOMEM;
	write_all(w);
	r = ferror(w->out) ? -ENOMEM : 0;
	if (fclose(w->out) != 0 || w->no_memory)
		r = -ENOMEM;
	if (r == 0 && w->remarks->counts[DANTED_REFUSED])
		r = -EBADMSG;
	if (r == 0) {
		write_head(w, out);
		(void)fwrite(text, 1, size, out);
		r = fflush(out) != 0 || ferror(out) ? -EIO : 0;
	}
	free(text);
	return r;
}

int danted_import(const char *text, size_t len, const char *name,
		  const struct danted_world *world, FILE *out,
		  struct danted_remarks *remarks)
{
	struct danted_file f = { .arena = conf_arena_new() };
	struct danted_writer w = {
		.f = &f, .world = world, .remarks = remarks, .name = name
	};
	int r = f.arena ? danted_parse(&f, text, len, world, remarks) : -ENOMEM;

	if (r == 0 && !f.internals.count)
		danted_remark(remarks, DANTED_REFUSED, 0,
			      "there is no 'internal': nobody could connect");
	if (r == 0 && remarks->counts[DANTED_REFUSED])
		r = -EBADMSG;
	if (r == 0)
		r = write_file(&w, out);
	conf_arena_free(f.arena);
	return r;
}
