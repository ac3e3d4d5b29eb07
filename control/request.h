/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a client of the control socket asks: one JSON object a line, {"request":"status"}. Answers
 * are one object a line too, {"error":"..."} if it went wrong (flowtally(8), CONTROL SOCKET).
 */
#ifndef FLOWTALLY_REQUEST_H
#define FLOWTALLY_REQUEST_H

#include "control/query.h"

#include <stddef.h>

/* The longest request, its newline not counted. */
#define CONTROL_REQUEST_SIZE 4096

enum control_request_kind {
	CONTROL_STATUS,
	CONTROL_INTERFACES,
	CONTROL_FLOWS,
	CONTROL_REPORT, /* now, and a new interval */
	CONTROL_RELOAD, /* the configuration */
	CONTROL_REQUESTS,
};

struct control_request {
	enum control_request_kind kind;
	struct query query; /* of CONTROL_FLOWS */
};

/*
 * Parses a line, without its newline. 0, then the caller owes it control_request_clean(); -EINVAL
 * or -ENOMEM with words in problem, which may quote a part of the line.
 */
int control_request_parse(struct control_request *request, const char *line, size_t size,
			  char *problem, size_t problem_size);
void control_request_clean(struct control_request *request);

/* "status" */
const char *control_request_name(enum control_request_kind kind);

#endif
