/*
 * What goes on working in the sandbox: threads, names, the relay's system
 * calls, the log, signals, the last words of a program that aborts.
 */
#include "daemon/sandbox.h"

#include "core/hosts_file.h"
#include "core/resolver.h"
#include "core/sock.h"
#include "t/unit/confined.h"
#include "t/unit/dns_server.h"
#include "t/unit/on_loop.h"
#include "t/unit/suite.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

/* --- Threads and memory ------------------------------------------------- */

static void *churn(void *arg UNUSED)
{
	int fd;

	NEED(pthread_setname_np(pthread_self(), "churn") == 0);
	/* What bounds the process bounds this thread. */
	REFUSED(fd = open("/etc/shadow", O_RDONLY | O_CLOEXEC));
	for (size_t size = 64; size < (64u << 20); size *= 4) {
		char *at = malloc(size);

		NEED(at);
		memset(at, 1, min_size(size, 1u << 20));
		at = realloc(at, size * 2);
		NEED(at);
		free(at);
	}
	return arg;
}

static void run_threads(void)
{
	pthread_t thread[8];

	enter();
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
			NEED(pthread_create(&thread[i], NULL, churn, NULL) ==
			     0);
		for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
			NEED(pthread_join(thread[i], NULL) == 0);
	}
}

START_TEST(threads_start_work_and_end)
{
	in_child(run_threads, NULL);
}
END_TEST

static void guard_stacks(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *at;

	enter();
	at = mmap(NULL, 16 * page, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1,
		  0);
	NEED(at != MAP_FAILED);
	/* MADV_GUARD_INSTALL, which a kernel may lack. */
	NEED(madvise(at, page, 102) == 0 || errno == EINVAL);
	NEED(mprotect(at, page, PROT_NONE) == 0);
	NEED(madvise(at + page, page, MADV_DONTNEED) == 0);
	NEED(madvise(at, 16 * page, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
	NEED(munmap(at, 16 * page) == 0);
}

START_TEST(stacks_get_their_guards)
{
	in_child(guard_stacks, NULL);
}
END_TEST

/* --- Moving bytes ------------------------------------------------------- */

static int listen_on(struct tcp_addr *ret)
{
	static const uint8_t ip[4] = { 127, 0, 0, 1 };
	struct sockaddr_storage ss;
	struct tcp_addr a;
	socklen_t len;
	int fd = sock_stream(AF_INET);

	addr_set(&a, AF_INET, ip, 0);
	len = tcp_addr_to_sockaddr(&a, &ss);
	NEED(fd >= 0 && bind(fd, (struct sockaddr *)&ss, len) == 0);
	NEED(listen(fd, 16) == 0 && sock_local(fd, ret) == 0);
	return fd;
}

static int accepted_by(int listener)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };
	int fd;

	NEED(poll(&p, 1, 10000) == 1);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	NEED(fd >= 0);
	return fd;
}

static void splice_through(int from, int to)
{
	struct pollfd p = { .fd = from, .events = POLLIN };
	int pipes[2];

	NEED(pipe2(pipes, O_CLOEXEC | O_NONBLOCK) == 0);
	NEED(fcntl(pipes[1], F_SETPIPE_SZ, 262144) > 0 ||
	     fcntl(pipes[1], F_GETPIPE_SZ) > 0);
	NEED(poll(&p, 1, 10000) == 1);
	NEED(splice(from, NULL, pipes[1], NULL, 4096, SPLICE_F_NONBLOCK) == 5);
	NEED(splice(pipes[0], NULL, to, NULL, 4096, SPLICE_F_NONBLOCK) == 5);
	close_fd(&pipes[0]);
	close_fd(&pipes[1]);
}

