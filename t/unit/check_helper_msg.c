/*
 * What is said to spliced-pam: whatever is encoded is decoded to the same, each
 * truncation and each bound is seen.
 */
#include "daemon/proxy/helper_msg.h"

#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char many[300];

static void setup(void)
{
	memset(many, 'x', sizeof(many));
}

static struct span text(const char *s)
{
	return (struct span){ (const uint8_t *)s, strlen(s) };
}

static struct span xs(size_t len)
{
	return (struct span){ (const uint8_t *)many, len };
}

static struct helper_request usual(void)
{
	return (struct helper_request){ .kind = HELPER_PAM,
					.service = text("spliced"),
					.client = text("2001:db8::1"),
					.name = text("alice"),
					.password = text("secret") };
}

static bool same(struct span a, struct span b)
{
	return a.len == b.len && !memcmp(a.at, b.at, a.len);
}

/* Every cut from an exact copy; whether the whole is what was encoded. */
static bool comes_back(const struct helper_request *q)
{
	uint8_t out[HELPER_REQUEST_MAX];
	struct helper_request got;
	int len = helper_request_encode(out, q);

	if (len < 0)
		return false;
	for (size_t cut = 0; cut <= (size_t)len; cut++) {
		uint8_t *copy = malloc(cut + !cut);
		int r;

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, out, cut);
		r = helper_request_decode(&got, (struct span){ copy, cut });
		ck_assert_int_eq(r, cut == (size_t)len ? 0 : -EBADMSG);
		if (r == 0)
			ck_assert(got.kind == q->kind &&
				  same(got.service, q->service) &&
				  same(got.client, q->client) &&
				  same(got.name, q->name) &&
				  same(got.password, q->password));
		free(copy);
	}
	return true;
}

START_TEST(questions_come_back)
{
	struct helper_request q = usual();

	ck_assert(comes_back(&q));
	q.kind = HELPER_SYSTEM;
	q.service.len = q.client.len = q.password.len = 0;
	ck_assert(comes_back(&q));
	q = usual();
	q.service = xs(HELPER_SERVICE_BYTES);
	q.client = xs(HELPER_CLIENT_BYTES);
	q.name = q.password = xs(255);
	ck_assert(comes_back(&q));
}
END_TEST

START_TEST(there_are_bounds)
{
	struct helper_request q;

#define REFUSED(...)                                                           \
	q = usual();                                                           \
	__VA_ARGS__;                                                           \
	ck_assert(!comes_back(&q))

	REFUSED(q.service = xs(HELPER_SERVICE_BYTES + 1));
	REFUSED(q.client = xs(HELPER_CLIENT_BYTES + 1));
	REFUSED(q.name = xs(256));
	REFUSED(q.password = xs(256));
	REFUSED(q.name.len = 0);
	REFUSED(q.service.len = 0);
	REFUSED(q.kind = HELPER_SYSTEM); /* it has no service */
	REFUSED(q.kind = (enum helper_kind)0);
	REFUSED(q.kind = (enum helper_kind)3);
	REFUSED(q.name = (struct span){ (const uint8_t *)"a\0b", 3 });
	REFUSED(q.password = (struct span){ (const uint8_t *)"a\0", 2 });
}
END_TEST

START_TEST(services_are_names_of_files)
{
	ck_assert(helper_service_is_sane(text("a")));
	ck_assert(helper_service_is_sane(text("Spliced-2_b.x")));
	ck_assert(!helper_service_is_sane(text("")));
	ck_assert(!helper_service_is_sane(text(".")));
	ck_assert(!helper_service_is_sane(text("..")));
	ck_assert(!helper_service_is_sane(text(".x")));
	ck_assert(!helper_service_is_sane(text("a/b")));
	ck_assert(!helper_service_is_sane(text("a b")));
	ck_assert(!helper_service_is_sane(text("a@")));
	ck_assert(!helper_service_is_sane(text("[")));
	ck_assert(!helper_service_is_sane(text("\xe4")));
}
END_TEST

START_TEST(verdicts_come_back)
{
	uint8_t out[HELPER_REPLY_BYTES + 1] = { 0 };
	enum helper_verdict got;

	for (int v = HELPER_RIGHT; v <= HELPER_FAILED + 1; v++) {
		helper_reply_encode(out, (enum helper_verdict)v);
		ck_assert_int_eq(
			helper_reply_decode(&got, (struct span){ out, 2 }),
			v <= HELPER_FAILED ? 0 : -EBADMSG);
		ck_assert_int_eq(
			helper_reply_decode(&got, (struct span){ out, 1 }),
			-EBADMSG);
		ck_assert_int_eq(
			helper_reply_decode(&got, (struct span){ out, 3 }),
			-EBADMSG);
		if (v <= HELPER_FAILED)
			ck_assert_int_eq(got, v);
	}
	out[0] = HELPER_VERSION + 1;
	out[1] = HELPER_RIGHT;
	ck_assert_int_eq(helper_reply_decode(&got, (struct span){ out, 2 }),
			 -EBADMSG);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("helper_msg");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, questions_come_back);
	tcase_add_test(t, there_are_bounds);
	tcase_add_test(t, services_are_names_of_files);
	tcase_add_test(t, verdicts_come_back);
	suite_add_tcase(s, t);
	return run_suite(s);
}
