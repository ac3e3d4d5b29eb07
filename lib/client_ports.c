// SPDX-License-Identifier: GPL-2.0-only
#include "lib/client_ports.h"

#include "lib/cleanup.h"
#include "lib/log.h"

#include <stdio.h>

#define IANA_FIRST 49152

void client_ports_read(struct client_ports *ret)
{
	_fclose_ FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	unsigned int first = 32768, last = 60999;

	if (!file || fscanf(file, "%u %u", &first, &last) != 2 || first > last || last > 65535)
		log_debug("ip_local_port_range: not readable, taking the kernel's default");
	ret->first = (uint16_t)(first < IANA_FIRST ? first : IANA_FIRST);
	ret->last = 65535;
}
