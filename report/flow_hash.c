// SPDX-License-Identifier: GPL-2.0-only
#include "report/flow_hash.h"

#include <sys/random.h>

void flow_hash_init(struct flow_hash *hash)
{
	if (getrandom(hash->seed, sizeof(hash->seed), GRND_NONBLOCK) < 0)
		memset(hash->seed, 0x5a, sizeof(hash->seed));
}
