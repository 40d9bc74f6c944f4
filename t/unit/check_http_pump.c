/*
 * Bodies from one connection to another: as far as they go and no further,
 * whatever room there is.
 */
#include "daemon/proxy/http_pump.h"

#include "t/unit/conn_ends.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <string.h>

#define CHUNKED                                                                \
	"5;x=y\r\nhello\r\nA\r\n, big wide\r\n6\r\n world\r\n0\r\nT: "         \
	"1\r\n\r\n"
#define CONTENT "hello, big wide world"

static struct ends from, to;
static struct http_pump pump;

static int buffers; /* of the sockets; 0: as the kernel likes */

static void begin(enum http_framing framing, uint64_t length)
{
	ends_open(&from, buffers, false);
	ends_open(&to, buffers, false);
	http_pump_init(&pump, 1, TCPSERVER_RELAY_ADAPTIVE, NULL);
	http_body_init(&pump.body, framing, length);
}

static void finish(void)
{
	http_pump_done(&pump);
	ends_close(&from);
	ends_close(&to);
}

static void say(const char *text)
{
	ck_assert_int_eq(tcp_conn_write_all(from.there, text, strlen(text),
					    tcp_deadline(SOON_MS)),
			 0);
}

/* Steps until that is not "again", or "wait" for good. */
static enum pump_step run(struct input *input)
{
	enum pump_step step;
	unsigned waits = 0;

	for (;;) {
		step = http_pump_step(&pump, from.here, to.here, input);
		if (step == PUMP_WAIT && waits++ < 20)
			nap(1);
		else if (step != PUMP_AGAIN)
			return step;
	}
}

static void hear(const char *text)
{
	size_t len = strlen(text), at = 0;
	char got[256];

	while (at < len) {
		ssize_t n = tcp_conn_read(to.there, got + at, len - at,
					  tcp_deadline(SOON_MS));

		ck_assert_int_gt(n, 0);
		at += (size_t)n;
	}
	ck_assert_mem_eq(got, text, len);
}

static void body_chunked(void)
{
	begin(HTTP_FRAMING_CHUNKED, 0);
	say(CHUNKED);
	ck_assert_int_eq(run(NULL), PUMP_DONE);
	hear(CHUNKED);
	ck_assert(!pump.surplus && http_pump_over(&pump));
	ck_assert_uint_eq(pump.flow.bytes, strlen(CHUNKED));
	finish();
}

START_TEST(chunks_pass_as_they_come)
{
	on_loop(body_chunked, NULL);
}
END_TEST

static void body_pieces(void)
{
	begin(HTTP_FRAMING_CHUNKED, 0);
	for (const char *at = CHUNKED; *at; at++) {
		char one[2] = { *at, '\0' };

		ck_assert_int_eq(
			http_pump_step(&pump, from.here, to.here, NULL),
			PUMP_WAIT);
		say(one);
		while (!conn_can_read(from.here))
			nap(1);
		ck_assert_int_eq(
			http_pump_step(&pump, from.here, to.here, NULL),
			PUMP_AGAIN);
		hear(one);
	}
	ck_assert_int_eq(run(NULL), PUMP_DONE);
	finish();
}

START_TEST(they_may_come_in_pieces)
{
	on_loop(body_pieces, NULL);
}
END_TEST

static void body_decoded(void)
{
	begin(HTTP_FRAMING_CHUNKED, 0);
	pump.decoded = true;
	say(CHUNKED "more");
	ck_assert_int_eq(run(NULL), PUMP_DONE);
	hear(CONTENT);
	ck_assert_uint_eq(pump.flow.bytes, strlen(CONTENT));
	ck_assert(pump.surplus);
	finish();
}

START_TEST(content_alone_may_be_wanted)
{
	on_loop(body_decoded, NULL);
}
END_TEST

static void body_length(void)
{
	char rest[8];

	begin(HTTP_FRAMING_LENGTH, 5);
	say("hellorest");
	ck_assert_int_eq(run(NULL), PUMP_DONE);
	hear("hello");
	ck_assert_int_eq(tcp_conn_read(from.here, rest, sizeof(rest),
				       tcp_deadline(SOON_MS)),
			 4);
	ck_assert_mem_eq(rest, "rest", 4);
	finish();
}

START_TEST(what_is_behind_a_length_is_left_alone)
{
	on_loop(body_length, NULL);
}
END_TEST

