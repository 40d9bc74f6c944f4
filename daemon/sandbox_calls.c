/*
 * System calls, by a seccomp filter: a list of those that workers, the logger
 * and the main thread make, some only with certain arguments.  All others
 * fail with EPERM.  Nothing is killed for one: a call that was forgotten here
 * should cost what it was for, not every session; and who is inside gets
 * nowhere either way.
 *
 * A filter cannot look behind pointers, so what arguments point at (paths,
 * addresses) is Landlock's part.
 *
 * What it costs: the kernel (5.11) keeps a bitmap of calls that are allowed
 * whatever their arguments, so that read, write, splice and epoll do not run
 * the filter.
 */
#include "daemon/sandbox_internal.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#if defined(__x86_64__) || defined(__aarch64__)
#define IS_KNOWN_MACHINE true
#else
#define IS_KNOWN_MACHINE false
#endif

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

/* Calls without harm in them, whatever their arguments. */
static const int plain[] = {
	/* Moving bytes. */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendto),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(splice),
	SCMP_SYS(lseek),
	SCMP_SYS(close),
	/* Sockets; binding is Landlock's part. */
	SCMP_SYS(accept4),
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(connect),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	/* Waiting. */
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(eventfd2),
	SCMP_SYS(signalfd4),
	SCMP_SYS(pipe2),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(restart_syscall),
	/* Looking at files that are open or may be opened. */
	SCMP_SYS(fstat),
	SCMP_SYS(fstatfs),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(getdents64),
	/* Memory; what maps it stands below. */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	/* Threads. */
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(membarrier),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	/* Signals; sending them stands below. */
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(sigaltstack),
	/* Asking. */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(getcpu),
	SCMP_SYS(getrandom),
	SCMP_SYS(getrusage),
	SCMP_SYS(sysinfo),
	SCMP_SYS(uname),
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
};

/* A call that is allowed if all of its arguments that are named fit. */
struct rule {
	int call;
	unsigned count;
	struct scmp_arg_cmp arg[3];
};

/* Where the kernel takes an int, the upper half of a register is noise. */
#define INT_IS(n, value)                                                       \
	{                                                                      \
		.arg = n, .op = SCMP_CMP_MASKED_EQ, .datum_a = UINT32_MAX,     \
		.datum_b = (uint32_t)(value)                                   \
	}
#define BITS_ARE(n, mask, value)                                               \
	{                                                                      \
		.arg = n, .op = SCMP_CMP_MASKED_EQ,                            \
		.datum_a = (uint32_t)(mask), .datum_b = (uint32_t)(value)      \
	}
#define IS_NULL(n)                                                             \
	{                                                                      \
		.arg = n, .op = SCMP_CMP_EQ, .datum_a = 0                      \
	}

static int add(scmp_filter_ctx ctx, const struct rule *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int r = 0;

		/* Negative: this machine has no such call. */
		if (list[i].call >= 0)
			r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW,
						   list[i].call, list[i].count,
						   list[i].arg);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_plain(scmp_filter_ctx ctx)
{
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		int r = 0;

		if (plain[i] >= 0)
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, plain[i], 0);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Reading, or appending to what may be there or not.  F_SETFL is not among
 * the commands, since it could take O_APPEND off the log; who wants
 * O_NONBLOCK takes FIONBIO.
 */
static int add_files(scmp_filter_ctx ctx)
{
	/* O_TMPFILE holds O_DIRECTORY, which alone is well. */
	static const unsigned danger = O_TRUNC | O_PATH |
				       (O_TMPFILE & ~O_DIRECTORY);
	static const unsigned commands[] = {
		F_GETFD,      F_SETFD,         F_GETFL,     F_SETPIPE_SZ,
		F_GETPIPE_SZ, F_DUPFD_CLOEXEC, F_GET_SEALS,
	};
	static const unsigned requests[] = {
		FIONBIO, SIOCOUTQ, SIOCINQ, SIOCGIFINDEX, SIOCGIFNAME, TCGETS,
	};
	const struct rule opens[] = {
		{ SCMP_SYS(openat),
		  1,
		  { BITS_ARE(2, danger | O_ACCMODE | O_CREAT, O_RDONLY) } },
		{ SCMP_SYS(openat),
		  1,
		  { BITS_ARE(2, danger | O_ACCMODE | O_APPEND,
			     O_WRONLY | O_APPEND) } },
	};
	int r = add(ctx, opens, ARRAY_SIZE(opens));

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(commands); i++) {
		const struct rule rule = { SCMP_SYS(fcntl),
					   1,
					   { INT_IS(1, commands[i]) } };

		r = add(ctx, &rule, 1);
	}
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(requests); i++) {
		const struct rule rule = { SCMP_SYS(ioctl),
					   1,
					   { INT_IS(1, requests[i]) } };

		r = add(ctx, &rule, 1);
	}
	return r;
}

