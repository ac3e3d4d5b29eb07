/* SPDX-License-Identifier: GPL-2.0-only */
/* A flow table as bytes, for a later agent on this host. */
#ifndef FLOWTALLY_FLOW_BYTES_H
#define FLOWTALLY_FLOW_BYTES_H

#include <stddef.h>

struct buffer;
struct flow_table;

/* Appends all cells; an error is the buffer's. */
void flow_table_encode(const struct flow_table *table, struct buffer *bytes);

/* Into an empty one. 0; -EBADMSG: these are not the bytes of one; -ENOMEM; then it holds some of
 * it. */
int flow_table_decode(struct flow_table *table, const void *bytes, size_t size);

#endif
