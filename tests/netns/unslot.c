// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes the flow map of an interface out of its slot, or the interface out of the slot table,
 * behind the agent's back.
 *
 *   unslot PID map|word IFINDEX
 */
#include "bpf/flow_types.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char *what)
{
	fprintf(stderr, "unslot: %s: %s\n", what, strerror(errno));
	return 1;
}

/* The map of which a descriptor tells, if it has that name; -1: it has not. */
static int open_named(const char *path, const char *name)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info);
	char line[128];
	unsigned int id = 0;
	FILE *file = fopen(path, "re");
	int fd;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "map_id: %u", &id) == 1)
			break;
	if (file)
		fclose(file);
	fd = id ? bpf_map_get_fd_by_id(id) : -1;
	if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size) && !strcmp(info.name, name))
		return fd;
	return -1;
}

static int find_map(const char *pid, const char *name)
{
	char folder[64], path[512];
	struct dirent *entry;
	int fd = -1;
	DIR *dir;

	snprintf(folder, sizeof(folder), "/proc/%s/fdinfo", pid);
	dir = opendir(folder);
	while (dir && fd < 0 && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		fd = open_named(path, name);
	}
	if (dir)
		closedir(dir);
	return fd;
}

int main(int argc, char **argv)
{
	struct flow_slot word = {0}, nothing = {0};
	__u32 first, second, slot;
	int slots, maps;

	if (argc != 4)
		return fail("usage");
	slots = find_map(argv[1], "slots");
	maps = find_map(argv[1], "flow_maps");
	first = flow_slot_index(flow_slot_place((__u32)strtoul(argv[3], NULL, 10), 0), 0);
	second = first + 1;
	if (slots < 0 || maps < 0 || bpf_map_lookup_elem(slots, &first, &word))
		return fail("the agent's maps");
	if (word.ifindex != (__u32)strtoul(argv[3], NULL, 10))
		return fail("no such interface");
	slot = word.slot;
	if (!strcmp(argv[2], "map")
		    ? bpf_map_delete_elem(maps, &slot)
		    : bpf_map_update_elem(slots, &first, &nothing, BPF_ANY) ||
			      bpf_map_update_elem(slots, &second, &nothing, BPF_ANY))
		return fail(argv[2]);
	return 0;
}