/*
 * TCP and UDP, and nothing that looks like it: Landlock does not know MPTCP.
 * Of AF_UNIX datagrams, which the journal takes, and packets, for spliced-pam;
 * buses and the like want streams.
 */
static int add_sockets(scmp_filter_ctx ctx)
{
	static const unsigned kind = ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
	static const struct {
		unsigned family, kind, protocol;
	} sockets[] = {
		{ AF_INET, SOCK_STREAM, 0 },
		{ AF_INET, SOCK_STREAM, IPPROTO_TCP },
		{ AF_INET, SOCK_DGRAM, 0 },
		{ AF_INET, SOCK_DGRAM, IPPROTO_UDP },
		{ AF_INET6, SOCK_STREAM, 0 },
		{ AF_INET6, SOCK_STREAM, IPPROTO_TCP },
		{ AF_INET6, SOCK_DGRAM, 0 },
		{ AF_INET6, SOCK_DGRAM, IPPROTO_UDP },
		{ AF_UNIX, SOCK_DGRAM, 0 },
		{ AF_UNIX, SOCK_SEQPACKET, 0 },
		{ AF_NETLINK, SOCK_RAW, NETLINK_ROUTE },
		{ AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(sockets); i++) {
		const struct rule rule = {
			SCMP_SYS(socket),
			3,
			{ INT_IS(0, sockets[i].family),
			  BITS_ARE(1, kind, sockets[i].kind),
			  INT_IS(2, sockets[i].protocol) },
		};

		r = add(ctx, &rule, 1);
	}
	return r;
}

/*
 * The options that are set here, and no other: a filter attached to a
 * listening socket and locked would outlive its process, since others hold
 * that socket, too.
 */
static int add_options(scmp_filter_ctx ctx)
{
	static const struct {
		int level, name;
	} options[] = {
		{ SOL_SOCKET, SO_REUSEADDR },
		{ SOL_SOCKET, SO_REUSEPORT },
		{ SOL_SOCKET, SO_KEEPALIVE },
		{ SOL_SOCKET, SO_OOBINLINE },
		{ SOL_SOCKET, SO_LINGER },
		{ SOL_SOCKET, SO_MARK },
		{ SOL_SOCKET, SO_BINDTODEVICE },
		{ SOL_SOCKET, SO_SNDBUF },
		{ SOL_SOCKET, SO_RCVBUF },
		{ IPPROTO_TCP, TCP_NODELAY },
		{ IPPROTO_TCP, TCP_KEEPIDLE },
		{ IPPROTO_TCP, TCP_KEEPINTVL },
		{ IPPROTO_TCP, TCP_KEEPCNT },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT },
		{ IPPROTO_TCP, TCP_FASTOPEN },
		{ IPPROTO_TCP, TCP_FASTOPEN_CONNECT },
		{ IPPROTO_TCP, TCP_DEFER_ACCEPT },
		{ IPPROTO_TCP, TCP_ULP }, /* kernel TLS, and its keys: */
		{ SOL_TLS, TLS_TX },
		{ SOL_TLS, TLS_RX },
		{ IPPROTO_IP, IP_FREEBIND },
		{ IPPROTO_IP, IP_TRANSPARENT },
		{ IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT },
		{ IPPROTO_IPV6, IPV6_V6ONLY },
		{ IPPROTO_IPV6, IPV6_FREEBIND },
		{ IPPROTO_IPV6, IPV6_TRANSPARENT },
		{ IPPROTO_UDP, UDP_SEGMENT },
		{ IPPROTO_UDP, UDP_GRO },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(options); i++) {
		const struct rule rule = {
			SCMP_SYS(setsockopt),
			2,
			{ INT_IS(1, options[i].level),
			  INT_IS(2, options[i].name) },
		};

		r = add(ctx, &rule, 1);
	}
	return r;
}

