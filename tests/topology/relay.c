// SPDX-License-Identifier: GPL-2.0-only
#include "tests/topology/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* A segmented packet, its link header and what virtio says of it. */
#define PACKET_SIZE  (65536 + 64)
#define TAP_OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)

struct relay {
	int fds[3]; /* owned: the devices, and what ends the thread */
	pthread_t thread;
	char packet[PACKET_SIZE];
};

int relay_open(const char *name, uint32_t ifindex, bool frames)
{
	struct ifreq request = {.ifr_flags = frames ? IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
						    : IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFINDEX, &ifindex) || ioctl(fd, TUNSETIFF, &request) ||
	    (frames && ioctl(fd, TUNSETOFFLOAD, TAP_OFFLOADS)))
		err = -errno;
	if (err)
		close(fd);
	return err ?: fd;
}

/* The namespace's own sysfs tells which character device it has; device nodes know no namespaces.
 */
static int find_macvtap(const char *name, dev_t *ret)
{
	unsigned int major_number, minor_number;
	char command[160];
	FILE *output;
	int count;

	snprintf(command, sizeof(command),
		 "unshare -m sh -c 'mount -t sysfs none /sys && "
		 "cat /sys/class/net/%s/macvtap/tap*/dev'",
		 name);
	output = popen(command, "re");
	if (!output)
		return -errno;
	count = fscanf(output, "%u:%u", &major_number, &minor_number);
	if (pclose(output) || count != 2)
		return -ENODEV;
	*ret = makedev(major_number, minor_number);
	return 0;
}

int relay_open_macvtap(const char *name)
{
	char directory[] = "/tmp/topology.tap.XXXXXX", path[64];
	dev_t number = 0;
	int err = find_macvtap(name, &number), fd = -1;

	if (err)
		return err;
	if (!mkdtemp(directory))
		return -errno;
	snprintf(path, sizeof(path), "%s/tap", directory);
	if (!mknod(path, S_IFCHR | 0600, number))
		fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETOFFLOAD, TAP_OFFLOADS))
		err = -errno;
	unlink(path);
	rmdir(directory);
	if (err && fd >= 0)
		close(fd);
	return err ?: fd;
}

/* What finds no open door is lost as on any wire: who waits for it will say so. */
static void carry(struct relay *relay, int from, int to)
{
	ssize_t size = read(relay->fds[from], relay->packet, sizeof(relay->packet));

	if (size > 0 && write(relay->fds[to], relay->packet, (size_t)size) != size)
		fprintf(stderr, "topology: relay: %s\n", strerror(errno));
}

static void *run(void *data)
{
	struct relay *relay = data;
	struct pollfd ready[3];

	for (int i = 0; i < 3; i++)
		ready[i] = (struct pollfd){.fd = relay->fds[i], .events = POLLIN};
	for (;;) {
		if (poll(ready, 3, -1) < 0)
			continue;
		if (ready[2].revents)
			return NULL;
		for (int i = 0; i < 2; i++) {
			if (ready[i].revents & POLLIN)
				carry(relay, i, !i);
			/* its device was deleted */
			else if (ready[i].revents)
				ready[i].fd = -1;
		}
	}
}

int relay_new(struct relay **ret, int one, int other)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	int err;

	if (!relay)
		return -ENOMEM;
	relay->fds[0] = one;
	relay->fds[1] = other;
	relay->fds[2] = eventfd(0, EFD_CLOEXEC);
	err = relay->fds[2] < 0 ? -errno : -pthread_create(&relay->thread, NULL, run, relay);
	if (err) {
		if (relay->fds[2] >= 0)
			close(relay->fds[2]);
		free(relay);
		return err;
	}
	*ret = relay;
	return 0;
}

void relay_free(struct relay *relay)
{
	const uint64_t end = 1;

	if (!relay)
		return;
	if (write(relay->fds[2], &end, sizeof(end)) != sizeof(end))
		abort(); /* an eventfd takes a first number always */
	pthread_join(relay->thread, NULL);
	for (int i = 0; i < 3; i++)
		close(relay->fds[i]);
	free(relay);
}