static void body_input(void)
{
	static struct input input;

	input.at = input.first;
	input.size = sizeof(input.first);
	input.len = 4;
	memcpy(input.at, CHUNKED, 4);
	begin(HTTP_FRAMING_CHUNKED, 0);
	say(&CHUNKED[4]);
	say("GET next");
	ck_assert_int_eq(run(&input), PUMP_DONE);
	hear(CHUNKED);
	ck_assert_uint_eq(input.len, 8);
	ck_assert_mem_eq(input.at, "GET next", 8);
	finish();
}

START_TEST(what_is_behind_chunks_is_kept)
{
	on_loop(body_input, NULL);
}
END_TEST

static void body_bad(void)
{
	begin(HTTP_FRAMING_CHUNKED, 0);
	say("5\r\nhello!\r\n");
	ck_assert_int_eq(run(NULL), PUMP_MALFORMED);
	finish();
	begin(HTTP_FRAMING_CHUNKED, 0);
	say("5\r\nhel");
	tcp_conn_close(TAKE_PTR(from.there));
	ck_assert_int_eq(run(NULL), PUMP_SOURCE_FAILED);
	ck_assert_int_eq(pump.error, 0);
	finish();
	begin(HTTP_FRAMING_LENGTH, 5);
	say("hel");
	tcp_conn_close(TAKE_PTR(from.there));
	ck_assert_int_eq(run(NULL), PUMP_SOURCE_FAILED);
	ck_assert_int_eq(pump.error, 0);
	finish();
	begin(HTTP_FRAMING_CLOSE, 0);
	say("hel");
	tcp_conn_close(TAKE_PTR(from.there));
	ck_assert_int_eq(run(NULL), PUMP_DONE);
	hear("hel");
	finish();
	begin(HTTP_FRAMING_LENGTH, 5);
	end_reset(&from.there);
	ck_assert_int_eq(run(NULL), PUMP_SOURCE_FAILED);
	ck_assert_int_eq(pump.error, ECONNRESET);
	finish();
}

START_TEST(ends_are_told_from_each_other)
{
	on_loop(body_bad, NULL);
}
END_TEST

static void body_encoded(void)
{
	begin(HTTP_FRAMING_CLOSE, 0);
	pump.encoded = true;
	ck_assert_int_eq(http_pump_step(&pump, from.here, to.here, NULL),
			 PUMP_WAIT);
	say("hello, big wide world");
	while (http_pump_step(&pump, from.here, to.here, NULL) != PUMP_AGAIN)
		nap(1);
	hear("15\r\nhello, big wide world\r\n");
	say("!");
	tcp_conn_close(TAKE_PTR(from.there));
	ck_assert_int_eq(run(NULL), PUMP_DONE);
	hear("1\r\n!\r\n0\r\n\r\n");
	ck_assert(http_pump_over(&pump));
	finish();
	begin(HTTP_FRAMING_CLOSE, 0);
	pump.encoded = true;
	tcp_conn_close(TAKE_PTR(from.there));
	ck_assert_int_eq(run(NULL), PUMP_DONE);
	hear("0\r\n\r\n");
	finish();
	begin(HTTP_FRAMING_CLOSE, 0);
	pump.encoded = true;
	end_reset(&from.there);
	ck_assert_int_eq(run(NULL), PUMP_SOURCE_FAILED);
	finish();
}

START_TEST(what_ends_with_the_connection_may_be_sent_in_chunks)
{
	on_loop(body_encoded, NULL);
}
END_TEST

/* Takes chunks until nothing has come, and checks what is in them. */
struct decoder {
	struct http_body body;
	size_t content, chunks;
};

static void decode(struct decoder *d)
{
	static uint8_t got[65536];
	ssize_t n, taken;
	size_t at = 0;

	n = conn_read_now(to.there, got, sizeof(got));
	while (n > 0 && at < (size_t)n) {
		struct span rest = { got + at, (size_t)n - at }, content;
		uint64_t before = http_body_ahead(&d->body);

		taken = http_body_content(&d->body, rest, &content);
		ck_assert_int_gt(taken, 0);
		d->chunks += !before && content.len;
		for (size_t i = 0; i < content.len; i++)
			ck_assert_uint_eq(content.at[i],
					  (d->content + i) * 7 % 251);
		d->content += content.len;
		at += (size_t)taken;
	}
}

