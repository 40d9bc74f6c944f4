#include <tcpserver.h>
static void echo(struct tcp_conn *c, void *ctx)
{
	char b[4096];
	for (int n; (n = tcp_conn_read(c, b, sizeof(b), TCPSERVER_NEVER)) > 0;)
		if (tcp_conn_write_all(c, b, n, TCPSERVER_NEVER) < 0)
			return;
}
int main(int argc, char **argv)
{
	struct tcp_server *s;
	return argc != 2 || tcp_server_new(&s, NULL) < 0 ||
	       tcp_server_listen_text(s, argv[1], NULL, echo, NULL, NULL) < 0 ||
	       tcp_server_run(s) < 0;
}
