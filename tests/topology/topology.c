// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random hosts on the real kernel: is every packet counted once, to the byte?
 *
 *   topology [OPTIONS] --seeds FIRST..LAST | --seed N | --replay FILE...
 *
 *   --join     the agent joins translated conversations; else each of their faces is a line
 *   --traps    also what is known to be counted twice at times (grammar.h)
 *   --elements PERCENT  how many hosts have more than uplinks and LANs (grammar.h); 50
 *   --kinds NAME,... | all  which kinds of devices that not every kernel has hosts may have; those
 *              that the running kernel has if not given
 *   --jobs N   so many cases at once
 *   --dump     writes what would be done as a script (script.h), and does nothing
 *   --verbose  the world, the paths and the agent's words, of good cases too
 *   --steps    waits before each change
 *   --keep     waits before it takes down a case that failed
 *   --agent    the program under test; the one of the same build if not given
 */
#include "tests/topology/grammar.h"
#include "tests/topology/kernel.h"
#include "tests/topology/plan.h"
#include "tests/topology/trial.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX	 64
#define ELEMENTS_PERCENT 50
#define KIND_NAMES_SIZE	 128

struct options {
	uint64_t first, last; /* none if last is less */
	bool replay;
	char **files; /* to replay; borrowed */
	size_t file_count;
	bool dump;
	bool kinds_given;
	unsigned int jobs;
	struct plan_options plan;
	struct trial_options trial;
	char agent[PATH_MAX];
	char self[PATH_MAX];
};

/* What workers share: who writes, and what came of the cases. */
struct tap {
	sem_t turn;
	uint64_t number, failed;
};

static int misuse(void)
{
	fprintf(stderr,
		"usage: topology [--join] [--traps] [--elements PERCENT] [--kinds NAME,...|all] "
		"[--dump] [--verbose] [--steps] [--keep] "
		"[--jobs N] [--agent PROGRAM] --seeds FIRST..LAST | --seed N | --replay FILE...\n");
	return 2;
}

/* What is said from now on goes to a file of its own. Returns its descriptor, or -1. */
static int hold_output(int *out)
{
	int held = memfd_create("output", MFD_CLOEXEC);

	fflush(stdout);
	*out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
	if (held < 0 || *out < 0 || dup2(held, STDOUT_FILENO) < 0) {
		close(held);
		close(*out);
		return -1;
	}
	return held;
}

static void release_output(int held, int out)
{
	char part[4096];
	ssize_t size;

	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	close(out);
	lseek(held, 0, SEEK_SET);
	while ((size = read(held, part, sizeof(part))) > 0)
		fwrite(part, 1, (size_t)size, stdout);
	close(held);
}

/* Returns whether it was good. What a case says is written at once, whatever others say. */
static bool play(struct tap *tap, const char *name, const char *script,
		 const struct options *options)
{
	int64_t begin_ns = clock_boottime_ns();
	int out, held = options->jobs > 1 ? hold_output(&out) : -1;
	bool good = trial_play(script, &options->trial);

	sem_wait(&tap->turn);
	if (held >= 0)
		release_output(held, out);
	tap->number++;
	tap->failed += !good;
	printf("%sok %" PRIu64 " - %s (%.2f s)\n", good ? "" : "not ", tap->number, name,
	       (double)(clock_boottime_ns() - begin_ns) / NSEC_PER_SEC);
	fflush(stdout);
	sem_post(&tap->turn);
	return good;
}

/* "vlan,bond" */
static const char *kinds_to_str(unsigned int kinds, char names[KIND_NAMES_SIZE])
{
	size_t size = 0;

	names[0] = '\0';
	for (enum kind kind = 0; kind < KINDS; kind++)
		if (kinds >> kind & 1)
			size += (size_t)snprintf(names + size, KIND_NAMES_SIZE - size, "%s%s",
						 size ? "," : "", kind_to_str(kind));
	return names;
}

