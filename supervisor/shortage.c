// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/shortage.h"
#include "bpf/flow_types.h"
#include "control/server.h"
#include "lib/log.h"
#include "metrics/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* For all that is not per interface: program, sockets, timers, output, maps made ready. */
#define DESCRIPTORS_APART 64
/* For those who ask, strangers among them: who connects must not keep a drain from its maps. Of a
 * small limit a part, as most of it is for interfaces. */
#define DESCRIPTORS_CLIENTS (CONTROL_CLIENTS + METRICS_CONNECTIONS)
#define CLIENTS_PART	    8
/* A map and its successor during a swap; two links. */
#define DESCRIPTORS_MAPS 2
#define DESCRIPTORS_TCX	 2

static size_t shortage_apart(rlim_t limit)
{
	size_t clients = limit / CLIENTS_PART;

	return DESCRIPTORS_APART + (clients < DESCRIPTORS_CLIENTS ? clients : DESCRIPTORS_CLIENTS);
}

size_t shortage_room(size_t attached, size_t tcx, bool with_tcx)
{
	size_t used = DESCRIPTORS_MAPS * attached + DESCRIPTORS_TCX * tcx;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return FLOW_SLOTS;
	used += shortage_apart(limit.rlim_cur);
	if (limit.rlim_cur <= used)
		return 0;
	return (limit.rlim_cur - used) / (DESCRIPTORS_MAPS + (with_tcx ? DESCRIPTORS_TCX : 0));
}

static void shortage_describe(int err, char *text, size_t size)
{
	struct rlimit limit = {0};

	switch (err) {
	case -EMFILE:
		(void)getrlimit(RLIMIT_NOFILE, &limit);
		snprintf(text, size,
			 "RLIMIT_NOFILE allows %llu descriptors (LimitNOFILE= of the service, or "
			 "prlimit --nofile), and each takes %d, or %d with tcx",
			 (unsigned long long)limit.rlim_cur, DESCRIPTORS_MAPS,
			 DESCRIPTORS_MAPS + DESCRIPTORS_TCX);
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
