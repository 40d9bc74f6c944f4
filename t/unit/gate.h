/*
 * Jobs that begin and then wait until a test lets them go on, and waiting for
 * what other threads do.
 */
#pragma once

#include "t/unit/tcp_pair.h"

#include <check.h>
#include <semaphore.h>
#include <unistd.h>

struct gate {
	sem_t begun, open;
};

void gate_init(struct gate *g);
void gate_done(struct gate *g);

/* A job: tells that it has begun and waits for its turn to go through. */
void gate_pass(void *gate);

/* Waits until `count` more have begun. */
void gate_await(struct gate *g, unsigned count);

/* Lets `count` more through. */
void gate_open(struct gate *g, unsigned count);

/* Waits until a condition holds that other threads make true. */
#define until(condition)                                                       \
	do {                                                                   \
		for (int until_ms_ = 0; until_ms_ < SOON_MS && !(condition);   \
		     until_ms_++)                                              \
			(void)usleep(1000);                                    \
		ck_assert_msg((condition), "in vain: %s", #condition);         \
	} while (0)
