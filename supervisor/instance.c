// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/instance.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#define INSTANCE_NAME "\0flowtally"

static pid_t instance_pid(const struct sockaddr_un *address, socklen_t size)
{
	_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred peer = {0};
	socklen_t peer_size = sizeof(peer);

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, size) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size))
		return 0;
	return peer.pid;
}

/* The pid is 0 if the other one is in a pid namespace that we do not see. */
static void instance_name_other(pid_t other)
{
	char pid[32] = "its pid is not known here";

	if (other)
		snprintf(pid, sizeof(pid), "pid %d", (int)other);
	log_error("another flowtally runs in this network namespace, %s; ask it (flowtally "
		  "status), or end it first",
		  pid);
}

int instance_claim(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = INSTANCE_NAME};
	socklen_t size = offsetof(struct sockaddr_un, sun_path) + sizeof(INSTANCE_NAME) - 1;
	_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, size)) {
		int err = -errno;

		if (err == -EADDRINUSE)
			instance_name_other(instance_pid(&address, size));
		return err;
	}
	if (listen(fd, 8))
		return -errno;
	return TAKE_FD(fd);
}
