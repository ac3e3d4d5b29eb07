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
#include <unistd.h>

#define INSTANCE_NAME "\0flowtally"

/* Who listens there; pid 0: nobody is to be seen from here. */
static struct ucred instance_holder(const struct sockaddr_un *address, socklen_t size)
{
	_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred holder = {0};
	socklen_t holder_size = sizeof(holder);

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, size) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &holder, &holder_size))
		return (struct ucred){.uid = geteuid()};
	return holder;
}

static void instance_name_holder(const struct ucred *holder)
{
	char pid[32] = "its pid is not known here";

	if (holder->pid)
		snprintf(pid, sizeof(pid), "pid %d", (int)holder->pid);
	/* the name is anybody's to take */
	if (holder->uid != geteuid())
		log_error("user %u (%s) holds the name by which agents of this network namespace "
			  "know of each other, @flowtally: another flowtally, or a program that "
			  "keeps it from starting; end it first",
			  (unsigned int)holder->uid, pid);
	else
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

		if (err == -EADDRINUSE) {
			const struct ucred holder = instance_holder(&address, size);

			instance_name_holder(&holder);
		}
		return err;
	}
	if (listen(fd, 8))
		return -errno;
	return TAKE_FD(fd);
}
