/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which conversations are meant. A filter is a list of choices, and selects what any of them does.
 * A choice has terms of up to four types, and selects a conversation if at least one term of each
 * of its types matches. Terms are matched one by one, each with both ends.
 */
#ifndef FLOWTALLY_FILTER_H
#define FLOWTALLY_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct filter_choice;

/* A zeroed struct is the empty filter, which selects nothing. */
struct filter {
	struct filter_choice *choices; /* owned */
	size_t count;
	bool closed; /* the next term begins another choice */
	bool begun;  /* for the parser: the open choice has a word, right or wrong */
};

void filter_clean(struct filter *filter);

/* The next term belongs to another choice. */
void filter_end_choice(struct filter *filter);

/*
 * Add a term to the open choice. address: network byte order, IPv4 as ::ffff:a.b.c.d, whose length
 * is 96 to 128. Ports in host byte order; 0 is no port. 0 or -ENOMEM.
 */
int filter_add_net(struct filter *filter, uint8_t family, const uint8_t address[16],
		   unsigned int length);
int filter_add_ports(struct filter *filter, uint16_t first, uint16_t last);
int filter_add_protocol(struct filter *filter, uint8_t protocol);
/* A glob on the name of an interface that the conversation crossed. */
int filter_add_interface(struct filter *filter, const char *glob);

#define FILTER_ENDS 4

/* What a filter looks at; all borrowed. */
struct filter_subject {
	uint8_t family; /* enum flow_family */
	uint8_t protocol;
	/* both ends, and both again where they are translated */
	struct filter_end {
		const uint8_t *address; /* as above */
		uint16_t port;		/* host byte order; 0: none */
	} ends[FILTER_ENDS];
	size_t end_count;
	/* the interfaces crossed: places in names */
	const uint32_t *crossed;
	size_t crossed_count;
	const char *const *names;
};

bool filter_selects(const struct filter *filter, const struct filter_subject *subject);

#endif
