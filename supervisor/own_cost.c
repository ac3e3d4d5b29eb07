// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/own_cost.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "supervisor/program.h"

#include <dirent.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int64_t own_cost_ns(const struct timeval *time)
{
	return time->tv_sec * NSEC_PER_SEC + time->tv_usec * 1000;
}

static uint64_t own_cost_resident(void)
{
	_fclose_ FILE *file = fopen("/proc/self/statm", "re");
	uint64_t pages;

	if (!file || fscanf(file, "%*u %" SCNu64, &pages) != 1)
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The line "memlock:" of a map or program (kernel/bpf/syscall.c: bpf_map_show_fdinfo). */
static uint64_t own_cost_object(const char *fd)
{
	char path[64], line[128];
	_fclose_ FILE *file = NULL;
	uint64_t bytes = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%.16s", fd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "memlock: %" SCNu64, &bytes) == 1)
			break;
	return bytes;
}

/* Links are left out: to tell of one the kernel takes a lock that others may hold for long. */
static uint64_t own_cost_kernel(void)
{
	DIR *directory = opendir("/proc/self/fd");
	const struct dirent *entry;
	uint64_t sum = 0;

	while (directory && (entry = readdir(directory))) {
		char target[32] = "";

		if (readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1) > 0 &&
		    (!strcmp(target, "anon_inode:bpf-map") ||
		     !strcmp(target, "anon_inode:bpf-prog")))
			sum += own_cost_object(entry->d_name);
	}
	if (directory)
		closedir(directory);
	return sum;
}

static bool own_cost_is_measured(void)
{
	_fclose_ FILE *file = fopen("/proc/sys/kernel/bpf_stats_enabled", "re");
	int on;

	return file && fscanf(file, "%d", &on) == 1 && on;
}

void own_cost_read(struct own_cost *cost, const struct program *program)
{
	struct rusage usage;

	*cost = (struct own_cost){.resident = own_cost_resident(), .kernel = own_cost_kernel()};
	/* of ourselves it cannot fail (getrusage(2)) */
	(void)getrusage(RUSAGE_SELF, &usage);
	cost->user_ns = own_cost_ns(&usage.ru_utime);
	cost->system_ns = own_cost_ns(&usage.ru_stime);
	cost->measured = own_cost_is_measured() &&
			 !program_run_time(program, &cost->run_ns, &cost->runs) && cost->runs;
}
