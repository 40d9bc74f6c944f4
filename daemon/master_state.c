/*
 * Replacing the program of a master that runs: its state goes through a
 * memfd, as lines of text that another version can read, and descriptors stay
 * open under their numbers.
 */
#include "daemon/master_state.h"

#include "daemon/log.h"
#include "daemon/master_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define HEADER     "spliced state 1\n"
#define TRIAL_S    10
#define LINE_BYTES 16384

/* --- Writing ------------------------------------------------------------ */

static void write_sockets(const struct master *m, FILE *f)
{
	for (size_t i = 0; i < m->held.count; i++) {
		const struct held_socket *s = &m->held.at[i];

		(void)fprintf(f, "socket %d %u %d %d %s\n", s->fd,
			      s->unclaimed_by, s->from_unit, s->stored,
			      s->name);
		if (s->ino)
			(void)fprintf(f, "file %" PRIu64 " %ju %ju\n",
				      s->cookie, (uintmax_t)s->dev,
				      (uintmax_t)s->ino);
	}
}

static void write_members(const struct master *m, FILE *f)
{
	const struct list *at;

	for (at = m->members.next; at != &m->members; at = at->next) {
		const struct member *g = list_entry(at, struct member, link);
		const struct handoff_settings *s = &g->settings;

		(void)fprintf(f,
			      "generation %u %d %d %d %d %d %" PRId64
			      " %" PRId64 " %" PRId64 " %" PRId64 " %u %s\n",
			      g->number, (int)g->pid, g->control.fd,
			      g->segment ? segment_fd(g->segment) : -1,
			      (int)g->state, g->stopped, g->started_us,
			      s->start_ms, s->shutdown_ms, s->watchdog_ms,
			      s->generations, g->addresses ? g->addresses : "");
	}
}

static void write_drained(const struct drained *d, FILE *f)
{
	for (size_t i = 0; i < d->count; i++)
		(void)fprintf(f, "drained %s\n", d->name[i]);
}

static void write_counts(const struct master *m, FILE *f)
{
	const struct table_totals *t = &m->carried;

	(void)fprintf(f,
		      "master %u %" PRId64 " %" PRIu64 " %" PRIu64 " %" PRIu64
		      "\n",
		      m->last_number, m->started_us, m->reloads,
		      m->failed_reloads, m->crashes);
	(void)fprintf(f,
		      "carried %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
		      " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
		      t->accepted, t->rejected, t->sessions, t->bytes_up,
		      t->bytes_down, t->datagrams_up, t->datagrams_down,
		      t->datagrams_dropped);
}

/* The descriptor of what was written, or -errno. */
static int write_state(const struct master *m)
{
	int fd = memfd_create("spliced-state", MFD_CLOEXEC);
	FILE *f;
	int copy;

	if (fd < 0)
		return -errno;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	f = copy < 0 ? NULL : fdopen(copy, "w");
	if (!f) {
		close_fd(&copy);
		close_fd(&fd);
		return -ENOMEM;
	}
	(void)fputs(HEADER, f);
	write_counts(m, f);
	write_sockets(m, f);
	write_members(m, f);
	master_look_write(m, f);
	write_drained(&m->drained_listeners, f);
	/* The memfd is nobody else's, and closed when it has been read. */
	master_keys_write(&m->keys, f);
	if (fclose(f) != 0) {
		close_fd(&fd);
		return -ENOSPC;
	}
	return fd;
}

/* --- Reading ------------------------------------------------------------ */

static bool read_socket(struct master *m, const char *line)
{
	struct held_socket s = { 0 };
	int from_unit, stored, name = 0;

	if (sscanf(line, "socket %d %u %d %d %n", &s.fd, &s.unclaimed_by,
		   &from_unit, &stored, &name) != 4 ||
	    !name)
		return false;
	s.from_unit = from_unit;
	s.stored = stored;
	return held_add(&m->held, s.fd, line + name, &s) == 0;
}

