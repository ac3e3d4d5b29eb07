// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets walk through random hosts, hook by hook, while intervals end at random points, maps are
 * swapped one after another and the host changes. What the reports say must be what was sent.
 *
 *   SIMULATION_CASES=N      how many hosts
 *   SIMULATION_FIRST=SEED   the first one's seed; with one case what happens is told
 */
#include "tests/simulation/trial.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#define CASES 20000
#else
#define CASES 1000000
#endif

#define PROCESSES 2 /* share the work */
#define SHOWN_MAX 3 /* failures that are told in full */

static uint64_t number_from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void print_failure(struct trial *trial, uint64_t seed, const char *program)
{
	struct trial_sums sums = {0};

	printf("# seed %" PRIu64 ":\n", seed);
	trial_run(trial, seed, true, &sums);
	printf("# repeat with: SIMULATION_FIRST=%" PRIu64 " SIMULATION_CASES=1 %s\n", seed,
	       program);
}

/* Every PROCESSES-th seed. Returns whether all was right. */
static bool run_share(uint64_t first, uint64_t cases, unsigned int share, const char *program)
{
	struct trial *trial = trial_new();
	struct trial_sums sums = {0};
	uint64_t failed = 0, run = 0;

	for (uint64_t i = share; i < cases; i += PROCESSES, run++) {
		if (trial_run(trial, first + i, cases == 1, &sums))
			continue;
		if (++failed <= SHOWN_MAX)
			print_failure(trial, first + i, program);
	}
	trial_free(trial);
	/* a simulation that does not try anything shows nothing */
	if (cases >= 1000 &&
	    (sums.packets < run * 5 || sums.reports < run || sums.under_way < run / 2 ||
	     sums.changes < run / 4 || sums.summed < run / 4)) {
		printf("# too little was tried\n");
		failed++;
	}
	printf("%sok %u - seeds %" PRIu64 "..%" PRIu64 " (every %uth: %" PRIu64 " hosts, %" PRIu64
	       " packets, %" PRIu64 " reports, %" PRIu64 " changes, %" PRIu64
	       " packets between two hooks at a swap, %" PRIu64 " flows beyond a limit), %" PRIu64
	       " failed\n",
	       failed ? "not " : "", share + 1, first + share, first + cases - 1, PROCESSES, run,
	       sums.packets, sums.reports, sums.changes, sums.under_way, sums.summed, failed);
	return !failed;
}

int main(int argc, char *argv[])
{
	uint64_t cases = number_from_environment("SIMULATION_CASES", CASES);
	uint64_t first = number_from_environment("SIMULATION_FIRST", 1);
	unsigned int shares = cases < PROCESSES ? 1 : PROCESSES;
	bool good = true;

	(void)argc;
	printf("1..%u\n", shares);
	fflush(stdout);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned int share = 1; share < shares; share++) {
		pid_t pid = fork();

		if (pid < 0) {
			perror("fork");
			return 1;
		}
		if (!pid)
			return !run_share(first, cases, share, argv[0]);
	}
	good = run_share(first, cases, 0, argv[0]);
	for (unsigned int share = 1; share < shares; share++) {
		int status = 0;

		if (wait(&status) < 0 || status)
			good = false;
	}
	return !good;
}
