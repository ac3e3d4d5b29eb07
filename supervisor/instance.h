/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One agent a network namespace: two would take each other's clsact filters for leftovers. The mark
 * is an abstract Unix socket, which belongs to the network namespace and goes with the process,
 * however that ends (unix(7)).
 */
#ifndef FLOWTALLY_INSTANCE_H
#define FLOWTALLY_INSTANCE_H

/* A descriptor to keep open as long as the agent lives. -EADDRINUSE: another one runs here, and the
 * log says which. */
int instance_claim(void);

/* Closes the connections of those who asked which process it is: connecting told them. While too
 * many wait, the next ones learn nothing. */
void instance_take_callers(int instance_fd);

#endif