/* What stands at the path now may be another's file. */
static bool read_file(struct master *m, const char *line)
{
	struct held_socket *s;
	uintmax_t dev, ino;
	uint64_t cookie;

	if (sscanf(line, "file %" SCNu64 " %ju %ju", &cookie, &dev, &ino) != 3)
		return false;
	s = held_find(&m->held, cookie);
	if (s && s->is_unix) {
		s->dev = (dev_t)dev;
		s->ino = (ino_t)ino;
	}
	return s != NULL;
}

static bool read_member(struct master *m, const char *line)
{
	struct handoff_settings s = { 0 };
	int pid, control, segment, state, stopped, text = 0;
	int64_t started_us;
	struct member *g;
	uint32_t number;

	if (sscanf(line,
		   "generation %u %d %d %d %d %d %" SCNd64 " %" SCNd64
		   " %" SCNd64 " %" SCNd64 " %u %n",
		   &number, &pid, &control, &segment, &state, &stopped,
		   &started_us, &s.start_ms, &s.shutdown_ms, &s.watchdog_ms,
		   &s.generations, &text) != 11 ||
	    !text)
		return false;
	g = control < 0 ? NULL : member_new(m, pid, control, number);
	if (!g) { /* it does not hear us any more */
		(void)kill(pid, SIGKILL);
		close_fd(&segment);
		return false;
	}
	g->state = state == MEMBER_SERVING  ? MEMBER_SERVING
		   : state == MEMBER_ENDING ? MEMBER_ENDING
					    : MEMBER_DRAINING;
	g->prepared = true;
	g->stopped = stopped;
	g->started_us = started_us;
	g->settings = s;
	g->addresses = strdup(line + text);
	if (segment >= 0)
		member_take_segment(g, segment);
	if (g->state == MEMBER_SERVING) {
		m->serving = g;
		m->settings = s;
	}
	if (g->state == MEMBER_ENDING)
		member_set_patience(g, 5000);
	return g->addresses != NULL;
}

static bool read_master(struct master *m, const char *line)
{
	return sscanf(line,
		      "master %u %" SCNd64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
		      &m->last_number, &m->started_us, &m->reloads,
		      &m->failed_reloads, &m->crashes) == 5;
}

static bool read_carried(struct master *m, const char *line)
{
	struct table_totals *t = &m->carried;
	/* A program that knew of no datagrams has written five. */
	int count = sscanf(line,
			   "carried %" SCNu64 " %" SCNu64 " %" SCNu64
			   " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
			   " %" SCNu64,
			   &t->accepted, &t->rejected, &t->sessions,
			   &t->bytes_up, &t->bytes_down, &t->datagrams_up,
			   &t->datagrams_down, &t->datagrams_dropped);

	return count == 5 || count == 8;
}

static void read_line(struct master *m, const char *line)
{
	bool ok = true;

	if (strncmp(line, "socket ", 7) == 0)
		ok = read_socket(m, line);
	else if (strncmp(line, "file ", 5) == 0)
		ok = read_file(m, line);
	else if (strncmp(line, "generation ", 11) == 0)
		ok = read_member(m, line);
	else if (strncmp(line, "master ", 7) == 0)
		ok = read_master(m, line);
	else if (strncmp(line, "carried ", 8) == 0)
		ok = read_carried(m, line);
	else if (strncmp(line, "reload ", 7) == 0 ||
		 strncmp(line, "buried ", 7) == 0)
		ok = master_look_read(m, line);
	else if (strncmp(line, "drained ", 8) == 0)
		ok = drained_set(&m->drained_listeners, line + 8, true) == 0;
	else if (strncmp(line, "keys ", 5) == 0)
		master_keys_read(&m->keys, line + 5);
	/* Other lines are of a version that knows more. */
	if (!ok)
		log_line(LOG_LEVEL_ERROR,
			 "the program before left a line that makes no sense: "
			 "%s",
			 line);
}

