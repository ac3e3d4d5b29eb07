// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/headroom.h"

#include <bpf/bpf.h>
#include <unistd.h>

#define TRIES  100
#define TRY_US 10000

/* The kernel's limit for an array is 4 GiB (kernel/bpf/arraymap.c: array_map_alloc()). */
#define VALUE_SIZE 4096
#define MOST	   (1U << 31)

/*
 * An array is one piece of memory: what does not fit is given back before the call returns, and
 * nobody is killed for it (kernel/bpf/syscall.c: bpf_map_area_alloc(), __GFP_RETRY_MAYFAIL).
 */
bool headroom_has(size_t bytes)
{
	__u32 pages = (__u32)((bytes < MOST ? bytes : MOST) / VALUE_SIZE) + 1;
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "flowtally_probe", sizeof(__u32), VALUE_SIZE,
				pages, NULL);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

bool headroom_wait(size_t bytes)
{
	for (int i = 0; i < TRIES; i++) {
		if (headroom_has(bytes))
			return true;
		usleep(TRY_US);
	}
	return false;
}
