// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/notify.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A path, or @ and an abstract name. */
static socklen_t notify_address(const char *name, struct sockaddr_un *address)
{
	size_t size = strlen(name);

	if ((*name != '/' && *name != '@') || size >= sizeof(address->sun_path))
		return 0;
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(address->sun_path, name, size);
	if (*name == '@')
		address->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
}

static int notify_send(const char *name, const char *text)
{
	struct sockaddr_un address;
	socklen_t size = notify_address(name, &address);
	_close_ int fd = -1;

	if (!size)
		return -EINVAL;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 ||
	    sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, size) < 0)
		return -errno;
	return 0;
}

void notify(const char *format, ...)
{
	const char *name = getenv("NOTIFY_SOCKET");
	char text[256];
	va_list args;
	int err;

	if (!name)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	err = notify_send(name, text);
	if (err)
		log_debug("%s: cannot tell the service manager: %s", name, strerror(-err));
}

void notify_reloading(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	notify("RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
	       (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

int64_t notify_watchdog_ns(void)
{
	const char *period = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t period_us;

	/* of another process, if it was not exec(2) that made us */
	if (pid && strtol(pid, NULL, 10) != getpid())
		return 0;
	if (!period || sscanf(period, "%" SCNu64, &period_us) != 1 || period_us > INT64_MAX / 1000)
		return 0;
	return (int64_t)period_us * 1000 / 2;
}
