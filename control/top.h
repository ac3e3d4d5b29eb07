/* SPDX-License-Identifier: GPL-2.0-only */
/* The live view of the running interval: flowtally top. */
#ifndef FLOWTALLY_TOP_H
#define FLOWTALLY_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct top_options {
	uint32_t count;	    /* pictures as plain text; 0: live, or one if there is no terminal */
	const char *sort;   /* NULL: bytes */
	bool names;	    /* of services */
	char *const *words; /* of a filter (config/term.h) */
	size_t word_count;
};

/* The exit status (client.h); what went wrong is on standard error. */
int control_command_top(const struct top_options *options);

#endif