static void say_how_to_repeat(const struct options *options, uint64_t seed)
{
	const char *join = options->plan.join ? " --join" : "";
	const char *traps = options->plan.traps ? " --traps" : "";
	char elements[32] = "", names[KIND_NAMES_SIZE];
	const char *kinds = kinds_to_str(options->plan.kinds, names);

	if (options->plan.elements_percent != ELEMENTS_PERCENT)
		snprintf(elements, sizeof(elements), " --elements %u",
			 options->plan.elements_percent);
	printf("# repeat seed %" PRIu64 " with: %s%s%s%s --kinds '%s' --seed %" PRIu64
	       " --verbose --keep\n",
	       seed, options->self, join, traps, elements, kinds, seed);
	printf("# and keep it: %s%s%s%s --kinds '%s' --seed %" PRIu64
	       " --dump >tests/topology/named/NAME\n",
	       options->self, join, traps, elements, kinds, seed);
}

static int play_seed(struct tap *tap, uint64_t seed, const struct options *options)
{
	struct buffer script = {0};
	char name[32];
	int err = plan_write(&script, seed, &options->plan);

	buffer_char(&script, '\0');
	if (err || buffer_error(&script)) {
		fprintf(stderr, "topology: seed %" PRIu64 ": out of memory\n", seed);
	} else if (options->dump) {
		printf("# seed %" PRIu64 "\n%s", seed, script.data);
	} else {
		snprintf(name, sizeof(name), "seed %" PRIu64, seed);
		if (!play(tap, name, script.data, options))
			say_how_to_repeat(options, seed);
	}
	buffer_free(&script);
	return err;
}

static int read_file(const char *path, struct buffer *text)
{
	_fclose_ FILE *file = fopen(path, "re");
	char part[4096];
	size_t got;

	if (!file)
		return -errno;
	while ((got = fread(part, 1, sizeof(part), file)))
		buffer_append(text, part, got);
	buffer_char(text, '\0');
	return ferror(file) ? -EIO : buffer_error(text);
}

static int play_file(struct tap *tap, char *path, const struct options *options)
{
	struct buffer script = {0};
	int err = read_file(path, &script);

	if (err)
		fprintf(stderr, "topology: %s: %s\n", path, strerror(-err));
	else
		play(tap, basename(path), script.data, options);
	buffer_free(&script);
	return err;
}

/* Every so many cases, from the first one on. */
static int play_some(struct tap *tap, const struct options *options, unsigned int first)
{
	int err = 0;

	for (size_t i = first; i < options->file_count && !err; i += options->jobs)
		err = play_file(tap, options->files[i], options);
	for (uint64_t seed = options->first + first; seed <= options->last && !err;
	     seed += options->jobs)
		err = play_seed(tap, seed, options);
	return err;
}

/* A case has network namespaces of its own, so workers do not meet. */
static int play_all(struct tap *tap, const struct options *options)
{
	int err = 0, status;

	if (options->jobs == 1)
		return play_some(tap, options, 0);
	for (unsigned int job = 0; job < options->jobs && !err; job++) {
		pid_t pid = fork();

		if (!pid)
			_exit(play_some(tap, options, job) ? 1 : 0);
		err = pid < 0 ? -errno : 0;
	}
	while (wait(&status) > 0)
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			err = -ECHILD;
	return err;
}

static bool parse_jobs(const char *text, struct options *options)
{
	char *end;

	options->jobs = (unsigned int)strtoul(text, &end, 10);
	return end != text && !*end && options->jobs && options->jobs <= JOBS_MAX;
}

static bool parse_seeds(const char *text, struct options *options)
{
	char *end;

	options->first = options->last = strtoull(text, &end, 10);
	if (!strncmp(end, "..", 2))
		options->last = strtoull(end + 2, &end, 10);
	return end != text && !*end && options->first <= options->last;
}

static bool parse_percent(const char *text, unsigned int *ret)
{
	char *end;
	unsigned long percent = strtoul(text, &end, 10);

	*ret = (unsigned int)percent;
	return end != text && !*end && percent <= 100;
}

static bool parse_kinds(const char *text, struct options *options)
{
	unsigned int optional = grammar_optional_kinds();
	char copy[128], *rest = copy, *word;

	options->kinds_given = true;
	options->plan.kinds = strcmp(text, "all") ? 0 : optional;
	if (options->plan.kinds)
		return true;
	snprintf(copy, sizeof(copy), "%s", text);
	while ((word = strsep(&rest, ","))) {
		enum kind kind = 0;

		while (kind < KINDS && strcmp(word, kind_to_str(kind)))
			kind++;
		if (*word && (kind == KINDS || !(optional >> kind & 1)))
			return false;
		if (*word)
			options->plan.kinds |= 1u << kind;
	}
	return true;
}

