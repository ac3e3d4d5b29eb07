/* SPDX-License-Identifier: GPL-2.0-only */
/* Where to listen: ADDRESS:PORT, [ADDRESS]:PORT for IPv6. Names are not looked up. */
#ifndef FLOWTALLY_LISTEN_H
#define FLOWTALLY_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>

/* Whether text is such an address; *ret is set then. */
bool listen_parse(const char *text, struct sockaddr_storage *ret, socklen_t *size);

#endif
