// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looks at BPF objects of the kernel, by their ids or as the agent pins them.
 *
 *   bpf_objects alive prog:ID|map:ID...   prints those of them that the kernel still has
 *   bpf_objects count ID                  prints what count.bpf.o, loaded as program ID, has seen
 *   bpf_objects entries NAME              prints max_entries of maps that are pinned here as NAME*
 *   bpf_objects flip NAME AT              turns all bits of byte AT of the bytes pinned here as
 * NAME
 */
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "supervisor/pins.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

static int print_alive(char **objects)
{
	uint32_t id;
	char kind;
	int fd;

	for (; *objects; objects++) {
		if (sscanf(*objects, "%c%*[a-z]:%u", &kind, &id) != 2)
			return fprintf(stderr, "'%s' is no object\n", *objects), 1;
		fd = kind == 'p' ? bpf_prog_get_fd_by_id(id) : bpf_map_get_fd_by_id(id);
		if (fd < 0 && errno != ENOENT)
			return perror(*objects), 1;
		if (fd < 0)
			continue;
		puts(*objects);
		close(fd);
	}
	return 0;
}

static int print_count(uint32_t program_id)
{
	uint32_t map_id = 0, size = sizeof(struct bpf_prog_info), zero = 0;
	struct bpf_prog_info info = {.nr_map_ids = 1, .map_ids = (uintptr_t)&map_id};
	_close_ int program = bpf_prog_get_fd_by_id(program_id);
	_close_ int map = -1;
	uint64_t packets;

	if (program < 0 || bpf_obj_get_info_by_fd(program, &info, &size))
		return perror("program"), 1;
	map = bpf_map_get_fd_by_id(map_id);
	if (map < 0 || bpf_map_lookup_elem(map, &zero, &packets))
		return perror("map"), 1;
	printf("%llu\n", (unsigned long long)packets);
	return 0;
}

struct pinned_maps {
	struct pins *pins;
	const char *name;
	int err;
};

static void print_entries_of(void *data, const char *name)
{
	struct pinned_maps *maps = data;
	uint32_t size = sizeof(struct bpf_map_info);
	struct bpf_map_info info = {0};
	_close_ int fd = -1;

	if (strncmp(name, maps->name, strlen(maps->name)) != 0)
		return;
	fd = pins_get(maps->pins, name);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size)) {
		perror(name);
		maps->err = 1;
		return;
	}
	printf("%u\n", info.max_entries);
}

static int print_entries(const char *name)
{
	struct pinned_maps maps = {.name = name};
	int err = pins_new(&maps.pins);

	if (!err)
		err = pins_each(maps.pins, print_entries_of, &maps);
	pins_free(maps.pins);
	if (err)
		fprintf(stderr, "pins of this network namespace: %s\n", strerror(-err));
	return err || maps.err;
}

static int flip_byte(const char *name, size_t at)
{
	struct buffer bytes = {0};
	struct pins *pins = NULL;
	int err = pins_new(&pins);

	if (!err)
		err = pins_get_bytes(pins, name, &bytes);
	if (!err && at >= bytes.size)
		err = -ERANGE;
	if (!err) {
		bytes.data[at] = (char)~bytes.data[at];
		err = pins_put_bytes(pins, name, bytes.data, bytes.size);
	}
	buffer_free(&bytes);
	pins_free(pins);
	if (err)
		fprintf(stderr, "%s: %s\n", name, strerror(-err));
	return err != 0;
}

int main(int argc, char **argv)
{
	if (argc >= 2 && !strcmp(argv[1], "alive"))
		return print_alive(argv + 2);
	if (argc == 3 && !strcmp(argv[1], "count"))
		return print_count((uint32_t)strtoul(argv[2], NULL, 10));
	if (argc == 3 && !strcmp(argv[1], "entries"))
		return print_entries(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "flip"))
		return flip_byte(argv[2], strtoul(argv[3], NULL, 10));
	fputs("usage: see the top of bpf_objects.c\n", stderr);
	return 1;
}