/* From a client by a proxy's two sockets to a server, as a tunnel goes. */
static void relay_bytes(void)
{
	struct tcp_addr there, source;
	char got[8];
	int listener, near, far[2], server;

	enter();
	listener = listen_on(&there);
	near = sock_stream(AF_INET);
	NEED(near >= 0 && sock_connect(near, &there) == -EINPROGRESS);
	far[0] = accepted_by(listener);
	far[1] = sock_stream(AF_INET);
	source = there;
	source.port = 0;
	NEED(sock_bind_source(far[1], &source) == 0);
	NEED(sock_connect(far[1], &there) == -EINPROGRESS);
	server = accepted_by(listener);
	NEED(sock_error(far[1]) == 0);
	NEED(sock_set(far[1], IPPROTO_TCP, TCP_NODELAY, 1) == 0);
	NEED(send(near, "hello", 5, MSG_NOSIGNAL) == 5);
	splice_through(far[0], far[1]);
	NEED(poll(&(struct pollfd){ .fd = server, .events = POLLIN }, 1,
		  10000) == 1);
	NEED(recv(server, got, sizeof(got), 0) == 5);
	NEED(sock_unsent(far[1]) >= 0);
	NEED(shutdown(far[1], SHUT_WR) == 0);
	sock_set_reset(near);
	close_fd(&near);
}

START_TEST(bytes_are_relayed)
{
	in_child(relay_bytes, NULL);
}
END_TEST

static void pass_descriptors(void)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec io = { (void *)"x", 1 };
	struct msghdr m = { .msg_iov = &io,
			    .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&m);
	struct tcp_addr a;
	char byte;
	int pair[2], fd, yes = 1;

	NEED(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	enter();
	fd = listen_on(&a);
	*head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS,
				  .cmsg_len = CMSG_LEN(sizeof(fd)) };
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	NEED(sendmsg(pair[0], &m, MSG_NOSIGNAL) == 1);
	io.iov_base = &byte;
	NEED(recvmsg(pair[1], &m, MSG_CMSG_CLOEXEC) == 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	NEED(sock_local(fd, &a) == 0 && a.port != 0);
	/* One that was made by others may be blocking. */
	NEED(ioctl(fd, FIONBIO, &yes) == 0);
}

START_TEST(sockets_are_handed_over)
{
	in_child(pass_descriptors, NULL);
}
END_TEST

/* --- Names -------------------------------------------------------------- */

static void look_up(void)
{
	struct resolver_options o = { .server_count = 1,
				      .tries = 1,
				      .timeout_ms = 5000,
				      .max_pending = 10 };
	struct tcp_addr server = dns_server_addr();
	struct resolve_answer answer;
	struct resolver *r;

	o.servers = &server;
	NEED(resolver_new(&r, net_self()->loop, &o) == 0);
	NEED(resolver_lookup(r, "v4.test", &answer, deadline_in(10000)) == 0);
	NEED(answer.count == 1);
	/* Over TCP. */
	NEED(resolver_rest(r, "trunc.test", &answer, deadline_in(10000)) == 0);
	NEED(answer.count > 2);
	resolver_free(r);
}

static void resolve_names(void)
{
	FILE *random;

	enter();
	on_loop(look_up, NULL);
	/* c-ares does this, and in silence takes worse if it fails. */
	random = fopen("/dev/urandom", "rbe");
	NEED(random && fgetc(random) != EOF);
}

START_TEST(names_are_resolved)
{
	dns_server_start();
	in_child(resolve_names, NULL);
	dns_server_stop();
}
END_TEST