#define BULK (2u << 20)

/* More than the sockets hold, a bulk that is spliced where there are pipes. */
static void body_encoded_bulk(void)
{
	static uint8_t bytes[BULK];
	struct decoder d = { .content = 0 };
	enum pump_step step = PUMP_WAIT;
	size_t sent = 0;

	for (size_t i = 0; i < BULK; i++)
		bytes[i] = (uint8_t)(i * 7 % 251);
	http_body_init(&d.body, HTTP_FRAMING_CHUNKED, 0);
	begin(HTTP_FRAMING_CLOSE, 0);
	pump.encoded = true;
	http_pump_choose(&pump);
	while (step != PUMP_DONE) {
		ssize_t n = 0;

		if (from.there)
			n = conn_write_now(from.there, bytes + sent,
					   BULK - sent);
		sent += n > 0 ? (size_t)n : 0;
		if (sent == BULK && from.there)
			tcp_conn_close(TAKE_PTR(from.there));
		for (int i = 0; i < 4 && step != PUMP_DONE; i++) {
			step = http_pump_step(&pump, from.here, to.here, NULL);
			ck_assert_int_le(step, PUMP_DONE);
		}
		nap(0);
		decode(&d);
	}
	while (!http_body_is_whole(&d.body)) {
		decode(&d);
		nap(1);
	}
	ck_assert_uint_eq(d.content, BULK);
	ck_assert_uint_lt(d.chunks, BULK / 1000);
	finish();
}

START_TEST(a_bulk_goes_in_large_chunks)
{
	static const struct net_options none = { .buffer_bytes = 1,
						 .pipes = 0 };

	on_loop(body_encoded_bulk, NULL);
	on_loop(body_encoded_bulk, &none);
}
END_TEST

/* Many small chunks, more than both sockets hold, to a slow reader. */
static void pass_much(void)
{
	static char coded[64 * 1024];
	size_t len = 0;

	for (size_t i = 0; i + 12 < sizeof(coded); i += 8, len = i)
		memcpy(coded + i, "3\r\nabc\r\n", 8);
	buffers = 4096;
	begin(HTTP_FRAMING_CHUNKED, 0);
	buffers = 0;
	for (int round = 0; round < 16; round++) {
		size_t at = 0;

		while (at < len) {
			ssize_t n = conn_write_now(from.there, coded + at,
						   len - at);

			if (n > 0)
				at += (size_t)n;
			else
				ck_assert_int_eq(n, -EAGAIN);
			while (http_pump_step(&pump, from.here, to.here,
					      NULL) == PUMP_AGAIN)
				;
			nap(0);
			for (;;) {
				static char got[4096];

				n = conn_read_now(to.there, got, sizeof(got));
				if (n <= 0)
					break;
			}
		}
	}
	while (pump.flow.bytes < 16 * len) {
		static char got[4096];

		if (http_pump_step(&pump, from.here, to.here, NULL) !=
		    PUMP_AGAIN)
			nap(1);
		(void)!conn_read_now(to.there, got, sizeof(got));
	}
	say("0\r\n\r\n");
	ck_assert_int_eq(run(NULL), PUMP_DONE);
	finish();
}

START_TEST(a_slow_reader_gets_all_of_it)
{
	on_loop(pass_much, NULL);
}
END_TEST

START_TEST(nothing_need_be_kept)
{
	static const struct net_options o = { .buffer_bytes = 1, .pipes = 0 };

	on_loop(pass_much, &o);
	on_loop(body_chunked, &o);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("http_pump");
	TCase *tc = tcase_create("http_pump");

	tcase_add_checked_fixture(tc, block_sigpipe, NULL);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, chunks_pass_as_they_come);
	tcase_add_test(tc, they_may_come_in_pieces);
	tcase_add_test(tc, content_alone_may_be_wanted);
	tcase_add_test(tc, what_is_behind_a_length_is_left_alone);
	tcase_add_test(tc, what_is_behind_chunks_is_kept);
	tcase_add_test(tc, ends_are_told_from_each_other);
	tcase_add_test(tc, what_ends_with_the_connection_may_be_sent_in_chunks);
	tcase_add_test(tc, a_bulk_goes_in_large_chunks);
	tcase_add_test(tc, a_slow_reader_gets_all_of_it);
	tcase_add_test(tc, nothing_need_be_kept);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
