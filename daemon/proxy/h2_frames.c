/*
 * What nghttp2 calls back: frames that came, streams that ended, data to go.
 * And what it is told once: the bounds that a client has to keep to.
 */
#include "daemon/proxy/h2_stream.h"

#include <string.h>

/* Bytes from which on the opening of a window is no small one. */
#define WINDOW_PART 1024

/* Frames that bring us nothing: settings, pings, small windows, ... */
static const struct h2_rate calm = { .burst = 2000, .per_second = 200 };

/* Streams that end before they were answered, as in CVE-2023-44487. */
static const struct h2_rate patience = { .burst = 200, .per_second = 20 };

static int64_t now_ms(void)
{
	return loop_now(net_self()->loop);
}

static struct h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
	return nghttp2_session_get_stream_user_data(session, id);
}

/* --- Floods ------------------------------------------------------------- */

static uint32_t cost_of(const nghttp2_frame_hd *hd)
{
	switch (hd->type) {
	case NGHTTP2_DATA:
		return hd->length == 0 &&
		       !(hd->flags & NGHTTP2_FLAG_END_STREAM);
	case NGHTTP2_CONTINUATION:
	case NGHTTP2_SETTINGS:
		return 10;
	default:
		return 1;
	}
}

static int on_begin_frame(nghttp2_session *session UNUSED,
			  const nghttp2_frame_hd *hd, void *ctx)
{
	struct h2 *h = ctx;
	uint32_t cost = cost_of(hd);

	if (cost && !h2_guard_take(&h->guard, &calm, cost, now_ms()))
		h2_terminate(h, NGHTTP2_ENHANCE_YOUR_CALM, OUTCOME_LIMIT_RATE);
	return 0;
}

static int on_invalid_frame(nghttp2_session *session UNUSED,
			    const nghttp2_frame *frame UNUSED, int error UNUSED,
			    void *ctx)
{
	struct h2 *h = ctx;

	if (!h2_guard_take(&h->guard, &calm, 10, now_ms()))
		h2_terminate(h, NGHTTP2_ENHANCE_YOUR_CALM, OUTCOME_LIMIT_RATE);
	return 0;
}

/* --- Requests ----------------------------------------------------------- */

static bool is_request(const nghttp2_frame *frame)
{
	return frame->hd.type == NGHTTP2_HEADERS &&
	       frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

static int refuse(struct h2 *h, int32_t id, uint32_t code)
{
	int r = nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, id,
					  code);

	return nghttp2_is_fatal(r) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_begin_headers(nghttp2_session *session,
			    const nghttp2_frame *frame, void *ctx)
{
	struct h2 *h = ctx;
	int32_t id = frame->hd.stream_id;
	struct h2_stream *s;

	/* In a tunnel there is nothing but data, RFC 9113 §8.5. */
	if (!is_request(frame))
		return refuse(h, id, NGHTTP2_PROTOCOL_ERROR);
	/* Those that it has reset may still be served here. */
	if (h->live >= H2_STREAMS_MAX)
		return refuse(h, id, NGHTTP2_REFUSED_STREAM);
	s = h2_stream_new(h, id);
	if (!s)
		return refuse(h, id, NGHTTP2_REFUSED_STREAM);
	(void)!nghttp2_session_set_stream_user_data(session, id, s);
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
		     const uint8_t *name, size_t name_len, const uint8_t *value,
		     size_t value_len, uint8_t flags UNUSED, void *ctx)
{
	struct h2_stream *s = stream_of(session, frame->hd.stream_id);

	if (!s || !s->head || !is_request(frame))
		return 0;
	h2_head_add(s->head, (struct span){ name, name_len },
		    (struct span){ value, value_len });
	/* What is beyond any measure was made so, by small references to
	 * large entries of the table. */
	if (s->head->bytes > 4 * H2_HEAD_MAX)
		h2_terminate(ctx, NGHTTP2_ENHANCE_YOUR_CALM, OUTCOME_TOO_LARGE);
	return 0;
}

static void on_request(struct h2 *h, struct h2_stream *s)
{
	h->served = true;
	list_append(&h->fresh, &s->news);
	h2_queue(h);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame,
		    void *ctx)
{
	struct h2 *h = ctx;
	struct h2_stream *s = NULL;
	bool ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

	if (frame->hd.type == NGHTTP2_SETTINGS)
		h2_greeted(h);
	if (frame->hd.type == NGHTTP2_PING &&
	    frame->hd.flags & NGHTTP2_FLAG_ACK)
		h2_notice_over(h);
	/* Some tell of each part of a frame that was read, for both windows. */
	if (frame->hd.type == NGHTTP2_WINDOW_UPDATE &&
	    frame->window_update.window_size_increment >= WINDOW_PART)
		h2_guard_give(&h->guard, &calm, 1);
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	s = stream_of(session, frame->hd.stream_id);
	if (!s)
		return 0;
	if (is_request(frame))
		on_request(h, s);
	if (ends)
		h2_stream_ended(s);
	return 0;
}

/* --- Data --------------------------------------------------------------- */

static int on_data(nghttp2_session *session, uint8_t flags UNUSED, int32_t id,
		   const uint8_t *at, size_t len, void *ctx)
{
	struct h2_stream *s = stream_of(session, id);
	struct h2 *h = ctx;

	if (!s) {
		(void)!nghttp2_session_consume_connection(session, len);
		return 0;
	}
	if (h2_stream_take_in(s, at, len) < 0)
		return refuse(h, id, NGHTTP2_INTERNAL_ERROR);
	return 0;
}

static int send_data(nghttp2_session *session UNUSED,
		     nghttp2_frame *frame UNUSED, const uint8_t *head,
		     size_t len, nghttp2_data_source *source, void *ctx)
{
	struct h2_stream *s = source->ptr;
	struct h2 *h = ctx;

	ASSERT(len <= s->offer_len && frame->data.padlen == 0);
	if (h2_put(h, head, H2_FRAME_HEAD) < 0 || h2_put(h, s->offer, len) < 0)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	s->offer += len;
	s->offer_len -= len;
	/* It may open the windows for it, of the stream and of all. */
	h2_guard_give(&h->guard, &calm, 2);
	return 0;
}

/* --- Ends --------------------------------------------------------------- */

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code,
			   void *ctx)
{
	struct h2_stream *s = stream_of(session, id);
	struct h2 *h = ctx;
	bool early = code != NGHTTP2_NO_ERROR && (!s || !s->responded);

	if (s)
		h2_stream_gone(s);
	if (early && !h2_guard_take(&h->resets, &patience, 1, now_ms()))
		h2_terminate(h, NGHTTP2_ENHANCE_YOUR_CALM, OUTCOME_LIMIT_RATE);
	h2_queue(h);
	return 0;
}

