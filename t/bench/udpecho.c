/*
 * udpecho: the far end of the UDP benchmark, which sends each datagram back.
 *
 * One thread, as many datagrams a system call as there are. Ends with its
 * standard input, so it never stays behind a benchmark that was killed.
 */
#include <poll.h>
#include <unistd.h>

#include "t/bench/args.h"
#include "t/bench/udp.h"

#define BATCH  64
#define BUFFER (8 << 20)

static struct echo {
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	union net_addr from[BATCH];
	uint8_t buf[BATCH][UDP_BYTES];
} echo;

static void echo_some(int fd)
{
	int n;

	for (int i = 0; i < BATCH; i++) {
		echo.iov[i] = (struct iovec){ echo.buf[i], UDP_BYTES };
		echo.msg[i].msg_hdr = (struct msghdr){
			.msg_name = &echo.from[i],
			.msg_namelen = sizeof echo.from[i],
			.msg_iov = &echo.iov[i],
			.msg_iovlen = 1,
		};
	}
	n = recvmmsg(fd, echo.msg, BATCH, 0, NULL);
	for (int i = 0; i < n; i++)
		echo.iov[i].iov_len = echo.msg[i].msg_len;
	for (int i = 0; i < n;) {
		int sent = sendmmsg(fd, echo.msg + i, (unsigned)(n - i), 0);

		/* Whom nothing can be sent to is left out. */
		i += sent > 0 ? sent : 1;
	}
}

int main(int argc, char **argv)
{
	const char *at = arg_text(argc, argv, "--listen");
	union net_addr addr;
	char text[64];
	struct pollfd fds[2] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .events = POLLIN },
	};

	if (!at || net_parse(&addr, at)) {
		fputs("usage: udpecho --listen ADDR:PORT\n", stderr);
		return 2;
	}
	fds[1].fd = udp_bind(&addr, BUFFER);
	if (fds[1].fd < 0) {
		perror("udpecho: bind");
		return 1;
	}
	printf("ready %s\n", net_text(&addr, text, sizeof text));
	fflush(stdout);
	while (poll(fds, 2, -1) >= 0 && !fds[0].revents)
		if (fds[1].revents)
			echo_some(fds[1].fd);
	return 0;
}
