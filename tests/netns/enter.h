/* SPDX-License-Identifier: GPL-2.0-only */
/* Network namespaces by the names that the stories give them. */
#ifndef FLOWTALLY_TESTS_ENTER_H
#define FLOWTALLY_TESTS_ENTER_H

#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Moves this thread to a namespace, or ends the program. In the kernel $NETNS_PREFIX stands before
 * its name; what follows an '@' is not part of it. */
static inline void enter(const char *name)
{
	const char *prefix = getenv("NETNS_PREFIX");
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s%.*s", prefix ? prefix : "",
		 (int)strcspn(name, "@"), name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		err(1, "cannot enter namespace %s", name);
	close(fd);
}

#endif
