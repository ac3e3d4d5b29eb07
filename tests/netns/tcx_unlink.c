// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes a tcx link of a process off its hook, behind its back.
 *
 *   tcx_unlink PID IFINDEX ingress|egress
 */
#include "lib/cleanup.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* include/uapi/linux/bpf.h of 6.6; the distribution's header may be older */
enum {
	TCX_INGRESS = 46,
	TCX_EGRESS = 47,
};

/* The link of which a descriptor tells; -1: it is none. */
static int open_link(const char *path)
{
	_fclose_ FILE *file = fopen(path, "re");
	unsigned int id = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "link_id: %u", &id) == 1)
			break;
	return id ? bpf_link_get_fd_by_id(id) : -1;
}

static bool is_at(int fd, __u32 ifindex, __u32 type)
{
	struct bpf_link_info info = {0};
	__u32 size = sizeof(info), attach_type;

	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		return false;
	/* info.tcx is {ifindex, attach_type}, and stands where info.xdp is {ifindex} */
	memcpy(&attach_type, &info.xdp.ifindex + 1, sizeof(attach_type));
	return info.xdp.ifindex == ifindex && attach_type == type;
}

int main(int argc, char **argv)
{
	__u32 type = argc == 4 && !strcmp(argv[3], "egress") ? TCX_EGRESS : TCX_INGRESS;
	char folder[64], path[512];
	struct dirent *entry;
	DIR *dir;

	if (argc != 4) {
		fputs("usage: tcx_unlink PID IFINDEX ingress|egress\n", stderr);
		return 2;
	}
	snprintf(folder, sizeof(folder), "/proc/%s/fdinfo", argv[1]);
	dir = opendir(folder);
	while (dir && (entry = readdir(dir))) {
		int fd;

		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		fd = open_link(path);
		if (fd < 0 || !is_at(fd, (__u32)strtoul(argv[2], NULL, 10), type))
			continue;
		if (!bpf_link_detach(fd))
			return 0;
		fprintf(stderr, "tcx_unlink: %s\n", strerror(errno));
		return 1;
	}
	fputs("tcx_unlink: no such link\n", stderr);
	return 1;
}
