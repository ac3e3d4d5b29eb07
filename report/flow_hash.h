/* SPDX-License-Identifier: GPL-2.0-only */
/* Hashes of flow keys. Strangers choose addresses and ports; they shall not choose the slots of a
 * table. */
#ifndef FLOWTALLY_FLOW_HASH_H
#define FLOWTALLY_FLOW_HASH_H

#include "bpf/flow_types.h"

#include <stdint.h>
#include <string.h>

struct flow_hash {
	uint64_t seed[4];
};

/* Without randomness (early boot) all is right but the guard against chosen keys. */
void flow_hash_init(struct flow_hash *hash);

static inline uint64_t flow_hash_mix(uint64_t a, uint64_t b)
{
#ifdef __SIZEOF_INT128__
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
	/* processors of 32 bits: by halves */
	uint64_t low = (a & UINT32_MAX) * (b & UINT32_MAX);
	uint64_t middle = (a >> 32) * (b & UINT32_MAX) + (low >> 32);
	uint64_t other = (a & UINT32_MAX) * (b >> 32) + (middle & UINT32_MAX);

	return (other << 32 | (low & UINT32_MAX)) ^
	       ((a >> 32) * (b >> 32) + (middle >> 32) + (other >> 32));
#endif
}

/* Folded products, as wyhash does; both factors hold a secret. */
static inline uint32_t flow_hash_key(const struct flow_hash *hash, const struct flow_key *key)
{
	const uint64_t *seed = hash->seed;
	uint64_t word[sizeof(*key) / sizeof(uint64_t)], a, b;

	_Static_assert(sizeof(word) == sizeof(*key) && sizeof(word) == 5 * sizeof(uint64_t),
		       "all of the key");
	memcpy(word, key, sizeof(word));
	a = flow_hash_mix(word[0] ^ seed[0], word[1] ^ seed[1]);
	b = flow_hash_mix(word[2] ^ seed[2], word[3] ^ seed[3]);
	return (uint32_t)(flow_hash_mix(a ^ word[4] ^ seed[1], b ^ seed[0]) >> 16);
}

#endif