static void close_over_exec(struct master *m)
{
	master_look_over_exec(m, false);
	for (size_t i = 0; i < m->held.count; i++)
		(void)fcntl(m->held.at[i].fd, F_SETFD, FD_CLOEXEC);
	for (struct list *at = m->members.next; at != &m->members;
	     at = at->next) {
		struct member *g = list_entry(at, struct member, link);

		if (g->control.fd >= 0)
			(void)fcntl(g->control.fd, F_SETFD, FD_CLOEXEC);
		if (g->segment)
			(void)fcntl(segment_fd(g->segment), F_SETFD,
				    FD_CLOEXEC);
	}
}

int master_restore(struct master *m, int fd)
{
	char *line = malloc(LINE_BYTES);
	FILE *f = lseek(fd, 0, SEEK_SET) == 0 ? fdopen(fd, "r") : NULL;
	int r = -EBADMSG;

	if (f && line && fgets(line, LINE_BYTES, f) &&
	    strcmp(line, HEADER) == 0) {
		while (fgets(line, LINE_BYTES, f)) {
			line[strcspn(line, "\n")] = '\0';
			read_line(m, line);
		}
		m->served = true;
		close_over_exec(m);
		master_use_control(m);
		r = 0;
	}
	if (f)
		(void)fclose(f);
	free(line);
	return r;
}

/* --- Replacing ---------------------------------------------------------- */

static void keep_open(const struct master *m, int state)
{
	(void)fcntl(state, F_SETFD, 0);
	master_look_over_exec(m, true);
	for (size_t i = 0; i < m->held.count; i++)
		(void)fcntl(m->held.at[i].fd, F_SETFD, 0);
	for (const struct list *at = m->members.next; at != &m->members;
	     at = at->next) {
		const struct member *g = list_entry(at, struct member, link);

		if (g->control.fd >= 0)
			(void)fcntl(g->control.fd, F_SETFD, 0);
		if (g->segment)
			(void)fcntl(segment_fd(g->segment), F_SETFD, 0);
	}
}

static void become(struct master *m)
{
	int state = write_state(m);
	char text[16];
	int r = state;

	if (state >= 0) {
		(void)snprintf(text, sizeof(text), "%d", state);
		if (setenv(MASTER_STATE_ENV, text, 1) == 0) {
			keep_open(m, state);
			(void)execv(m->path, m->argv);
		}
		r = -errno;
		(void)unsetenv(MASTER_STATE_ENV);
		close_over_exec(m);
		close_fd(&state);
	}
	log_line(LOG_LEVEL_ERROR, "cannot become %s: %s", m->path,
		 strerror(-r));
}

/* A binary that cannot even tell its version must not replace one that runs. */
void master_reexec(struct master *m)
{
	pid_t pid;

	m->reexec_wanted = false;
	if (m->trial)
		return;
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		(void)alarm(TRIAL_S);
		(void)dup2(null, STDOUT_FILENO);
		(void)unsetenv("NOTIFY_SOCKET");
		(void)execl(m->path, m->path, "--version", (char *)NULL);
		_exit(127);
	}
	if (pid < 0)
		log_line(LOG_LEVEL_ERROR, "cannot try %s: %s", m->path,
			 strerror(errno));
	else
		m->trial = pid;
}

void master_tried(struct master *m, int status)
{
	m->trial = 0;
	if (m->stopping)
		return;
	if (m->candidate) { /* of a crash: it must not be lost sight of */
		m->reexec_wanted = true;
		return;
	}
	if (status != 0) {
		log_line(LOG_LEVEL_ERROR,
			 "%s does not work (its --version fails): the program "
			 "is not replaced",
			 m->path);
	} else {
		log_line(LOG_LEVEL_NOTICE, "replacing the program by %s",
			 m->path);
		become(m);
	}
	if (m->reload_again) {
		m->reload_again = false;
		(void)master_reload(m);
	}
}
