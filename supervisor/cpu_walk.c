// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/cpu_walk.h"
#include "lib/log.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct cpu_walk {
	uint32_t cpu_count;
	cpu_set_t *all, *one; /* where the agent may run, and where it is to run */
	size_t set_size;      /* of these, in bytes */
	bool denied;	      /* it was said */
};

int cpu_walk_new(struct cpu_walk **ret, uint32_t cpu_count)
{
	struct cpu_walk *walk = calloc(1, sizeof(*walk));

	if (!walk)
		return -ENOMEM;
	*walk = (struct cpu_walk){
		.cpu_count = cpu_count,
		.all = CPU_ALLOC(cpu_count),
		.one = CPU_ALLOC(cpu_count),
		.set_size = CPU_ALLOC_SIZE(cpu_count),
	};
	if (!walk->all || !walk->one) {
		cpu_walk_free(walk);
		return -ENOMEM;
	}
	*ret = walk;
	return 0;
}

void cpu_walk_free(struct cpu_walk *walk)
{
	if (!walk)
		return;
	CPU_FREE(walk->all);
	CPU_FREE(walk->one);
	free(walk);
}

/* Goes on on that CPU, if it is on and not kept from the agent (cpuset). */
static void cpu_walk_go_to(struct cpu_walk *walk, uint32_t cpu)
{
	CPU_ZERO_S(walk->set_size, walk->one);
	CPU_SET_S(cpu, walk->set_size, walk->one);
	if (!sched_setaffinity(0, walk->set_size, walk->one) || errno != EPERM)
		return;
	if (!walk->denied)
		log_warning("may not go to another CPU (sched_setaffinity): a packet that passes "
			    "two interfaces while what is monitored changes may count twice");
	walk->denied = true;
}

void cpu_walk_store(struct cpu_walk *walk, void *words, size_t stride, uint32_t number)
{
	bool moved = !sched_getaffinity(0, walk->set_size, walk->all);

	for (uint32_t cpu = 0; cpu < walk->cpu_count; cpu++) {
		uint32_t *word = (void *)((char *)words + cpu * stride);

		if (__atomic_load_n(word, __ATOMIC_RELAXED) == number)
			continue;
		if (moved)
			cpu_walk_go_to(walk, cpu);
		__atomic_store_n(word, number, __ATOMIC_SEQ_CST);
	}
	if (moved && sched_setaffinity(0, walk->set_size, walk->all))
		log_warning("stays on the last CPU: %s", strerror(errno));
}