/* The agent is two folders up: build/tests/topology/topology, build/flowtally. */
static void find_agent(struct options *options)
{
	char path[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", options->self, sizeof(options->self) - 1);

	options->self[size > 0 ? size : 0] = '\0';
	snprintf(path, sizeof(path), "%s", options->self);
	snprintf(options->agent, sizeof(options->agent), "%.4000s/../../flowtally", dirname(path));
	options->trial.agent = options->agent;
}

static bool take_option(struct options *options, int option)
{
	switch (option) {
	case 's':
		return parse_seeds(optarg, options);
	case 'r':
		return options->replay = true;
	case 'n':
		return parse_jobs(optarg, options);
	case 'a':
		options->trial.agent = optarg;
		return true;
	case 'j':
		return options->plan.join = true;
	case 't':
		return options->plan.traps = true;
	case 'e':
		return parse_percent(optarg, &options->plan.elements_percent);
	case 'c':
		return parse_kinds(optarg, options);
	case 'd':
		return options->dump = true;
	case 'v':
		return options->trial.verbose = true;
	case 'p':
		return options->trial.steps = true;
	case 'k':
		return options->trial.keep = true;
	}
	return false;
}

static bool parse_options(int argc, char *argv[], struct options *options)
{
	static const struct option longs[] = {
		{"seed", required_argument, NULL, 's'},	 {"seeds", required_argument, NULL, 's'},
		{"replay", no_argument, NULL, 'r'},	 {"agent", required_argument, NULL, 'a'},
		{"join", no_argument, NULL, 'j'},	 {"traps", no_argument, NULL, 't'},
		{"dump", no_argument, NULL, 'd'},	 {"verbose", no_argument, NULL, 'v'},
		{"steps", no_argument, NULL, 'p'},	 {"keep", no_argument, NULL, 'k'},
		{"jobs", required_argument, NULL, 'n'},	 {"elements", required_argument, NULL, 'e'},
		{"kinds", required_argument, NULL, 'c'}, {NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1)
		if (!take_option(options, option))
			return false;
	options->files = argv + optind;
	options->file_count = (size_t)(argc - optind);
	if (options->replay)
		return options->first > options->last && !options->dump && options->file_count;
	return options->first <= options->last && !options->file_count;
}

static int probe_kinds(struct options *options)
{
	int err = kernel_probe(grammar_optional_kinds(), &options->plan.kinds);

	if (err)
		fprintf(stderr, "topology: cannot tell what the kernel has: %s\n", strerror(-err));
	return err;
}

/* How many cases there are. Kinds that are missing are one that is left out, so that nobody takes
 * them for tested. */
static void say_plan(struct tap *tap, const struct options *options)
{
	unsigned int missing = grammar_optional_kinds() & ~options->plan.kinds;
	char names[KIND_NAMES_SIZE];

	if (options->replay)
		missing = 0;
	printf("1..%" PRIu64 "\n",
	       options->file_count + (options->last + 1 - options->first) + !!missing);
	if (missing)
		printf("this kernel has no %s\nok %" PRIu64
		       " # SKIP hosts with these kinds of devices\n",
		       kinds_to_str(missing, names), ++tap->number);
}

int main(int argc, char *argv[])
{
	struct options options = {.first = 1,
				  .last = 0,
				  .jobs = 1,
				  .plan.elements_percent = ELEMENTS_PERCENT};
	struct tap *tap;
	int err;

	find_agent(&options);
	if (!parse_options(argc, argv, &options))
		return misuse();
	tap = mmap(NULL, sizeof(*tap), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tap == MAP_FAILED || sem_init(&tap->turn, 1, 1)) {
		perror("topology");
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* a child that ends early is seen by its status */
	signal(SIGPIPE, SIG_IGN);
	if (!options.replay && !options.kinds_given && probe_kinds(&options))
		return 1;
	if (!options.dump)
		say_plan(tap, &options);
	err = play_all(tap, &options);
	if (!options.dump)
		printf("# %" PRIu64 " of %" PRIu64 " failed\n", tap->failed, tap->number);
	return err || tap->failed ? 1 : 0;
}
