// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/instance.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

#define INSTANCE_NAME	 "\0flowtally"
#define INSTANCE_WAIT_NS (5 * NSEC_PER_SEC)
#define INSTANCE_WAIT_MS 10
#define INSTANCE_BACKLOG 8

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

/* False where that is not to be known. */
static bool instance_has_ended(pid_t pid)
{
	_close_ int fd = pid ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	struct pollfd process = {.fd = fd, .events = POLLIN};

	if (fd < 0)
		return pid && errno == ESRCH;
	return poll(&process, 1, 0) == 1;
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

/*
 * An agent that was killed as it forked the keeper of its mount has left the name to it, until that
 * closes what it inherited (bpffs.c): it listened, and is no more.
 */
static int instance_bind(int fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = INSTANCE_NAME};
	socklen_t size = offsetof(struct sockaddr_un, sun_path) + sizeof(INSTANCE_NAME) - 1;
	int64_t deadline_ns = clock_boottime_ns() + INSTANCE_WAIT_NS;

	while (bind(fd, (struct sockaddr *)&address, size)) {
		struct ucred holder;

		if (errno != EADDRINUSE)
			return -errno;
		holder = instance_holder(&address, size);
		if (!instance_has_ended(holder.pid) || clock_boottime_ns() > deadline_ns) {
			instance_name_holder(&holder);
			return -EADDRINUSE;
		}
		poll(NULL, 0, INSTANCE_WAIT_MS);
	}
	return 0;
}

int instance_claim(void)
{
	_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err = fd < 0 ? -errno : instance_bind(fd);

	if (err)
		return err;
	if (listen(fd, INSTANCE_BACKLOG))
		return -errno;
	return TAKE_FD(fd);
}

void instance_take_callers(int instance_fd)
{
	/* anybody may call without end */
	for (int i = 0; i <= INSTANCE_BACKLOG; i++) {
		_close_ int fd = accept4(instance_fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			return;
	}
}
