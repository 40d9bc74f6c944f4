/*
 * refusals: as many sessions a second as a proxy can have, for its log.
 *
 *	refusals ADDR:PORT CONNECTIONS COUNT RATE
 *
 * A session is a request in absolute-form that the proxy's rules refuse; each
 * connection has many under way, so that neither of us needs a system call for
 * each.  Request number N, from 0, is for the host sN.test.  All answers must
 * be the same, byte by byte.  RATE is that of all connections, in requests a
 * second; 0: as they are answered.  Prints how many were asked for and
 * answered, and in which time, as JSON.
 */
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "t/bench/args.h"
#include "t/bench/net.h"

#define CONNECTIONS_MAX 256
#define UNDER_WAY       200u /* requests of a connection */
#define AT_ONCE         50u  /* requests in a packet */
#define REQUEST_MAX     128u
#define ANSWER_MAX      1024u
#define PATIENCE_MS     20000
#define SECOND          1e9

struct connection {
	int fd;
	uint64_t asked, bytes; /* requests sent whole; bytes of answers */
	uint32_t said, len;    /* of `text` */
	char text[AT_ONCE * REQUEST_MAX];
};

static struct connection connections[CONNECTIONS_MAX];
static unsigned long connection_count, count, next_number;
static double rate;
static uint64_t begin_ns, answered_bytes;
static char answer[ANSWER_MAX];
static size_t answer_have, answer_len; /* 0: it is not known yet */

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "refusals: %s\n", what);
	exit(1);
}

static uint64_t answered(const struct connection *c)
{
	return answer_len ? c->bytes / answer_len : 0;
}

/* How many more may be asked for by now. */
static unsigned long due(void)
{
	double by_now = (double)(now_ns() - begin_ns) / SECOND * rate;
	unsigned long end = count;

	if (rate > 0 && by_now < (double)count)
		end = (unsigned long)by_now;
	return end > next_number ? end - next_number : 0;
}

/* Puts together what may be asked for, once all before has been said. */
static void compose(struct connection *c)
{
	unsigned long n = due();

	c->said = c->len = 0;
	if (!answer_len)
		n = !c->asked;
	if (n > AT_ONCE)
		n = AT_ONCE;
	if (n > UNDER_WAY - (c->asked - answered(c)))
		n = UNDER_WAY - (c->asked - answered(c));
	c->asked += n;
	for (; n; n--, next_number++)
		c->len += (uint32_t)snprintf(
			c->text + c->len, REQUEST_MAX,
			"GET http://s%lu.test/ HTTP/1.1\r\n"
			"Host: s%lu.test\r\n\r\n",
			next_number, next_number);
}

static void ask(struct connection *c)
{
	for (;;) {
		ssize_t n;

		if (c->said == c->len)
			compose(c);
		if (c->said == c->len)
			return;
		n = send(c->fd, c->text + c->said, c->len - c->said,
			 MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			die(strerror(errno));
		c->said += (uint32_t)n;
	}
}

/* The first answer tells how long it is, and what the others are. */
static void learn(const char *text, size_t n)
{
	static const char field[] = "\r\nContent-Length: ";
	const char *end, *length;

	if (answer_have + n >= sizeof(answer))
		die("more than an answer");
	memcpy(answer + answer_have, text, n);
	answer_have += n;
	end = strstr(answer, "\r\n\r\n");
	length = strstr(answer, field);
	if (!end)
		return;
	if (!length || strncmp(answer, "HTTP/1.1 403 ", 13))
		die(answer);
	n = (size_t)(end + 4 - answer) +
	    strtoul(length + sizeof(field) - 1, NULL, 10);
	if (answer_have == n)
		answer_len = n;
	else if (answer_have > n)
		die("more than an answer");
}

static void check(uint64_t from, const char *text, size_t n)
{
	while (n) {
		size_t at = from % answer_len, len = answer_len - at;

		if (len > n)
			len = n;
		if (memcmp(answer + at, text, len))
			die("another answer");
		from += len;
		text += len;
		n -= len;
	}
}

static void take(struct connection *c)
{
	static char text[65536];
	ssize_t n = recv(c->fd, text, sizeof(text), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die(n ? strerror(errno) : "the proxy has hung up");
	if (answer_len)
		check(c->bytes, text, (size_t)n);
	else
		learn(text, (size_t)n);
	c->bytes += (uint64_t)n;
	answered_bytes += (uint64_t)n;
}

static void open_all(const union net_addr *to, int epoll)
{
	for (unsigned long i = 0; i < connection_count; i++) {
		struct connection *c = &connections[i];
		struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET,
					 .data.ptr = c };

		c->fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (c->fd < 0 || connect(c->fd, &to->sa, net_addr_len(to)) < 0)
			die(strerror(errno));
		net_set_int(c->fd, IPPROTO_TCP, TCP_NODELAY, 1);
		(void)fcntl(c->fd, F_SETFL, O_NONBLOCK);
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e) < 0)
			die(strerror(errno));
	}
}

/* Until the answers of all are there. */
static void run(int epoll)
{
	struct epoll_event e[CONNECTIONS_MAX];

	begin_ns = now_ns();
	ask(&connections[0]); /* one, whose answer the others are held against
			       */
	while (!answer_len || answered_bytes < count * answer_len) {
		int n = epoll_wait(
			epoll, e, CONNECTIONS_MAX,
			rate > 0 && next_number < count ? 1 : PATIENCE_MS);

		if (n == 0 && next_number == count)
			die("no answer");
		for (int i = 0; i < n; i++)
			if (e[i].events & ~(uint32_t)EPOLLOUT)
				take(e[i].data.ptr);
		for (unsigned long i = 0; i < connection_count; i++)
			if (answer_len)
				ask(&connections[i]);
	}
}

int main(int argc, char **argv)
{
	union net_addr to;
	int epoll;
	double seconds;

	if (argc != 5 || net_parse(&to, argv[1]) < 0) {
		fputs("usage: refusals ADDR:PORT CONNECTIONS COUNT RATE\n",
		      stderr);
		return 2;
	}
	connection_count = strtoul(argv[2], NULL, 10);
	count = strtoul(argv[3], NULL, 10);
	rate = strtod(argv[4], NULL);
	if (!count || !connection_count || connection_count > CONNECTIONS_MAX)
		return 2;
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		die(strerror(errno));
	open_all(&to, epoll);
	run(epoll);
	seconds = (double)(now_ns() - begin_ns) / SECOND;
	printf("{\"asked\": %lu, \"answered\": %llu, \"seconds\": %.3f, "
	       "\"a_second\": %.0f}\n",
	       next_number, (unsigned long long)(answered_bytes / answer_len),
	       seconds, (double)count / seconds);
	return 0;
}
