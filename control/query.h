/* SPDX-License-Identifier: GPL-2.0-only */
/* Which flows of a report a client wants, and in what order. */
#ifndef FLOWTALLY_QUERY_H
#define FLOWTALLY_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_t;
struct report;
struct report_flow;

#define QUERY_LIMIT 1000 /* flows in an answer */

enum query_sort {
	QUERY_BYTES,
	QUERY_PACKETS,
	QUERY_RATE, /* bytes a second, of late */
	QUERY_SENT, /* bytes from the left end */
	QUERY_RECEIVED,
	QUERY_SORTS,
};

struct query {
	uint32_t limit; /* 1 to QUERY_LIMIT */
	enum query_sort sort;
	bool has_address, has_port, has_protocol;
	uint8_t address[16]; /* network byte order; IPv4 as ::ffff:a.b.c.d */
	uint8_t prefix;	     /* of its 128 bits */
	uint16_t port;	     /* host byte order */
	uint8_t protocol;
	char interface[64]; /* a glob; "": any */
};

const char *query_sort_name(enum query_sort sort);

/*
 * Reads the members of a request but for "request". 0, or -EINVAL with what is wrong in problem, as
 * valid UTF-8.
 */
int query_parse(struct query *query, const struct json_t *request, char *problem, size_t size);

/*
 * Adds a word of a person to a request: net:ADDRESS[/LENGTH], port:NUMBER, proto:NAME,
 * interface:GLOB. 0; -EINVAL: it is none of them; -ENOMEM.
 */
int query_add_word(struct json_t *request, const char *word);

/* Whether the flow is one of those that are wanted, wherever either end or its path says so. */
bool query_matches(const struct query *query, const struct report *report,
		   const struct report_flow *flow);

#endif