/* Gives a file another content, as editors do. */
static void replace(const char *name, const char *text)
{
	FILE *f = fopen(at("outside/new"), "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fchmod(fileno(f), 0644), 0);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(rename(at("outside/new"), at(name)), 0);
}

static void replace_files(char what UNUSED, pid_t child UNUSED)
{
	replace("names/hosts", "192.0.2.1 one\n192.0.2.2 two\n");
	replace("far/resolv.conf", "nameserver 192.0.2.53\n");
	/* From now on it is no link. */
	replace("names/resolv.conf", "nameserver 192.0.2.54\n");
}

/* It is read by a thread that starts in here. */
static void follow_hosts(void)
{
	struct hosts_view v;

	NEED(hosts_view_open(&v, at("names/hosts")) == 0);
	NEED(hosts_count(hosts_view_table(&v)) == 0);
	request('r');
	NEED(hosts_view_is_stale(&v, deadline_in(100000)));
	NEED(hosts_view_refresh(&v, TIMER_NEVER) == 0);
	NEED(hosts_count(hosts_view_table(&v)) == 2);
	hosts_view_close(&v);
}

static void follow_files(void)
{
	char text[64] = "";
	int fd;

	enter();
	NEED(open(at("names/resolv.conf"), O_RDONLY | O_CLOEXEC) >= 0);
	on_loop(follow_hosts, NULL);
	fd = open(at("far/resolv.conf"), O_RDONLY | O_CLOEXEC);
	NEED(fd >= 0);
	fd = open(at("names/resolv.conf"), O_RDONLY | O_CLOEXEC);
	NEED(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	NEED(strstr(text, "192.0.2.54"));
}

START_TEST(files_that_were_renamed_over_are_read)
{
	in_child(follow_files, replace_files);
}
END_TEST

/* --- The log ------------------------------------------------------------ */

static void rotate(char what UNUSED, pid_t child UNUSED)
{
	ck_assert_int_eq(rename(at("log/spliced.log"), at("log/old")), 0);
}

static void open_log_anew(void)
{
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK;
	int fd;

	enter();
	request('r');
	fd = open(at("log/spliced.log"), flags | O_CLOEXEC, 0640);
	NEED(fd >= 0 && write(fd, "after\n", 6) == 6);
	_exit(0);
}

START_TEST(the_log_is_opened_anew_after_a_rotation)
{
	struct stat st;

	in_child(open_log_anew, rotate);
	if (access(at("log/old"), F_OK) < 0)
		return; /* a build that is not confined */
	ck_assert_int_eq(stat(at("log/spliced.log"), &st), 0);
	ck_assert_int_eq(st.st_size, 6);
}
END_TEST

static void speak_to_journal(void)
{
	struct iovec io = { (void *)"x", 1 };
	struct mmsghdr m = { .msg_hdr = { .msg_iov = &io, .msg_iovlen = 1 } };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int server = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), fd;
	char got[8];

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", at("far/journal"));
	NEED(bind(server, (struct sockaddr *)&a, sizeof(a)) == 0);
	NEED(chmod(a.sun_path, 0777) == 0);
	enter();
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	NEED(fd >= 0);
	NEED(sendto(fd, "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&a,
		    sizeof(a)) == 1);
	NEED(recv(server, got, sizeof(got), 0) == 1);
	NEED(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	NEED(sendmmsg(fd, &m, 1, MSG_NOSIGNAL) == 1);
	NEED(recv(server, got, sizeof(got), 0) == 1);
}

START_TEST(the_journal_is_reached)
{
	in_child(speak_to_journal, NULL);
}
END_TEST

/* --- Signals ------------------------------------------------------------ */

static void *ring(void *whom)
{
	NEED(pthread_kill(*(pthread_t *)whom, SIGCHLD) == 0);
	return NULL;
}

static void take_signals(void)
{
	pthread_t self = pthread_self();
	struct timespec soon = { .tv_sec = 10 };
	struct signalfd_siginfo info;
	pthread_t thread;
	sigset_t set;
	int fd;

	enter();
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGCHLD);
	NEED(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	NEED(raise(SIGUSR1) == 0);
	NEED(sigtimedwait(&set, NULL, &soon) == SIGUSR1);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	NEED(fd >= 0);
	NEED(pthread_create(&thread, NULL, ring, &self) == 0);
	NEED(pthread_join(thread, NULL) == 0);
	NEED(read(fd, &info, sizeof(info)) == sizeof(info));
	request('k'); /* one from outside */
	NEED(sigwaitinfo(&set, NULL) == SIGUSR1);
}

static void send_signal(char what UNUSED, pid_t child)
{
	ck_assert_int_eq(kill(child, SIGUSR1), 0);
}

START_TEST(signals_come_and_go_within)
{
	in_child(take_signals, send_signal);
}
END_TEST

START_TEST(an_abort_is_one_without_a_core)
{
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct rlimit most = { RLIM_INFINITY, RLIM_INFINITY };

		(void)setrlimit(RLIMIT_CORE, &most);
		enter();
		NEED(getrlimit(RLIMIT_CORE, &most) == 0);
		NEED(most.rlim_cur == 0 && most.rlim_max == 0);
		abort();
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	if (WIFEXITED(status)) { /* a build that is not confined */
		ck_assert_int_eq(WEXITSTATUS(status), 0);
		return;
	}
	ck_assert_int_eq(WTERMSIG(status), SIGABRT);
	ck_assert(!WCOREDUMP(status));
}
END_TEST

/* --- Entering ----------------------------------------------------------- */

/* Every thread of it, as the kernel sees it. */
static void look_at_threads(char what UNUSED, pid_t child)
{
	char path[300], line[200];
	struct dirent *entry;
	unsigned threads = 0, claims = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)child);
	dir = opendir(path);
	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir))) {
		FILE *f;

		if (entry->d_name[0] == '.')
			continue;
		threads++;
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%.20s/status",
			       (int)child, entry->d_name);
		f = fopen(path, "re");
		ck_assert_ptr_nonnull(f);
		while (fgets(line, sizeof(line), f))
			if (!strcmp(line, "NoNewPrivs:\t1\n") ||
			    !strcmp(line, "Seccomp:\t2\n") ||
			    !strcmp(line, "CapEff:\t0000000000000000\n"))
				claims++;
		(void)fclose(f);
	}
	(void)closedir(dir);
	ck_assert_uint_eq(threads, 2);
	ck_assert_uint_eq(claims, 3 * threads);
}

