/*
 * Inside bandwidth: the rates that sessions share.
 */
#pragma once

#include "core/siphash.h"
#include "daemon/proxy/bandwidth.h"
#include "daemon/proxy/bucket.h"

#include <pthread.h>

#define CACHE_LINE 64

/* A rate each way; workers that have nothing in common share no line. */
struct rate_pair {
	_Alignas(CACHE_LINE) struct bucket way[2];
};

void rate_pair_init(struct rate_pair *p, uint64_t rate, int64_t now_ms);

struct shared_rate {
	struct rate_pair pair;
	struct shared_rate *next;
	size_t refs;
	uint16_t rule;    /* 0: of all rules */
	uint8_t user_len; /* 0: of all users */
	char user[];
};

#define BANDWIDTH_HEADS 1024u

struct bandwidths {
	struct bandwidth_options o;
	struct rule_actions actions;
	struct siphash_key key;
	pthread_mutex_t lock; /* of what follows */
	size_t count;         /* of those in use */
	unsigned swept;       /* the last head that was */
	struct shared_rate *head[BANDWIDTH_HEADS];
};

/* Whose it is, and how much, should there be none yet. */
struct rate_wanted {
	uint64_t rate;
	uint16_t rule;
	struct span user;
};

/* Gets as many as there is memory for, and returns how many that are. */
unsigned bandwidths_get(struct bandwidths *all,
			const struct rate_wanted *wanted, unsigned count,
			struct shared_rate **ret, int64_t now_ms);
void bandwidths_put(struct bandwidths *all, struct shared_rate **rates,
		    unsigned count);
