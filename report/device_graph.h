/* SPDX-License-Identifier: GPL-2.0-only */
/* Which device stands on which: the links that links name are looked up, and all put in order,
 * lower ones first. Pure. */
#ifndef FLOWTALLY_DEVICE_GRAPH_H
#define FLOWTALLY_DEVICE_GRAPH_H

#include "report/topology.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEVICE_NONE SIZE_MAX

struct device_node {
	size_t master, lower, peer; /* nodes, or DEVICE_NONE */
	size_t first_lower, lower_count;
	size_t first_upper, upper_count;
	size_t position; /* in graph.order */
};

struct device_graph {
	const struct topology_link *links; /* borrowed */
	size_t count;
	struct device_node *nodes; /* owned; nodes[i] belongs to links[i] */
	size_t *lowers, *uppers;   /* owned; edges, grouped by node */
	size_t *order;		   /* owned; nodes, lower devices first */
};

/* Loops are cut: a node that would close one loses its master or lower. To be cleaned even if it
 * failed. 0 or -ENOMEM. */
int device_graph_init(struct device_graph *graph, const struct topology_link *links, size_t count);
void device_graph_clean(struct device_graph *graph);

/* Walk what a node stands on, and what stands on it. */
#define device_graph_each_lower(lower, graph, node)                       \
	for (const size_t *lower = (graph)->lowers + (node)->first_lower, \
			  *lower##_end = lower + (node)->lower_count;     \
	     lower < lower##_end; lower++)
#define device_graph_each_upper(upper, graph, node)                       \
	for (const size_t *upper = (graph)->uppers + (node)->first_upper, \
			  *upper##_end = upper + (node)->upper_count;     \
	     upper < upper##_end; upper++)

/* Whether a link's kind is among n. */
bool kind_is_one_of(const char *kind, const char *const *kinds, size_t n);

#endif
