/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records as bytes that one version writes and another one reads. New fields come at the end only,
 * and the size is stored with them: fields that are not there are zero, unknown ones are skipped.
 */
#ifndef FLOWTALLY_RECORD_H
#define FLOWTALLY_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* In front of count records of one size. */
struct record_head {
	uint64_t count;
	uint64_t size; /* of each, in bytes */
};

/* Whether so many bytes, without the head, hold all of its records. */
static inline bool record_fits(const struct record_head *head, size_t bytes)
{
	return !head->count || (head->size && head->count <= bytes / head->size);
}

/* Copies a record of from_size bytes into one of size, cut off or filled up with zeros. */
static inline void record_take(void *to, size_t size, const void *from, size_t from_size)
{
	size_t known = size < from_size ? size : from_size;

	memcpy(to, from, known);
	memset((char *)to + known, 0, size - known);
}

#endif
