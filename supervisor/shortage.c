// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/shortage.h"
#include "bpf/flow_types.h"
#include "lib/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* For all that is not per interface: program, sockets, timers, output, maps made ready. */
#define DESCRIPTORS_APART 64
/* As tcx may be what it takes: a map, its successor during a swap, and two links. */
#define DESCRIPTORS_EACH 4

size_t shortage_room(size_t monitored, size_t tcx)
{
	size_t used = DESCRIPTORS_APART + 2 * monitored + 2 * tcx;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return FLOW_SLOTS;
	return limit.rlim_cur > used ? (limit.rlim_cur - used) / DESCRIPTORS_EACH : 0;
}

static void shortage_describe(int err, char *text, size_t size)
{
	struct rlimit limit = {0};

	switch (err) {
	case -EMFILE:
		(void)getrlimit(RLIMIT_NOFILE, &limit);
		snprintf(text, size,
			 "RLIMIT_NOFILE allows %llu descriptors, and each takes up to %d "
			 "(LimitNOFILE= of the service, or prlimit --nofile)",
			 (unsigned long long)limit.rlim_cur, DESCRIPTORS_EACH);
		break;
	case -ENFILE:
		snprintf(text, size, "the host is out of descriptors (fs.file-max)");
		break;
	case -ENOSPC:
		snprintf(text, size, "%d can be at once", FLOW_SLOTS - 1);
		break;
	case -EPERM:
		snprintf(text, size,
			 "no locked memory for another flow map (RLIMIT_MEMLOCK, before Linux "
			 "5.11)");
		break;
	case -ENOMEM:
		snprintf(text, size,
			 "no kernel memory for another flow map (the host's, or the control "
			 "group's; map_entries is what each takes)");
		break;
	default:
		snprintf(text, size, "no flow map: %s", strerror(-err));
	}
}

void shortage_note(struct shortage *shortage, int err, size_t interfaces)
{
	char text[160];

	if (err && err != shortage->err) {
		shortage_describe(err, text, sizeof(text));
		log_error("%zu interfaces are wanted and not monitored: %s; the others are, and "
			  "these will be when there is room",
			  interfaces, text);
	}
	if (!err && shortage->err)
		log_notice("there is room again: all interfaces that are wanted are monitored");
	shortage->err = err;
}
