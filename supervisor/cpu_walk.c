// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/cpu_walk.h"
#include "lib/log.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cpu_walk {
	uint32_t cpu_count;
	cpu_set_t *all, *one; /* where the agent may run, and where it is to run */
	size_t set_size;      /* of these, in bytes */
	bool told;	      /* that some CPUs are out of reach */
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

static void cpu_walk_tell(struct cpu_walk *walk, const char *why)
{
	if (!walk->told)
		log_warning("does not go to every CPU (%s): a packet there that passes two "
			    "interfaces while what is monitored changes may count twice",
			    why);
	walk->told = true;
}

/*
 * Goes on on that CPU. Not on one that is off; nor on one that the agent is kept from, as it is
 * from isolated ones (isolcpus=, taskset(1), CPUAffinity= in systemd): it would disturb what runs
 * there, and could wait for its turn for ever behind a real-time task.
 */
static void cpu_walk_go_to(struct cpu_walk *walk, uint32_t cpu)
{
	if (!CPU_ISSET_S(cpu, walk->set_size, walk->all))
		return;
	CPU_ZERO_S(walk->set_size, walk->one);
	CPU_SET_S(cpu, walk->set_size, walk->one);
	if (sched_setaffinity(0, walk->set_size, walk->one) && errno == EPERM)
		cpu_walk_tell(walk, "sched_setaffinity is not permitted");
}

void cpu_walk_store(struct cpu_walk *walk, void *words, size_t stride, uint32_t number)
{
	bool moved = !sched_getaffinity(0, walk->set_size, walk->all);

	if (moved && CPU_COUNT_S(walk->set_size, walk->all) < sysconf(_SC_NPROCESSORS_ONLN))
		cpu_walk_tell(walk, "its affinity leaves some out");
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
