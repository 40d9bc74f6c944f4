/*
 * What a switch between stacks keeps: callee-saved registers, the control
 * words of floating point, and whatever the compiler holds across a call.
 */
#include "core/context.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fenv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STACK 65536u

static struct context here, there;
static uint8_t stack[STACK] __attribute__((aligned(16)));
static char trace[64];
static void (*body)(void);

static void note(char who)
{
	trace[strlen(trace)] = who;
}

static void entry(void)
{
	body();
	context_switch(&there, &here);
	abort();
}

static void begin(void (*fn)(void), size_t size)
{
	body = fn;
	context_init(&there, stack, size, entry);
}

static void go(void)
{
	context_switch(&here, &there);
}

static void back(void)
{
	context_switch(&there, &here);
}

static void two_halves(void)
{
	note('b');
	back();
	note('d');
}

START_TEST(contexts_take_turns)
{
	begin(two_halves, STACK);
	note('a');
	go();
	note('c');
	go();
	note('e');
	ck_assert_str_eq(trace, "abcde");
}
END_TEST

static uintptr_t frame_there;

static void look_at_frame(void)
{
	char on_stack;

	frame_there = (uintptr_t)&on_stack;
}

START_TEST(a_context_runs_on_its_own_stack)
{
	begin(look_at_frame, STACK);
	go();
	ck_assert_uint_ge(frame_there, (uintptr_t)stack);
	ck_assert_uint_lt(frame_there, (uintptr_t)stack + STACK);
}
END_TEST

static void need_alignment(void)
{
	_Alignas(16) volatile uint8_t block[16] = { 1 };

	frame_there = (uintptr_t)block;
	/* Variadic calls with floats store registers by aligned moves. */
	(void)!snprintf(trace, sizeof(trace), "%.3f", (double)block[0] / 4);
}

START_TEST(the_stack_is_aligned_whatever_its_size)
{
	for (size_t size = STACK - 40; size <= STACK; size++) {
		begin(need_alignment, size);
		go();
		ck_assert_uint_eq(frame_there % 16, 0);
		ck_assert_str_eq(trace, "0.250");
	}
}
END_TEST

static void round_up(void)
{
	ck_assert_int_eq(fegetround(), FE_TONEAREST);
	ck_assert_int_eq(fesetround(FE_UPWARD), 0);
	back();
	ck_assert_int_eq(fegetround(), FE_UPWARD);
	ck_assert_int_eq(fesetround(FE_DOWNWARD), 0);
}

START_TEST(each_context_keeps_its_rounding_mode)
{
	begin(round_up, STACK);
	ck_assert_int_eq(fesetround(FE_TOWARDZERO), 0);
	go();
	ck_assert_int_eq(fegetround(), FE_TOWARDZERO);
	go();
	ck_assert_int_eq(fegetround(), FE_TOWARDZERO);
	ck_assert_int_eq(fesetround(FE_TONEAREST), 0);
}
END_TEST

#if defined(__x86_64__)
/* Fills the callee-saved registers, switches, and gathers what came back. */
static void through_registers(uint64_t seed, void (*switching)(void),
			      uint64_t ret[5])
{
	uint64_t in[5], *from = in;

	for (unsigned i = 0; i < 5; i++)
		in[i] = seed * 0x9e3779b97f4a7c15u + i;
	/* Past the red zone, in which the compiler may keep what it likes. */
	__asm__ volatile(
		"subq $128, %%rsp\n\t"
		"pushq %%rbp\n\t"
		"movq %%rsp, %%rbp\n\t"
		"andq $-16, %%rsp\n\t"
		"pushq %%rbp\n\t"
		"pushq %[ret]\n\t"
		"movq 0(%[in]), %%rbx\n\t"
		"movq 8(%[in]), %%r12\n\t"
		"movq 16(%[in]), %%r13\n\t"
		"movq 24(%[in]), %%r14\n\t"
		"movq 32(%[in]), %%r15\n\t"
		"call *%[fn]\n\t"
		"popq %%rdi\n\t"
		"movq %%rbx, 0(%%rdi)\n\t"
		"movq %%r12, 8(%%rdi)\n\t"
		"movq %%r13, 16(%%rdi)\n\t"
		"movq %%r14, 24(%%rdi)\n\t"
		"movq %%r15, 32(%%rdi)\n\t"
		"popq %%rsp\n\t"
		"popq %%rbp\n\t"
		"addq $128, %%rsp\n\t"
		: [in] "+S"(from), [ret] "+d"(ret), [fn] "+a"(switching)
		:
		: "rbx", "rcx", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
		  "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
		  "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
		  "xmm13", "xmm14", "xmm15", "memory", "cc");
}

static void check_registers(uint64_t seed, void (*switching)(void))
{
	uint64_t ret[5];

	through_registers(seed, switching, ret);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_uint_eq(ret[i], seed * 0x9e3779b97f4a7c15u + i);
}

static void other_registers(void)
{
	for (uint64_t i = 0; i < 100; i++)
		check_registers(1000 + i, back);
}

START_TEST(callee_saved_registers_are_kept_on_both_sides)
{
	begin(other_registers, STACK);
	for (uint64_t i = 0; i < 100; i++)
		check_registers(i, go);
	go();
}
END_TEST
#endif

/* Keeps eight doubles and eight words alive over each switch. */
static double churn(double seed, void (*switching)(void))
{
	volatile double step = 1.0 / 3;
	double f[8];
	uint64_t w[8];
	double sum = 0;

	for (unsigned i = 0; i < 8; i++) {
		f[i] = seed + i;
		w[i] = (uint64_t)seed * 7 + i;
	}
	for (int round = 0; round < 50; round++) {
		switching();
		for (unsigned i = 0; i < 8; i++) {
			f[i] += step * (double)w[i];
			w[i] = w[i] * 31 + i;
			sum += f[i] + (double)(w[i] & 0xff);
		}
	}
	return sum;
}

static double sum_there;

static void churn_there(void)
{
	sum_there = churn(1000, back);
}

static void nothing(void)
{
}

START_TEST(floating_point_goes_on_where_it_was)
{
	double expect_here = churn(1, nothing);
	double expect_there = churn(1000, nothing);
	double sum_here;

	begin(churn_there, STACK);
	sum_here = churn(1, go);
	go(); /* its last round */
	ck_assert(sum_here == expect_here);
	ck_assert(sum_there == expect_there);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("context");
	TCase *t = tcase_create("all");

	tcase_add_test(t, contexts_take_turns);
	tcase_add_test(t, a_context_runs_on_its_own_stack);
	tcase_add_test(t, the_stack_is_aligned_whatever_its_size);
	tcase_add_test(t, each_context_keeps_its_rounding_mode);
#if defined(__x86_64__)
	tcase_add_test(t, callee_saved_registers_are_kept_on_both_sides);
#endif
	tcase_add_test(t, floating_point_goes_on_where_it_was);
	suite_add_tcase(s, t);
	return run_suite(s);
}
