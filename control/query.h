/* SPDX-License-Identifier: GPL-2.0-only */
/* Which flows of a report a client wants, and in what order. */
#ifndef FLOWTALLY_QUERY_H
#define FLOWTALLY_QUERY_H

#include "lib/filter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_t;

#define QUERY_LIMIT	  1000 /* flows in an answer */
#define QUERY_FILTER_SIZE 512  /* of a filter's text, with the 0 behind it */

enum query_sort {
	QUERY_BYTES,
	QUERY_PACKETS,
	QUERY_RATE, /* bytes a second, of late */
	QUERY_SENT, /* bytes from the left end */
	QUERY_RECEIVED,
	QUERY_SORTS,
};

/* Their names, for a sentence. */
#define QUERY_SORT_NAMES "bytes, packets, rate, sent or received"

struct query {
	uint32_t limit; /* 1 to QUERY_LIMIT */
	enum query_sort sort;
	struct filter filter; /* owned; empty: all */
};

const char *query_sort_name(enum query_sort sort);
bool query_sort_from_name(const char *name, enum query_sort *ret);

/*
 * Reads the members of a request but for "request". 0, or -EINVAL or -ENOMEM with words in problem,
 * which may quote a part of the request; *query is not set then.
 */
int query_parse(struct query *query, const struct json_t *request, char *problem, size_t size);
void query_clean(struct query *query);

#endif
