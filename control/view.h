/* SPDX-License-Identifier: GPL-2.0-only */
/* Answers of the agent as text for people. Pure; whatever an answer holds or lacks, a terminal sees
 * harmless lines. */
#ifndef FLOWTALLY_VIEW_H
#define FLOWTALLY_VIEW_H

#include <stdbool.h>
#include <stddef.h>

struct buffer;
struct json_t;

void view_status(struct buffer *out, const struct json_t *status);
bool view_is_healthy(const struct json_t *status);
void view_interfaces(struct buffer *out, const struct json_t *answer);
/* A line about all and the flows below. names: of services, for ports. width: of the screen, for
 * which long addresses are cut; 0: there is none. */
void view_flows(struct buffer *out, const struct json_t *answer, bool names, size_t width);
/* Whether all that should be monitored is. */
bool view_all_attached(const struct json_t *answer);

/* "100 %", "99.87 %", "unknown". */
void view_coverage(struct buffer *out, const struct json_t *coverage);

#endif
