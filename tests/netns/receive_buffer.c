// SPDX-License-Identifier: GPL-2.0-only
/*
 * receive_buffer PID BYTES [netfilter]: gives the RTNETLINK sockets of a process, or those of
 * NETLINK_NETFILTER, that much room, as the kernel rounds it. With little of it a handful of
 * notifications overruns them.
 */
#include <err.h>
#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_DESCRIPTORS 1024 /* sockets are opened before there are many */

static int is_of_bus(int fd, int bus)
{
	int domain = 0, protocol = -1;
	socklen_t size = sizeof(int);

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) && domain == AF_NETLINK &&
	       !getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) && protocol == bus;
}

int main(int argc, char *argv[])
{
	int bus = argc > 3 ? NETLINK_NETFILTER : NETLINK_ROUTE, bytes, found = 0;
	long pidfd;

	if (argc < 3 || argc > 4 || (argc == 4 && strcmp(argv[3], "netfilter") != 0)) {
		fprintf(stderr, "usage: receive_buffer PID BYTES [netfilter]\n");
		return 2;
	}
	bytes = atoi(argv[2]);
	pidfd = syscall(SYS_pidfd_open, atoi(argv[1]), 0);
	if (pidfd < 0)
		err(1, "%s", argv[1]);
	for (int theirs = 0; theirs < MAX_DESCRIPTORS; theirs++) {
		int fd = (int)syscall(SYS_pidfd_getfd, (int)pidfd, theirs, 0);

		if (fd < 0 && errno != EBADF)
			err(1, "pidfd_getfd");
		if (fd < 0)
			continue;
		if (is_of_bus(fd, bus)) {
			found++;
			if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
				err(1, "SO_RCVBUFFORCE");
		}
		close(fd);
	}
	if (!found) {
		errno = ENOENT;
		err(1, "netlink sockets");
	}
	return 0;
}
