/*
 * Requests of the admin listener: GET and HEAD, one after the other, each head
 * within its time and bounds.  Whatever else comes ends the connection.  Who
 * has asked for nothing yet goes when there is no place for somebody else.
 */
#include "daemon/admin_pages.h"

#include "core/task.h"
#include "daemon/proxy/http_head.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HEAD_MS   10000 /* for a further head, also to wait for it */
#define LOOK_MS   2000  /* for the master to answer */
#define LOGIN_MS  20000
#define ANSWER_MS 30000 /* for the client to take what it asked for */

struct conversation {
	struct admin *admin;
	struct tcp_conn *client;
	size_t len; /* bytes that came */
	bool keep;  /* the connection goes on after this response */
	bool busy;  /* something is to be answered, or that is to be seen */
	bool again; /* a request of his was answered */
	struct list silent; /* in admin.silent */
	struct task *task;
	struct http_head head;
	uint8_t bytes[HTTP_HEAD_MAX];
};

/* --- Responses ----------------------------------------------------------- */

struct response {
	int status;
	const char *type, *policy;
	const char *body;
	size_t len;
};

static const char *reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 421:
		return "Misdirected Request";
	case 431:
		return "Request Header Fields Too Large";
	case 500:
		return "Internal Server Error";
	case 503:
		return "Service Unavailable";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Error";
	}
}

static void put_fields(FILE *out, const struct conversation *v,
		       const struct response *r)
{
	char date[64];
	time_t now = time(NULL);
	struct tm tm;

	(void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT",
		       gmtime_r(&now, &tm));
	(void)fprintf(out,
		      "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\n"
		      "Content-Length: %zu\r\nCache-Control: no-store\r\n"
		      "X-Content-Type-Options: nosniff\r\n"
		      "Referrer-Policy: no-referrer\r\n"
		      "Content-Security-Policy: %s\r\n",
		      r->status, reason(r->status), date, r->type, r->len,
		      r->policy ? r->policy : "default-src 'none'");
	if (r->status == 401)
		(void)fputs("WWW-Authenticate: Basic realm=\"spliced\", "
			    "charset=\"UTF-8\"\r\n",
			    out);
	if (r->status == 405)
		(void)fputs("Allow: GET, HEAD\r\n", out);
	if (!v->keep)
		(void)fputs("Connection: close\r\n", out);
	(void)fputs("\r\n", out);
}

/* Makes the head.  NULL: no memory. */
static char *format_head(const struct conversation *v, const struct response *r,
			 size_t *ret_len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_len);

	if (!out)
		return NULL;
	put_fields(out, v, r);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

static int send_response(struct conversation *v, const struct response *r)
{
	size_t head_len;
	char *head = format_head(v, r, &head_len);
	struct iovec part[2] = { { head, 0 }, { (void *)r->body, r->len } };
	int bad, parts = v->head.method == HTTP_METHOD_HEAD ? 1 : 2;

	if (!head)
		return -ENOMEM;
	part[0].iov_len = head_len;
	bad = tcp_conn_writev_all(v->client, part, parts,
				  tcp_deadline(ANSWER_MS));
	free(head);
	return bad;
}

/* In words, since somebody may look at it by hand. */
static int refuse(struct conversation *v, int status)
{
	char text[128];
	struct response r = { .status = status, .type = "text/plain" };

	(void)snprintf(text, sizeof(text), "%d %s%s\n", status, reason(status),
		       status == 421 ? ": ask by an address, \"localhost\" or "
				       "admin.pac_host"
				     : "");
	r.body = text;
	r.len = strlen(text);
	return send_response(v, &r);
}

/* --- Making one ---------------------------------------------------------- */

struct making {
	struct admin_answer answer;
	const struct admin_path *path;
	char *body;
	size_t len;
	int result;
};

/* On the thread's own stack: libraries need more than a task has. */
static void make(void *arg)
{
	struct making *m = arg;

	m->answer.body = open_memstream(&m->body, &m->len);
	m->result = m->answer.body ? m->path->make(&m->answer) : -ENOMEM;
	if (m->answer.body && fclose(m->answer.body) != 0)
		m->result = -ENOMEM;
}

static bool wants_openmetrics(const struct conversation *v)
{
	const struct span in = { v->bytes, v->len };

	for (unsigned i = 0; i < v->head.count; i++) {
		struct span name = http_span(v->head.field[i].name, in);
		struct span value = http_span(v->head.field[i].value, in);

		if (http_name_is(name, "accept") && value.len &&
		    memmem(value.at, value.len, "application/openmetrics-text",
			   28))
			return true;
	}
	return false;
}

static int answer(struct conversation *v, const struct admin_path *path,
		  struct span query)
{
	const struct span in = { v->bytes, v->len };
	struct admin_view *view = NULL;
	struct making m = {
		.answer = { .admin = v->admin,
			    .status = 200,
			    .openmetrics = wants_openmetrics(v),
			    .type = path->type,
			    .host = http_head_value(&v->head, in,
						    HTTP_FIELD_HOST),
			    .query = query },
		.path = path,
	};
	struct response r;
	int bad;

	if (path->looks) {
		view = admin_look(v->admin, tcp_deadline(LOOK_MS));
		if (!view)
			return refuse(v, 503);
		m.answer.view = view;
	}
	tcp_call(make, &m);
	admin_view_put(view);
	r = (struct response){ m.answer.status, m.answer.type, m.answer.policy,
			       m.body, m.len };
	bad = m.result < 0 ? refuse(v, 500) : send_response(v, &r);
	free(m.body);
	return bad;
}

/* --- Requests ------------------------------------------------------------ */

