// SPDX-License-Identifier: GPL-2.0-only
/*
 * A neighbour on tcx: attaches the program of an object to a hook, prints "attached prog=ID", and
 * keeps it there until a signal ends it; first is ingress, before all others; try is ingress, and
 * ends at once.
 *
 *   tcx_load INTERFACE ingress|first|egress|try OBJECT
 *
 * Exit status 3: this kernel has no tcx.
 */

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* enum bpf_attach_type of Linux 6.6, which older headers lack */
#define TCX_INGRESS 46
#define TCX_EGRESS  47
#define TCX_BEFORE  (1U << 3) /* BPF_F_BEFORE */

static uint32_t program_id(int fd)
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) ? 0 : info.id;
}

int main(int argc, char **argv)
{
	DECLARE_LIBBPF_OPTS(bpf_link_create_opts, options);
	struct bpf_program *program;
	struct bpf_object *object;
	unsigned int ifindex;
	int fd, link;

	if (argc != 4) {
		fputs("usage: tcx_load INTERFACE ingress|first|egress|try OBJECT\n", stderr);
		return 1;
	}
	ifindex = if_nametoindex(argv[1]);
	if (!ifindex)
		return perror(argv[1]), 1;
	object = bpf_object__open_file(argv[3], NULL);
	if (!object || bpf_object__load(object))
		return perror(argv[3]), 1;
	program = bpf_object__next_program(object, NULL);
	fd = bpf_program__fd(program);
	if (!strcmp(argv[2], "first"))
		options.flags = TCX_BEFORE;
	link = bpf_link_create(fd, (int)ifindex,
			       strcmp(argv[2], "egress") ? TCX_INGRESS : TCX_EGRESS, &options);
	if (link < 0) {
		perror("tcx");
		return errno == EINVAL ? 3 : 1;
	}
	printf("attached prog=%u\n", program_id(fd));
	fflush(stdout);
	if (strcmp(argv[2], "try"))
		pause();
	return 0;
}
