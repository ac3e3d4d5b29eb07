/* SPDX-License-Identifier: GPL-2.0-only */
/* The ephemeral range: ports that clients are given, which servers seldom have. */
#ifndef FLOWTALLY_CLIENT_PORTS_H
#define FLOWTALLY_CLIENT_PORTS_H

#include <linux/types.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct client_ports {
	uint16_t first, last; /* host byte order, both in it */
};

/* The smallest range that has both the ports that this kernel gives to clients and those that IANA
 * sets aside for them (RFC 6335, section 6). */
void client_ports_read(struct client_ports *ret);

static inline bool client_ports_has(const struct client_ports *ports, __be16 port)
{
	uint16_t number = ntohs(port);

	return number >= ports->first && number <= ports->last;
}

/* Whether the ports alone tell that source is the client's. */
static inline bool client_ports_tell(const struct client_ports *ports, __be16 source,
				     __be16 destination)
{
	return client_ports_has(ports, source) && !client_ports_has(ports, destination);
}

#endif