static void *be_looked_at(void *arg)
{
	request('l');
	return arg;
}

static void be_confined(void)
{
	pthread_t thread;

	enter();
	NEED(pthread_create(&thread, NULL, be_looked_at, NULL) == 0);
	NEED(pthread_join(thread, NULL) == 0);
}

START_TEST(many_processes_of_one_parent_enter)
{
	for (int i = 0; i < 20; i++)
		in_child(be_confined, look_at_threads);
}
END_TEST

static void enter_again(void)
{
	struct sandbox s = { 0 };
	char why[200];

	enter();
	for (int i = 0; i < 17; i++) {
		NEED(sandbox_enter(&s, why, sizeof(why)) == -EPERM);
		NEED(!strcmp(why, "cannot turn core dumps off: "
				  "Operation not permitted"));
	}
}

START_TEST(who_is_in_cannot_enter_again)
{
	in_child(enter_again, NULL);
}
END_TEST

static void *wait_for_byte(void *fd)
{
	char byte;

	NEED(read(*(int *)fd, &byte, 1) == 1);
	return NULL;
}

static void enter_with_threads(void)
{
	struct sandbox s = { 0 };
	char why[200], tiny[8];
	pthread_t thread;
	int fds[2];

	NEED(pipe2(fds, O_CLOEXEC) == 0);
	NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	NEED(pthread_create(&thread, NULL, wait_for_byte, &fds[0]) == 0);
	if (sandbox_enter(&s, why, sizeof(why)) == 0)
		_exit(strstr(why, "not confined: this is") ? 0 : 1);
	NEED(!strcmp(why, "cannot confine a process of 2 threads: "
			  "Device or resource busy"));
	NEED(sandbox_enter(&s, tiny, sizeof(tiny)) == -EBUSY);
	NEED(strlen(tiny) == sizeof(tiny) - 1);
	NEED(write(fds[1], "", 1) == 1);
	NEED(pthread_join(thread, NULL) == 0);
}

START_TEST(a_process_of_several_threads_is_refused)
{
	in_child(enter_with_threads, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sandbox_work");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, confined_setup, confined_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, threads_start_work_and_end);
	tcase_add_test(t, stacks_get_their_guards);
	tcase_add_test(t, bytes_are_relayed);
	tcase_add_test(t, sockets_are_handed_over);
	tcase_add_test(t, names_are_resolved);
	tcase_add_test(t, files_that_were_renamed_over_are_read);
	tcase_add_test(t, the_log_is_opened_anew_after_a_rotation);
	tcase_add_test(t, the_journal_is_reached);
	tcase_add_test(t, signals_come_and_go_within);
	tcase_add_test(t, an_abort_is_one_without_a_core);
	tcase_add_test(t, many_processes_of_one_parent_enter);
	tcase_add_test(t, who_is_in_cannot_enter_again);
	tcase_add_test(t, a_process_of_several_threads_is_refused);
	suite_add_tcase(s, t);
	return run_suite(s);
}
