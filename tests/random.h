/* SPDX-License-Identifier: GPL-2.0-only */
/* The same numbers from the same seed, on every machine (splitmix64). */
#ifndef FLOWTALLY_TESTS_RANDOM_H
#define FLOWTALLY_TESTS_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
	uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* 0 to n - 1. */
static inline unsigned int random_below(struct random *random, unsigned int n)
{
	return (unsigned int)((random_next(random) >> 32) * n >> 32);
}

static inline unsigned int random_between(struct random *random, unsigned int min, unsigned int max)
{
	return min + random_below(random, max - min + 1);
}

static inline bool random_chance(struct random *random, unsigned int percent)
{
	return random_below(random, 100) < percent;
}

#endif