/*
 * Memory that holds no code, threads of this process, signals to itself: what
 * pthread_create(3), pthread_kill(3) and abort(3) come to.
 */
static int add_process(scmp_filter_ctx ctx)
{
	static const unsigned elsewhere = CLONE_NEWNS | CLONE_NEWCGROUP |
					  CLONE_NEWUTS | CLONE_NEWIPC |
					  CLONE_NEWUSER | CLONE_NEWPID |
					  CLONE_NEWNET | CLONE_PTRACE;
	static const unsigned thread = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM |
				       CLONE_FILES | CLONE_FS;
	const struct rule rules[] = {
		{ SCMP_SYS(mmap), 1, { BITS_ARE(2, PROT_EXEC, 0) } },
		{ SCMP_SYS(mprotect), 1, { BITS_ARE(2, PROT_EXEC, 0) } },
		{ SCMP_SYS(clone),
		  1,
		  { BITS_ARE(0, thread | elsewhere, thread) } },
		{ SCMP_SYS(tgkill), 1, { INT_IS(0, getpid()) } },
		/* A thread's own: those that verify passwords yield. */
		{ SCMP_SYS(setpriority),
		  2,
		  { INT_IS(0, PRIO_PROCESS), INT_IS(1, 0) } },
		{ SCMP_SYS(prctl), 1, { INT_IS(0, PR_SET_NAME) } },
		{ SCMP_SYS(prctl), 1, { INT_IS(0, PR_SET_VMA) } },
		{ SCMP_SYS(prlimit64), 2, { INT_IS(0, 0), IS_NULL(2) } },
	};
	int r = add(ctx, rules, ARRAY_SIZE(rules));

	if (r < 0)
		return r;
	/* Its flags are in memory.  At this error libc takes clone(2). */
	return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3),
				0);
}

static int add_all(scmp_filter_ctx ctx)
{
	int r = add_plain(ctx);

	if (r == 0)
		r = add_files(ctx);
	if (r == 0)
		r = add_sockets(ctx);
	if (r == 0)
		r = add_options(ctx);
	return r < 0 ? r : add_process(ctx);
}

/*
 * Calls by the numbers of another architecture, such as int 0x80 or x32, are
 * like others that are not allowed.  Speculation stays as it is: before Linux
 * 5.16 a filter would slow the whole process down, for the good of programs
 * that run foreign code, as this one does not.
 */
static int set_attributes(scmp_filter_ctx ctx)
{
	static const struct {
		enum scmp_filter_attr attr;
		uint32_t value;
	} list[] = {
		{ SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM) },
		{ SCMP_FLTATR_CTL_TSYNC, 1 },
		{ SCMP_FLTATR_CTL_OPTIMIZE, 2 },
		{ SCMP_FLTATR_API_SYSRAWRC, 1 },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(list); i++)
		r = seccomp_attr_set(ctx, list[i].attr, list[i].value);
	/* Not before Linux 4.17. */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_SSB, 1);
	return r;
}

static void release(scmp_filter_ctx *ctx)
{
	seccomp_release(*ctx);
}

/* Where a file is written anew and renamed; Landlock says in which folder. */
static int add_state(scmp_filter_ctx ctx)
{
	static const int calls[] = {
		SCMP_SYS(flock),    SCMP_SYS(fsync),     SCMP_SYS(rename),
		SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(unlink),
		SCMP_SYS(unlinkat),
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(calls); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	return r;
}

int sandbox_calls(const struct sandbox *s, const struct sandbox_report *why)
{
	CLEANUP(release) scmp_filter_ctx ctx = NULL;
	int r;

	if (!IS_KNOWN_MACHINE) {
		sandbox_note(why, "system calls are not confined: no list for "
				  "this machine");
		return 0;
	}
	/* EINVAL: the kernel was built without it. */
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0) {
		sandbox_note(why, "system calls are not confined: no seccomp");
		return 0;
	}
	ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return sandbox_failed(why, -ENOMEM, "cannot make a filter");
	r = set_attributes(ctx);
	if (r == 0)
		r = add_all(ctx);
	if (r == 0 && s->state)
		r = add_state(ctx);
	if (r < 0)
		return sandbox_failed(why, r, "cannot make a filter");
	r = seccomp_load(ctx);
	return r < 0 ? sandbox_failed(why, r, "cannot enter the filter") : 0;
}
