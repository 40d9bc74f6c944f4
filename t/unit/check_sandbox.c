/*
 * What a worker that was broken into tries, each in vain.  That it can work
 * is the other half: check_sandbox_work.c.
 */
#include "daemon/sandbox.h"

#include "t/unit/confined.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* --- Programs and processes --------------------------------------------- */

static void start_programs(void)
{
	char *argv[] = { (char *)"true", NULL };
	int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	NEED(self >= 0);
	enter();
	REFUSED(execve("/bin/true", argv, NULL));
	REFUSED(syscall(SYS_execveat, self, "", argv, NULL, AT_EMPTY_PATH));
	REFUSED(fork());
	REFUSED(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL));
	REFUSED(syscall(SYS_clone, CLONE_VM | SIGCHLD, NULL, NULL, NULL, NULL));
	REFUSED(syscall(SYS_clone,
			CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
				CLONE_THREAD | CLONE_NEWNET,
			NULL, NULL, NULL, NULL));
#ifdef SYS_vfork
	REFUSED(syscall(SYS_vfork));
#endif
	/* What its flags are, a filter cannot see. */
	NEED(syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS);
}

START_TEST(no_program_and_no_process_is_started)
{
	in_child(start_programs, NULL);
}
END_TEST

static void touch_others(void)
{
	pid_t parent = getppid();
	char byte = 0;
	struct iovec io = { &byte, 1 };

	enter();
	REFUSED(ptrace(PTRACE_ATTACH, parent, NULL, NULL));
	REFUSED(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	REFUSED(process_vm_readv(parent, &io, 1, &io, 1, 0));
	REFUSED(process_vm_writev(parent, &io, 1, &io, 1, 0));
	REFUSED(kill(parent, 0));
	REFUSED(kill(parent, SIGKILL));
	REFUSED(kill(-1, SIGTERM));
	REFUSED(kill(getpid(), SIGUSR1));
	REFUSED(syscall(SYS_tkill, parent, SIGKILL));
	REFUSED(syscall(SYS_tgkill, parent, parent, 0));
	REFUSED(sigqueue(parent, SIGUSR1, (union sigval){ 0 }));
	REFUSED(syscall(SYS_pidfd_open, parent, 0));
	REFUSED(setpriority(PRIO_PROCESS, (id_t)parent, 19));
	REFUSED(setpgid(0, 0));
	REFUSED(waitpid(-1, NULL, WNOHANG));
}

START_TEST(no_other_process_is_touched)
{
	in_child(touch_others, NULL);
}
END_TEST

/* --- Files -------------------------------------------------------------- */

static void open_files(void)
{
	int root = open("/", O_PATH | O_CLOEXEC);
	bool landlock = landlock_version() > 0;

	NEED(root >= 0);
	enter();
	NEED(open(at("names/hosts"), O_RDONLY | O_CLOEXEC) >= 0);
	NEED(open(at("names/other"), O_RDONLY | O_CLOEXEC) >= 0);
	NEED(open(at("names/resolv.conf"), O_RDONLY | O_CLOEXEC) >= 0);
	NEED(open("/dev/urandom", O_RDONLY | O_CLOEXEC) >= 0);
	NEED(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
	REFUSED(open("/etc/shadow", O_RDONLY | O_CLOEXEC));
	if (landlock) {
		REFUSED(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
		REFUSED(openat(root, "etc/passwd", O_RDONLY | O_CLOEXEC));
		REFUSED(open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
		REFUSED(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		REFUSED(open(at("outside/secret"), O_RDONLY | O_CLOEXEC));
		REFUSED(open(at("names/../outside/secret"),
			     O_RDONLY | O_CLOEXEC));
		REFUSED(open(at("log/spliced.log"), O_RDONLY | O_CLOEXEC));
		REFUSED(open(at("outside/secret"),
			     O_WRONLY | O_APPEND | O_CLOEXEC));
		REFUSED(open(at("outside/new"),
			     O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
		REFUSED(open(at("names/hosts"),
			     O_WRONLY | O_APPEND | O_CLOEXEC));
	}
	REFUSED(open(at("names/hosts"), O_PATH | O_CLOEXEC));
	REFUSED(open(at("names/hosts"), O_RDWR | O_CLOEXEC));
	REFUSED(open(at("names/hosts"), O_RDONLY | O_TRUNC | O_CLOEXEC));
	REFUSED(open(at("names/hosts"), O_WRONLY | O_CLOEXEC));
	REFUSED(open(at("names/new"), O_RDONLY | O_CREAT | O_CLOEXEC, 0600));
	REFUSED(open(at("names"), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
	REFUSED(syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", NULL, 0));
#ifdef SYS_open
	REFUSED(syscall(SYS_open, at("names/hosts"), O_RDONLY));
#endif
}

START_TEST(files_are_opened_where_names_come_from_only)
{
	in_child(open_files, NULL);
}
END_TEST

static void change_files(void)
{
	const char *victim[] = { at("names/hosts"), at("log/other"),
				 at("outside/secret") };

	enter();
	for (size_t i = 0; i < ARRAY_SIZE(victim); i++) {
		REFUSED(truncate(victim[i], 0));
		REFUSED(unlink(victim[i]));
		REFUSED(rename(victim[i], at("log/new")));
		REFUSED(link(victim[i], at("log/new")));
		REFUSED(chmod(victim[i], 0));
		REFUSED(chown(victim[i], getuid(), getgid()));
		REFUSED(utimensat(AT_FDCWD, victim[i], NULL, 0));
		REFUSED(symlink(victim[i], at("log/new")));
		REFUSED(syscall(SYS_setxattr, victim[i], "user.a", "b", 1, 0));
	}
	REFUSED(mkdir(at("log/new"), 0700));
	REFUSED(rmdir(at("log")));
	REFUSED(mknod(at("log/new"), S_IFREG | 0600, 0));
	REFUSED(mkfifo(at("log/new"), 0600));
	REFUSED(chdir("/"));
	REFUSED(chroot("/"));
	REFUSED(syscall(SYS_umask, 0));
	REFUSED(mount("none", "/mnt", "tmpfs", 0, NULL));
	REFUSED(syscall(SYS_memfd_create, "code", 0));
}

START_TEST(no_file_is_changed)
{
	in_child(change_files, NULL);
}
END_TEST

static void handle_log(void)
{
	int flags = O_WRONLY | O_APPEND | O_CREAT;
	int before = open(at("log/spliced.log"), flags | O_CLOEXEC, 0640),
	    after;
	const struct iovec io = { (void *)"x", 1 };

	NEED(before >= 0);
	enter();
	NEED(write(before, "kept\n", 5) == 5);
	after = open(at("log/spliced.log"), flags | O_CLOEXEC, 0640);
	NEED(after >= 0 && write(after, "kept\n", 5) == 5);
	REFUSED(open(at("log/spliced.log"), flags | O_TRUNC | O_CLOEXEC, 0640));
	REFUSED(open(at("log/spliced.log"), O_WRONLY | O_CLOEXEC));
	for (int i = 0; i < 2; i++) {
		int fd = i ? after : before;

		REFUSED(ftruncate(fd, 0));
		REFUSED(fallocate(
			fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4));
		REFUSED(fcntl(fd, F_SETFL, 0));
		REFUSED(pwrite(fd, "x", 1, 0));
		REFUSED(syscall(SYS_pwritev2, fd, &io, 1, 0, 0, 0));
		REFUSED(fchmod(fd, 0777));
	}
}

START_TEST(what_is_in_the_log_stays_there)
{
	char text[64] = "";
	int fd;

	in_child(handle_log, NULL);
	fd = open(at("log/spliced.log"), O_RDONLY | O_CLOEXEC);
	ck_assert_int_gt(read(fd, text, sizeof(text) - 1), 0);
	close_fd(&fd);
	ck_assert(!strcmp(text, "before\nkept\nkept\n") ||
		  !strcmp(text, "before\n")); /* a build that is not confined */
}
END_TEST

/* --- Network ------------------------------------------------------------ */

static int bind_to(int family, int protocol, uint16_t port)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} a = { .sa.sa_family = (sa_family_t)family };
	CLEANUP(close_fd)
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, protocol);

	a.in.sin_port = htons(port); /* of both, at the same place */
	return fd < 0 ? -1 : bind(fd, &a.sa, sizeof(a));
}

static void bind_ports(void)
{
	enter();
	NEED(bind_to(AF_INET, 0, 0) == 0);
	NEED(bind_to(AF_INET, 0, own_port) == 0 || errno == EADDRINUSE);
	NEED(bind_to(AF_INET6, 0, own_port) == 0 || errno == EADDRINUSE ||
	     errno == EAFNOSUPPORT);
	REFUSED(bind_to(AF_INET, IPPROTO_MPTCP, own_port));
	if (landlock_version() < 4)
		return;
	REFUSED(bind_to(AF_INET, 0, 80));
	REFUSED(bind_to(AF_INET, IPPROTO_TCP, (uint16_t)(own_port + 1)));
	REFUSED(bind_to(AF_INET6, 0, (uint16_t)(own_port + 1)));
}

START_TEST(only_own_ports_are_bound)
{
	in_child(bind_ports, NULL);
}
END_TEST

/* Not refused, though somebody else may have it. */
static bool may_bind(int family, uint16_t port)
{
	errno = 0;
	return bind_to(family, 0, port) == 0 || errno == EADDRINUSE ||
	       errno == EAFNOSUPPORT;
}

static void bind_a_range(void)
{
	own_range[0] = 61090;
	own_range[1] = 61099;
	enter();
	for (uint16_t port = own_range[0]; port <= own_range[1]; port++) {
		NEED(may_bind(AF_INET, port));
		NEED(may_bind(AF_INET6, port));
	}
	NEED(may_bind(AF_INET, own_port));
	NEED(may_bind(AF_INET, 0));
	if (landlock_version() < 4)
		return;
	REFUSED(bind_to(AF_INET, 0, (uint16_t)(own_range[0] - 1)));
	REFUSED(bind_to(AF_INET, 0, (uint16_t)(own_range[1] + 1)));
	REFUSED(bind_to(AF_INET6, 0, (uint16_t)(own_range[1] + 1)));
}

static void bind_a_long_range(void)
{
	own_range[0] = 49152;
	own_range[1] = 65535;
	enter();
	NEED(may_bind(AF_INET, own_range[0]));
	NEED(may_bind(AF_INET, own_range[1]));
	if (landlock_version() >= 4)
		REFUSED(bind_to(AF_INET, 0, 49151));
}

static void bind_nearly_all(void)
{
	own_range[0] = 49151;
	own_range[1] = 65535;
	enter();
	NEED(may_bind(AF_INET, own_range[0]));
	NEED(may_bind(AF_INET, 60000));
}

START_TEST(ports_of_a_range_are_bound)
{
	in_child(bind_a_range, NULL);
	in_child(bind_a_long_range, NULL);
	in_child(bind_nearly_all, NULL);
}
END_TEST

static void open_sockets(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int pair[2], one = 1;

	enter();
	/* What is set on a socket that others hold would outlive us. */
	REFUSED(setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &one, sizeof(one)));
	REFUSED(setsockopt(fd, IPPROTO_IP, IP_MINTTL, &one, sizeof(one)));
	close_fd(&fd);
	REFUSED(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
	REFUSED(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
	REFUSED(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP));
	REFUSED(socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
	REFUSED(socket(AF_INET, SOCK_SEQPACKET | SOCK_CLOEXEC, IPPROTO_SCTP));
	REFUSED(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	REFUSED(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT));
	REFUSED(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
	REFUSED(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
	REFUSED(socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	REFUSED(socket(AF_BLUETOOTH, SOCK_RAW | SOCK_CLOEXEC, 0));
	REFUSED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
}

START_TEST(only_usual_sockets_are_opened)
{
	in_child(open_sockets, NULL);
}
END_TEST

static int abstract_server(struct sockaddr_un *a, socklen_t *len)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	*len = sizeof(a->sun_family) + 1 +
	       (socklen_t)snprintf(a->sun_path + 1, sizeof(a->sun_path) - 1,
				   "check_sandbox.%d", (int)getpid());
	return bind(fd, (struct sockaddr *)a, *len) == 0 ? fd : -1;
}

static void speak_abstract(void)
{
	struct sockaddr_un a;
	socklen_t len;
	int server = abstract_server(&a, &len), fd;

	NEED(server >= 0);
	enter();
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	NEED(fd >= 0);
	if (landlock_version() >= 6)
		REFUSED(connect(fd, (struct sockaddr *)&a, len));
	/* Nor is a name left in the file system. */
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", at("log/socket"));
	if (landlock_version() > 0)
		REFUSED(bind(fd, (struct sockaddr *)&a, sizeof(a)));
}

START_TEST(abstract_sockets_of_others_are_not_spoken_to)
{
	in_child(speak_abstract, NULL);
}
END_TEST

/* --- The rest of the kernel --------------------------------------------- */

static void make_code(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *data;

	enter();
	data = mmap(NULL, page, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(data != MAP_FAILED);
	NEED(mprotect(data, page, PROT_NONE) == 0);
	REFUSED(mprotect(data, page, PROT_READ | PROT_EXEC));
	REFUSED(mprotect(data, page, PROT_READ | PROT_WRITE | PROT_EXEC));
	REFUSED(syscall(SYS_pkey_mprotect, data, page, PROT_EXEC, -1));
	REFUSED(mmap(NULL, page, PROT_READ | PROT_EXEC,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
			? -1
			: 0);
	REFUSED(syscall(SYS_personality, 0x0400000));
}

START_TEST(no_code_is_made)
{
	in_child(make_code, NULL);
}
END_TEST

static void gain_rights(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct sets[2] = { 0 };
	struct rlimit limit = { 1, 1 };

	enter();
	REFUSED(setuid(getuid()));
	REFUSED(setuid(0));
	REFUSED(setgid(0));
	REFUSED(syscall(SYS_setgroups, 0, NULL));
	REFUSED(syscall(SYS_capset, &head, sets));
	REFUSED(setpriority(PRIO_PROCESS, (id_t)getppid(), 19));
	REFUSED(setpriority(PRIO_USER, 0, 19));
	REFUSED(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	REFUSED(prctl(PR_SET_SECCOMP, 2, NULL, 0, 0));
	REFUSED(prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0));
	REFUSED(setrlimit(RLIMIT_CORE, &limit));
	REFUSED(syscall(SYS_prlimit64, getppid(), RLIMIT_CORE, NULL, &limit));
	REFUSED(syscall(SYS_seccomp, 0, 0, NULL));
	REFUSED(unshare(CLONE_NEWUSER));
	REFUSED(setns(0, 0));
}

START_TEST(no_right_is_gained)
{
	in_child(gain_rights, NULL);
}
END_TEST

static void use_the_rest(void)
{
	static const long calls[] = {
		SYS_io_uring_setup,
		SYS_io_uring_enter,
		SYS_io_uring_register,
		SYS_bpf,
		SYS_perf_event_open,
		SYS_userfaultfd,
		SYS_keyctl,
		SYS_add_key,
		SYS_request_key,
		SYS_kexec_load,
		SYS_init_module,
		SYS_finit_module,
		SYS_reboot,
		SYS_swapon,
		SYS_acct,
		SYS_quotactl,
		SYS_sethostname,
		SYS_settimeofday,
		SYS_clock_settime,
		SYS_adjtimex,
		SYS_syslog,
		SYS_fanotify_init,
		SYS_inotify_init1,
		SYS_name_to_handle_at,
		SYS_open_by_handle_at,
		SYS_move_pages,
		SYS_mbind,
		SYS_shmget,
		SYS_msgget,
		SYS_semget,
		SYS_mq_open,
		SYS_vmsplice,
		SYS_tee,
		SYS_sendfile,
		SYS_copy_file_range,
		SYS_timer_create,
		SYS_process_madvise,
		SYS_pidfd_getfd,
		SYS_pivot_root,
		SYS_ioprio_set,
		SYS_sched_setattr,
		SYS_kcmp,
	};
	enter();
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		REFUSED(syscall(calls[i], 0, 0, 0, 0, 0, 0));
	/* A number that no kernel has. */
	REFUSED(syscall(4000, 0));
	/* Typing into the terminal that it was started from. */
	REFUSED(syscall(SYS_ioctl, 0, 0x5412, "x"));
}

START_TEST(nothing_else_is_asked_of_the_kernel)
{
	in_child(use_the_rest, NULL);
}
END_TEST

#ifdef __x86_64__
static long int80(long number)
{
	long r;

	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(number), "b"(0), "c"(0), "d"(0)
			 : "memory", "r8", "r9", "r10", "r11");
	return r;
}

/* A kernel may be built without; then it is SIGSEGV. */
static bool has_int80(void)
{
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0)
		_exit(int80(20) != getpid());
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool try_int80;

static void call_by_other_numbers(void)
{
	enter();
	REFUSED(syscall(0x40000000 | SYS_getpid));
	REFUSED(syscall(0x40000000 | 520)); /* x32's execve */
	NEED(syscall(-1) < 0);
	if (try_int80) {
		NEED(int80(20) == -EPERM); /* getpid */
		NEED(int80(11) == -EPERM); /* execve */
	}
}

START_TEST(numbers_of_other_architectures_lead_nowhere)
{
	try_int80 = has_int80();
	in_child(call_by_other_numbers, NULL);
}
END_TEST
#endif

int main(void)
{
	Suite *s = suite_create("sandbox");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, confined_setup, confined_teardown);
	tcase_add_test(t, no_program_and_no_process_is_started);
	tcase_add_test(t, no_other_process_is_touched);
	tcase_add_test(t, files_are_opened_where_names_come_from_only);
	tcase_add_test(t, no_file_is_changed);
	tcase_add_test(t, what_is_in_the_log_stays_there);
	tcase_add_test(t, only_own_ports_are_bound);
	tcase_add_test(t, ports_of_a_range_are_bound);
	tcase_add_test(t, only_usual_sockets_are_opened);
	tcase_add_test(t, abstract_sockets_of_others_are_not_spoken_to);
	tcase_add_test(t, no_code_is_made);
	tcase_add_test(t, no_right_is_gained);
	tcase_add_test(t, nothing_else_is_asked_of_the_kernel);
#ifdef __x86_64__
	tcase_add_test(t, numbers_of_other_architectures_lead_nowhere);
#endif
	suite_add_tcase(s, t);
	return run_suite(s);
}
