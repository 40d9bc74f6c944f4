/*
 * Taking over a danted.conf: reads the file, knows what this machine calls its
 * services, interfaces and hosts, and looks at the result as --check does.
 */
#include "daemon/import.h"

#include "conf/conf.h"
#include "conf/danted.h"
#include "conf/file_advice.h"
#include "core/sock.h"
#include "daemon/options.h"

#include <ifaddrs.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* --- What the machine knows --------------------------------------------- */

static uint16_t find_service(void *ctx UNUSED, const char *name)
{
	const struct servent *s = getservbyname(name, "tcp");

	if (!s)
		s = getservbyname(name, "udp");
	return s ? ntohs((uint16_t)s->s_port) : 0;
}

/* Adds an address that is not there yet. */
static void add(const struct sockaddr *sa, struct tcp_addr *out, size_t max,
		size_t *count)
{
	struct tcp_addr a;

	if (sa->sa_family == AF_INET)
		addr_set(&a, AF_INET,
			 (const uint8_t *)&((const struct sockaddr_in *)sa)
				 ->sin_addr,
			 0);
	else if (sa->sa_family == AF_INET6)
		addr_set(&a, AF_INET6,
			 (const uint8_t *)&((const struct sockaddr_in6 *)sa)
				 ->sin6_addr,
			 0);
	else
		return;
	for (size_t i = 0; i < *count; i++)
		if (addr_same_ip(&out[i], &a))
			return;
	if (*count < max)
		out[(*count)++] = a;
}

/* Link-local addresses lead nowhere that a proxy serves. */
static bool is_linklocal(const struct sockaddr *sa)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

	return sa->sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr);
}

static size_t find_interface(void *ctx, const char *name, struct tcp_addr *out,
			     size_t max)
{
	size_t count = 0;

	for (const struct ifaddrs *i = ctx; i; i = i->ifa_next)
		if (i->ifa_addr && !strcmp(i->ifa_name, name) &&
		    !is_linklocal(i->ifa_addr))
			add(i->ifa_addr, out, max, &count);
	return count;
}

static size_t find_host(void *ctx UNUSED, const char *name,
			struct tcp_addr *out, size_t max)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	size_t count = 0;

	if (getaddrinfo(name, NULL, &hints, &list) != 0)
		return 0;
	for (const struct addrinfo *i = list; i; i = i->ai_next)
		add(i->ai_addr, out, max, &count);
	freeaddrinfo(list);
	return count;
}

/* --- The file ----------------------------------------------------------- */

static int read_all(FILE *f, char **ret, size_t *ret_len)
{
	char *text = malloc(DANTED_FILE_MAX + 1);
	size_t len;

	if (!text)
		return -ENOMEM;
	len = fread(text, 1, DANTED_FILE_MAX + 1, f);
	if (ferror(f) || len > DANTED_FILE_MAX) {
		free(text);
		return ferror(f) ? -EIO : -EFBIG;
	}
	*ret = text;
	*ret_len = len;
	return 0;
}

static int read_file(const char *path, char **ret, size_t *ret_len)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	int r;

	if (!f)
		return -errno;
	/* A folder can be opened, but not read. */
	r = fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode) ? -EISDIR : 0;
	if (r == 0)
		r = read_all(f, ret, ret_len);
	(void)fclose(f);
	return r;
}

/*
 * What was written must load; were it otherwise the fault would be ours, and
 * it is told where it can be seen.
 */
static int check(const char *text)
{
	struct conf_errors errors = { 0 };
	struct conf *c = NULL;
	int r = conf_load_text(&c, text, "(result)", &errors);

	if (r < 0)
		conf_errors_print(&errors, stderr);
	conf_errors_done(&errors);
	conf_free(c);
	return r;
}

static int translate(const char *path, const char *text, size_t len,
		     struct danted_remarks *remarks, char **ret)
{
	struct ifaddrs *interfaces = NULL;
	const char *slash = strrchr(path, '/');
	struct danted_world world = { .service = find_service,
				      .interface = find_interface,
				      .host = find_host };
	size_t size = 0;
	FILE *out = open_memstream(ret, &size);
	int r;

	if (!out)
		return -ENOMEM;
	if (getifaddrs(&interfaces) == 0)
		world.ctx = interfaces;
	r = danted_import(text, len, slash ? slash + 1 : path, &world, out,
			  remarks);
	freeifaddrs(interfaces);
	if (fclose(out) != 0 && r == 0)
		r = -ENOMEM;
	return r < 0 ? r : check(*ret);
}

static int status(int r, const struct danted_remarks *remarks)
{
	if (r < 0)
		return EXIT_FAILED;
	return remarks->counts[DANTED_LOST] ? EXIT_LOST : EXIT_OK;
}

int import_danted(const char *path)
{
	struct danted_remarks remarks = { 0 };
	char *text = NULL, *result = NULL;
	size_t len = 0;
	int r = read_file(path, &text, &len), code;

	if (r == 0)
		r = translate(path, text, len, &remarks, &result);
	danted_remarks_print(&remarks, path, stderr);
	if (r == -EBADMSG)
		(void)fprintf(
			stderr,
			"%s: nothing was written, for the reasons above\n",
			path);
	else if (r < 0)
		(void)fprintf(stderr, "spliced: %s: %s%s\n", path, strerror(-r),
			      file_read_advice(r));
	else if (fputs(result, stdout) < 0 || fflush(stdout) != 0)
		r = -EIO;
	code = status(r, &remarks);
	danted_remarks_done(&remarks);
	free(result);
	free(text);
	return code;
}
