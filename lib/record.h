/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records as bytes that one version writes and another one reads. They grow at their end only, and
 * how long each is stands beside them: what is not there is zero, and what is more is passed over.
 */
#ifndef FLOWTALLY_RECORD_H
#define FLOWTALLY_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* In front of some that are equally long. */
struct record_head {
	uint64_t count;
	uint64_t size; /* of each, in bytes */
};

/* Whether there are that many in so many bytes, the head not among them. */
static inline bool record_fits(const struct record_head *head, size_t bytes)
{
	return !head->count || (head->size && head->count <= bytes / head->size);
}

/* from: what fits of it has from_size bytes. */
static inline void record_take(void *to, size_t size, const void *from, size_t from_size)
{
	size_t known = size < from_size ? size : from_size;

	memcpy(to, from, known);
	memset((char *)to + known, 0, size - known);
}

#endif
