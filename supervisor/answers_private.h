/* SPDX-License-Identifier: GPL-2.0-only */
/* What answers share; inside of answers*.c only. New references, NULL: no memory. */
#ifndef FLOWTALLY_ANSWERS_PRIVATE_H
#define FLOWTALLY_ANSWERS_PRIVATE_H

struct answers;
struct flow_count;
struct interface;
struct json_t;
struct report;
struct unattributed;

struct json_t *answers_network(const struct flow_count *count);
struct json_t *answers_unattributed(const struct unattributed *sum);
struct json_t *answers_interval(const struct answers *state, const struct report *report);

/* The coverage of an interface, and the worst of all interfaces. */
struct json_t *answers_coverage(const struct interface *interface);
struct json_t *answers_coverage_summary(const struct answers *state);

#endif