static bool has_body(const struct http_head *h)
{
	return h->chunked || (h->has_length && h->length > 0);
}

/* The path; *ret_query is what stands behind '?', or empty. */
static struct span path_of(const struct conversation *v, struct span *ret_query)
{
	const struct span in = { v->bytes, v->len };
	struct span path = http_span(v->head.path, in);
	const uint8_t *mark = path.len ? memchr(path.at, '?', path.len) : NULL;

	*ret_query = (struct span){ 0 };
	if (mark) {
		size_t len = (size_t)(mark - path.at);

		*ret_query = (struct span){ mark + 1, path.len - len - 1 };
		path.len = len;
	}
	if (path.len == 0)
		path = (struct span){ (const uint8_t *)"/", 1 };
	return path;
}

static bool may_look(struct conversation *v)
{
	const struct span in = { v->bytes, v->len };

	if (!v->admin->login)
		return true;
	return admin_log_in(
		v->admin->login, v->client,
		http_head_value(&v->head, in, HTTP_FIELD_AUTHORIZATION),
		tcp_deadline(LOGIN_MS));
}

static int respond(struct conversation *v)
{
	const struct http_head *h = &v->head;
	const struct admin_path *path;
	struct span query;

	v->keep = http_head_persists(h) && !has_body(h) &&
		  !__atomic_load_n(&v->admin->stopped, __ATOMIC_RELAXED);
	if (h->method != HTTP_METHOD_GET && h->method != HTTP_METHOD_HEAD) {
		v->keep = false; /* there may be content behind it */
		return refuse(v, 405);
	}
	if (has_body(h))
		return refuse(v, 400);
	path = admin_path_find(path_of(v, &query));
	if (!(path && path->open) &&
	    !admin_is_called(v->admin, v->client,
			     http_head_value(h,
					     (struct span){ v->bytes, v->len },
					     HTTP_FIELD_HOST)))
		return refuse(v, 421);
	if (!(path && path->open) && !may_look(v))
		return refuse(v, 401);
	return path ? answer(v, path, query) : refuse(v, 404);
}

/* Whoever rests between two requests is not waited for. */
static void set_busy(struct conversation *v, bool busy)
{
	unsigned *count = &v->admin->busy;

	if (v->busy == busy)
		return;
	v->busy = busy;
	if (busy)
		(void)__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
	else
		(void)__atomic_fetch_sub(count, 1, __ATOMIC_RELAXED);
}

/* The length of a head; 0: the client has gone; -errno, -EBADMSG. */
static int read_silent(struct conversation *v)
{
	int64_t deadline = tcp_deadline(v->again ? HEAD_MS : ADMIN_FIRST_MS);

	http_head_init(&v->head, HTTP_REQUEST);
	for (;;) {
		struct span in = { v->bytes, v->len };
		int r = v->len ? http_head_parse(&v->head, in) : -EAGAIN;
		ssize_t n;

		if (r != -EAGAIN)
			return r;
		if (v->len == sizeof(v->bytes)) {
			v->head.fault = OUTCOME_TOO_LARGE;
			return -EBADMSG;
		}
		n = tcp_conn_read(v->client, v->bytes + v->len,
				  sizeof(v->bytes) - v->len, deadline);
		if (n <= 0)
			return (int)n;
		v->len += (size_t)n;
		set_busy(v, true);
	}
}

/* The same; -ECANCELED: somebody else has got his place. */
static int read_head(struct conversation *v)
{
	int r;

	list_append(&v->admin->silent, &v->silent);
	r = read_silent(v);
	list_remove(&v->silent);
	return r;
}

/* Beyond the bound who has been silent for longest gives up his place. */
static void make_room(struct admin *a)
{
	struct conversation *v;

	if (a->clients <= ADMIN_CLIENTS || list_empty(&a->silent))
		return;
	v = list_entry(a->silent.next, struct conversation, silent);
	list_remove(&v->silent); /* once is enough */
	task_cancel(v->task);
}

/* What could not be understood, or did not come. */
static void give_up(struct conversation *v, int r)
{
	int status = 0;

	v->keep = false;
	if (r == -EBADMSG)
		status = outcome_http((enum outcome)v->head.fault);
	else if (r == -ETIMEDOUT && v->len)
		status = 408;
	if (r == -EBADMSG && !status)
		status = 400;
	if (status)
		(void)!refuse(v, status);
}

/* -errno of the last head; 0: there was an answer after which all is over. */
static int converse(struct conversation *v)
{
	int r;

	do {
		r = read_head(v);
		if (r <= 0) {
			give_up(v, r);
			return r;
		}
		if (respond(v) < 0)
			return 0;
		/* A login stays nowhere. */
		set_busy(v, v->len > (size_t)r);
		v->len -= (size_t)r;
		memmove(v->bytes, v->bytes + r, v->len);
		explicit_bzero(v->bytes + v->len, sizeof(v->bytes) - v->len);
		v->again = true;
	} while (v->keep);
	return 0;
}

void admin_serve(struct tcp_conn *c, void *ctx)
{
	struct conversation *v = malloc(sizeof(*v));
	struct admin *a = ctx;
	int r;

	if (!v)
		return;
	v->admin = a;
	v->client = c;
	v->len = 0;
	v->busy = v->again = false;
	v->task = task_self();
	a->clients++;
	make_room(a);
	set_busy(v, true);
	r = converse(v);
	set_busy(v, false);
	a->clients--;
	explicit_bzero(v->bytes, v->len); /* one that came in part */
	free(v);
	if (r != -ECANCELED)
		tcp_conn_linger(c, HTTP_HEAD_MAX, tcp_deadline(1000));
}