/* It is nghttp2 that finds what is against the protocol. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame,
		   void *ctx)
{
	struct h2 *h = ctx;
	struct h2_stream *s;

	if ((frame->hd.type == NGHTTP2_HEADERS ||
	     frame->hd.type == NGHTTP2_DATA) &&
	    frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
		s = stream_of(session, frame->hd.stream_id);
		if (s)
			h2_stream_said(s);
	}

	if (frame->hd.type == NGHTTP2_GOAWAY &&
	    frame->goaway.error_code != NGHTTP2_NO_ERROR &&
	    h->why == OUTCOME_NONE)
		h->why = OUTCOME_BAD_REQUEST;
	return 0;
}

/* --- The session -------------------------------------------------------- */

static void set_callbacks(nghttp2_session_callbacks *c)
{
	nghttp2_session_callbacks_set_on_begin_frame_callback(c,
							      on_begin_frame);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(
		c, on_invalid_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(
		c, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(c, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
	nghttp2_session_callbacks_set_send_data_callback(c, send_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(c,
							       on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(c, on_sent);
}

static void set_options(nghttp2_option *o)
{
	nghttp2_option_set_no_auto_window_update(o, 1);
	nghttp2_option_set_no_closed_streams(o, 1);
	/* Answers to pings and settings that wait for room. */
	nghttp2_option_set_max_outbound_ack(o, 100);
	nghttp2_option_set_max_deflate_dynamic_table_size(o, 0);
}

static int greet(struct h2 *h)
{
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_MAX },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H2_HEAD_MAX },
		{ NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
	};
	int r = nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings,
					ARRAY_SIZE(settings));

	if (r == 0)
		r = nghttp2_session_set_local_window_size(
			h->session, NGHTTP2_FLAG_NONE, 0, H2_CONN_WINDOW);
	return r;
}

int h2_session_new(struct h2 *h)
{
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_option *options = NULL;
	int r;

	r = nghttp2_session_callbacks_new(&callbacks);
	if (r == 0)
		r = nghttp2_option_new(&options);
	if (r == 0) {
		set_callbacks(callbacks);
		set_options(options);
		r = nghttp2_session_server_new2(&h->session, callbacks, h,
						options);
	}
	if (r == 0)
		r = greet(h);
	nghttp2_option_del(options);
	nghttp2_session_callbacks_del(callbacks);
	return r == 0 ? 0 : -ENOMEM;
}
