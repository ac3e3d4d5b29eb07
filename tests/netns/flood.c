// SPDX-License-Identifier: GPL-2.0-only
/*
 * flood NAMESPACE COUNT PER_MS: sends COUNT UDP datagrams of one byte, each to another destination
 * and so each a flow of its own, from NAMESPACE into 10.64.0.0/10, at most PER_MS of them a
 * millisecond (0: as fast as it goes). Prints how many the kernel took.
 */
#include "tests/netns/enter.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

int main(int argc, char *argv[])
{
	struct timespec next;
	unsigned long count, per_ms, sent = 0;
	int fd;

	if (argc != 4) {
		fprintf(stderr, "usage: flood NAMESPACE COUNT PER_MS\n");
		return 2;
	}
	count = strtoul(argv[2], NULL, 10);
	per_ms = strtoul(argv[3], NULL, 10);
	enter(argv[1]);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		err(1, "socket");
	clock_gettime(CLOCK_MONOTONIC, &next);
	while (sent < count) {
		struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};

		to.sin_addr.s_addr = htonl(0x0a400000 + (uint32_t)sent);
		if (sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1)
			sent++;
		else if (errno != ENOBUFS && errno != EAGAIN)
			err(1, "sendto");
		if (!per_ms || sent % per_ms)
			continue;
		next.tv_nsec += 1000000;
		if (next.tv_nsec >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	printf("%lu\n", sent);
	return 0;
}
