/* SPDX-License-Identifier: GPL-2.0-only */
/* What the agent answers on its control socket, as its client reads it: one JSON object. */
#ifndef FLOWTALLY_CONTROL_ANSWER_H
#define FLOWTALLY_CONTROL_ANSWER_H

#include <stddef.h>
#include <stdint.h>

struct json_t;

/* How an answer is written, for json_dumps(3): 0.16 and not 0.16000000000000001. */
#define CONTROL_ANSWER_FORMAT (JSON_COMPACT | JSON_REAL_PRECISION(12))

/* Words for people: there is no agent here. */
extern const char control_nobody[];

/*
 * Parses a line, without its newline. path: of the socket; netns: where the client is. 0, and
 * *answer is a new reference; -ESRCH: this is the agent of another network namespace; -EPROTO: it
 * refused, or answered nothing that makes sense. Then problem says it in words, which may be the
 * agent's own.
 */
int control_answer_parse(struct json_t **answer, const char *line, size_t size, const char *path,
			 uint64_t netns, char *problem, size_t problem_size);

#endif
