// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a virtual machine or a VPN does with a tap or tun device: carries packets between two of
 * them, until a signal ends it.
 *
 *   relay END END
 *
 * END is tun:NAMESPACE:DEVICE or tap:NAMESPACE:DEVICE, made here, or macvtap:FILE, the character
 * device of one. $NETNS_PREFIX stands before the name of every namespace. Prints "ready".
 */
#include "tests/netns/enter.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Frames, or packets of a tun device, as they are: no header before them. */
static int open_device(const char *file, const char *device, short kind)
{
	struct ifreq request = {.ifr_flags = (short)(kind | IFF_NO_PI)};
	int fd = open(file, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	strncpy(request.ifr_name, device, sizeof(request.ifr_name) - 1);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request))
		err(1, "%s", *device ? device : file);
	return fd;
}

static int open_end(char *text)
{
	const char *kind = strsep(&text, ":"), *where = strsep(&text, ":");

	if (where && !text && !strcmp(kind, "macvtap"))
		return open_device(where, "", IFF_TAP);
	if (!where || !text || (strcmp(kind, "tun") != 0 && strcmp(kind, "tap") != 0)) {
		fputs("usage: see the top of relay.c\n", stderr);
		exit(2);
	}
	enter(where);
	return open_device("/dev/net/tun", text, strcmp(kind, "tap") ? IFF_TUN : IFF_TAP);
}

/* All that waits there. A device that is down takes nothing. */
static void carry(int from, int to)
{
	static char packet[1 << 17];
	ssize_t size;

	while ((size = read(from, packet, sizeof(packet))) > 0)
		if (write(to, packet, (size_t)size) < 0 && errno != EIO && errno != ENETDOWN)
			err(1, "write");
	if (size < 0 && errno != EAGAIN && errno != EBADFD)
		err(1, "read");
}

int main(int argc, char **argv)
{
	struct pollfd ends[2];

	if (argc != 3) {
		fputs("usage: relay END END\n", stderr);
		return 2;
	}
	for (int i = 0; i < 2; i++)
		ends[i] = (struct pollfd){.fd = open_end(argv[i + 1]), .events = POLLIN};
	puts("ready");
	fflush(stdout);
	while (poll(ends, 2, -1) >= 0)
		for (int i = 0; i < 2; i++)
			if (ends[i].revents)
				carry(ends[i].fd, ends[!i].fd);
	err(1, "poll");
}
