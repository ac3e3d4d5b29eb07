/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lets waiting interfaces in: attaches the program to them, many together, as far as the host's
 * limits leave room. What has none is said once, and waits for the next try.
 */
#ifndef FLOWTALLY_ADMISSION_H
#define FLOWTALLY_ADMISSION_H

#include "supervisor/interface.h"
#include "supervisor/shortage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;

/* Zeroed but for the first two, which are borrowed. */
struct admission {
	const struct monitor *monitor;
	const struct config *config;
	uint32_t last_id; /* of a phase (interface.h): the last one given */
	struct shortage shortage;
	int64_t retry_ns; /* when to try again, on the boot clock; 0: no need */
	bool begun;	  /* what was there at the start was let in */
};

/*
 * Attaches to waiting interfaces, from the first on, until the deadline. attached: interfaces
 * attached before the call; tcx: those of them by tcx. Returns whether some are left that there may
 * be room for now.
 */
bool admission_let_in(struct admission *admission, struct interface *const *waiting, size_t count,
		      size_t attached, size_t tcx, int64_t deadline_ns);

/* Tries again in a while. */
void admission_retry(struct admission *admission);

/* Whether fewer maps are ready than interfaces that come one by one want to find; makes as many
 * ready, or frees those that a storm left over. */
bool admission_is_low(const struct admission *admission);
void admission_refill(struct admission *admission);

#endif
