/* SPDX-License-Identifier: GPL-2.0-only */
/* Once a minute: whether all interfaces are still counted, a few of them a turn of the loop. */
#ifndef FLOWTALLY_SELF_CHECK_H
#define FLOWTALLY_SELF_CHECK_H

struct interface_table;
struct loop;
struct self_check;

/* Both are borrowed. 0 or negative errno. */
int self_check_new(struct self_check **ret, struct loop *loop, struct interface_table *table);
void self_check_free(struct self_check *check);

#endif
