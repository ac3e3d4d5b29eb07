/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP connections. How many segments carry the data is the kernel's choice; it says how many there
 * were. Functions return 0 or -errno.
 */
#ifndef FLOWTALLY_TOPOLOGY_STREAM_H
#define FLOWTALLY_TOPOLOGY_STREAM_H

#include <sys/socket.h>

struct conversation;
struct kernel;
struct sent;

/* Connects, unless it is connected. from[]: the own addresses of client and server; to: what the
 * client takes for the server's. */
int stream_open(struct conversation *c, struct kernel *kernel,
		const struct sockaddr_storage from[2], const struct sockaddr_storage *to,
		socklen_t size);

/* Sends one way, then the other. sent[2]: by either end, acknowledgements too, and since the last
 * call. */
int stream_send(struct conversation *c, struct sent *sent);

#endif
