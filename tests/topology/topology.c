// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random hosts on the real kernel: is every packet counted once, to the byte?
 *
 *   topology --seeds FIRST..LAST | --seed N [OPTIONS]
 *
 *   --join     the agent joins translated conversations; else each of their faces is a line
 *   --traps    also what is known to be counted twice at times (grammar.h)
 *   --verbose  the world, the paths and the agent's words, of good seeds too
 *   --steps    waits before each change
 *   --keep     waits before it takes down a seed that failed
 *   --agent    the program under test; the one of the same build if not given
 */
#include "tests/topology/agent.h"
#include "tests/topology/grammar.h"
#include "tests/topology/kernel.h"
#include "tests/topology/traffic.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/clock.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
	uint64_t first, last;
	bool verbose;
	bool join;  /* the agent joins what NAT translates, else each face is a line */
	bool keep;  /* waits before it takes down what failed */
	bool steps; /* waits before each change */
	bool traps; /* grammar.h */
	char agent[PATH_MAX];
	char self[PATH_MAX];
};

/* What one seed works with. */
struct trial {
	const struct options *options;
	struct random random;
	struct world world;
	struct kernel *kernel;
	struct agent *agent;
	const char *attach;
	/* a line for each face of a translated conversation: where only a part of the devices is
	 * monitored nobody can tell then whether a face was counted as another one */
	bool faces;
	struct lists lists;
	struct buffer history; /* changes and reports, as comment lines */
	char directory[32];
	struct tally expected, got;
	const struct conversation *failed;
};

static int step(const char *what, int err)
{
	if (err)
		printf("# %s: %s\n", what, strerror(-err));
	return err;
}

/* Says how to look into the namespaces, and waits for a line on standard input. */
static void trial_pause(const struct trial *trial)
{
	int c;

	for (unsigned int i = 0; i < trial->world.space_count; i++)
		printf("# %s: nsenter --net=/proc/%d/fd/%d\n", trial->world.space_names[i],
		       (int)getpid(), kernel_space_fd(trial->kernel, i));
	printf("# Enter goes on\n");
	do
		c = getchar();
	while (c != '\n' && c != EOF);
}

static int trial_start(struct trial *trial)
{
	int err;

	grammar_build(&trial->random, &trial->world, trial->options->traps);
	trial->faces = !trial->options->join && world_translates(&trial->world);
	grammar_choose_lists(&trial->random, &trial->world, &trial->lists);
	if (trial->faces)
		grammar_choose_all(&trial->lists);
	lists_apply(&trial->lists, &trial->world);
	trial->attach = random_chance(&trial->random, 85) ? "clsact" : "tcx";
	err = step("namespaces", kernel_new(&trial->kernel, &trial->world));
	if (!err)
		err = step("links", kernel_create(trial->kernel));
	if (!err)
		err = step("routes and neighbours", kernel_sync(trial->kernel));
	if (!err)
		err = step("translation", kernel_translate(trial->kernel));
	if (!err)
		err = step("links do not come up", kernel_wait_up(trial->kernel));
	if (!err)
		err = step("configuration",
			   agent_configure(trial->directory, trial->lists.include,
					   trial->lists.exclude, trial->options->join));
	if (!err)
		err = step("the agent does not start",
			   agent_new(&trial->agent, trial->kernel, trial->options->agent,
				     trial->attach, trial->directory));
	return err;
}

static void trial_print_world(const struct trial *trial)
{
	printf("# include = %s\n# exclude = %s\n", trial->lists.include, trial->lists.exclude);
	world_print(&trial->world);
	for (size_t i = 0; i < trial->world.conversation_count; i++)
		traffic_print(&trial->world, &trial->world.conversations[i]);
}

static int trial_send(struct trial *trial)
{
	if (trial->options->verbose)
		trial_print_world(trial);
	return step("a datagram does not arrive",
		    traffic_send(&trial->world, trial->kernel, trial->options->join,
				 &trial->expected, &trial->failed));
}

static bool trial_compare(struct trial *trial)
{
	bool equal = tally_compare(&trial->expected, &trial->got);

	trial->expected = trial->got = (struct tally){0};
	return equal;
}

/* Attaching to many interfaces is done in several turns. */
static int trial_wait_attached(struct trial *trial)
{
	int err = 0;

	for (size_t i = 0; i < trial->world.device_count && !err; i++) {
		const struct device *device = &trial->world.devices[i];

		if (device->space == HOST && !device->gone)
			err = agent_wait_attached(trial->agent, device->name, device->monitored);
	}
	return err;
}

/*
 * Two changes of the sentinel, the second one made when the first was dealt with: the agent has
 * then seen and dealt with all that was before.
 */
static int trial_wait_seen(struct trial *trial)
{
	struct device *sentinel = world_find(&trial->world, HOST, SENTINEL_OFF);
	int err;

	lists_apply(&trial->lists, &trial->world);
	err = trial_wait_attached(trial);
	if (!err)
		err = kernel_rename(trial->kernel, sentinel, SENTINEL_ON);
	if (!err)
		err = agent_wait_log(trial->agent, SENTINEL_ON ": attached with");
	if (!err)
		err = kernel_rename(trial->kernel, sentinel, SENTINEL_OFF);
	if (!err)
		err = agent_wait_log(trial->agent, SENTINEL_OFF ": detached");
	return step("the agent does not see a change", err);
}

static int trial_change_lists(struct trial *trial)
{
	grammar_choose_lists(&trial->random, &trial->world, &trial->lists);
	return agent_configure(trial->directory, trial->lists.include, trial->lists.exclude,
			       trial->options->join)
		       ?: agent_reload(trial->agent);
}

static int trial_add_container(struct trial *trial, struct device *like)
{
	int err;

	grammar_add_container(&trial->world, like, false);
	err = kernel_create(trial->kernel);
	grammar_add_conversations(&trial->random, &trial->world, 2, trial->options->traps);
	return err;
}

static int trial_move_container(struct trial *trial, struct device *like)
{
	struct device *device = grammar_add_container(&trial->world, like, true);
	int err = kernel_create(trial->kernel);

	if (!err)
		err = trial_wait_seen(trial);
	if (err)
		return err;
	err = kernel_move(trial->kernel, device, trial->world.space_count - 1);
	grammar_settle_container(&trial->world, like, device);
	if (!err)
		err = kernel_settle(trial->kernel, device);
	grammar_add_conversations(&trial->random, &trial->world, 2, trial->options->traps);
	return err;
}

static int trial_make_change(struct trial *trial, const struct change *change)
{
	struct device *device = change->device, *master;

	switch (change->kind) {
	case CHANGE_LISTS:
		return trial_change_lists(trial);
	case CHANGE_RENAME:
		return kernel_rename(trial->kernel, device, change->name);
	case CHANGE_RELEASE:
		device->former_master = device->master;
		return kernel_enslave(trial->kernel, device, NULL);
	case CHANGE_ENSLAVE:
		master = device->former_master;
		device->former_master = NULL;
		return kernel_enslave(trial->kernel, device, master);
	case CHANGE_ADD:
		return trial_add_container(trial, device);
	case CHANGE_MOVE:
		return trial_move_container(trial, device);
	case CHANGE_DELETE:
		device->gone = device->peer->gone = true;
		return kernel_delete(trial->kernel, device);
	case CHANGE_ROUTE:
		grammar_switch_route(&trial->world, change->route);
		return 0;
	case CHANGES:
		break;
	}
	return -EINVAL;
}

static int trial_change(struct trial *trial)
{
	struct change change;
	int err;

	while (!grammar_choose_change(&trial->random, &trial->world, &change))
		;
	buffer_printf(&trial->history, "#   %s %s\n", change_to_str(change.kind),
		      change.device ? change.device->name : "");
	err = trial_make_change(trial, &change);
	if (!err)
		err = kernel_sync(trial->kernel);
	if (!err)
		err = kernel_wait_up(trial->kernel);
	return step("a change", err) ?: trial_wait_seen(trial);
}

static bool trial_report(struct trial *trial)
{
	buffer_str(&trial->history, "#   report\n");
	return !step("no report", agent_report(trial->agent, &trial->got)) && trial_compare(trial);
}

static bool trial_run(struct trial *trial)
{
	unsigned int changes;

	if (trial_start(trial) || trial_send(trial))
		return false;
	changes = trial->faces ? 0 : random_below(&trial->random, 5);
	while (changes--) {
		/* a report may come between traffic and change, between change and traffic, or
		 * both may be in one */
		if (random_chance(&trial->random, 40) && !trial_report(trial))
			return false;
		if (trial->options->steps)
			trial_pause(trial);
		if (trial_change(trial))
			return false;
		if (random_chance(&trial->random, 30) && !trial_report(trial))
			return false;
		if (trial_send(trial))
			return false;
	}
	if (step("the agent does not end well", agent_stop(trial->agent, &trial->got)))
		return false;
	return trial_compare(trial);
}

static void trial_print(const struct trial *trial)
{
	printf("# attach %s, nat %s\n", trial->attach, trial->options->join ? "auto" : "off");
	printf("# the host as it is now:\n");
	trial_print_world(trial);
	printf("# what happened:\n%.*s", (int)trial->history.size,
	       trial->history.data ? trial->history.data : "");
	if (trial->failed) {
		printf("# this one failed:\n");
		traffic_print(&trial->world, trial->failed);
	}
	if (trial->agent) {
		printf("# the agent's log:\n");
		agent_print_log(trial->agent);
		if (trial->options->verbose) {
			printf("# its reports:\n");
			agent_print_reports(trial->agent);
		}
	}
}

static void remove_directory(const char *directory)
{
	static const char *const names[] = {"flowtally.conf", "report-id"};
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	if (rmdir(directory))
		printf("# %s: %s\n", directory, strerror(errno));
}

static bool run_seed(const struct options *options, uint64_t seed)
{
	struct trial *trial = calloc(1, sizeof(*trial));
	bool good = false;

	if (!trial)
		return false;
	trial->options = options;
	trial->random.state = seed;
	snprintf(trial->directory, sizeof(trial->directory), "/tmp/topology.XXXXXX");
	if (mkdtemp(trial->directory)) {
		good = trial_run(trial);
		if (!good || options->verbose)
			trial_print(trial);
		if (!good && options->keep)
			trial_pause(trial);
	}
	if (!good)
		printf("# repeat with: %s --seed %" PRIu64 "%s%s --verbose --keep\n", options->self,
		       seed, options->join ? " --join" : "", options->traps ? " --traps" : "");
	agent_free(trial->agent);
	traffic_close(&trial->world);
	kernel_free(trial->kernel);
	remove_directory(trial->directory);
	buffer_free(&trial->history);
	free(trial);
	return good;
}

static int misuse(void)
{
	fprintf(stderr,
		"usage: topology --seeds FIRST..LAST | --seed N [--join] [--traps] [--verbose] "
		"[--steps] [--keep] [--agent PROGRAM]\n");
	return 2;
}

static bool parse_seeds(const char *text, struct options *options)
{
	char *end;

	options->first = options->last = strtoull(text, &end, 10);
	if (!strncmp(end, "..", 2))
		options->last = strtoull(end + 2, &end, 10);
	return end != text && !*end && options->first <= options->last;
}

/* The agent is two folders up: build/tests/topology/topology, build/flowtally. */
static void find_agent(struct options *options)
{
	char path[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", options->self, sizeof(options->self) - 1);

	options->self[size > 0 ? size : 0] = '\0';
	snprintf(path, sizeof(path), "%s", options->self);
	snprintf(options->agent, sizeof(options->agent), "%.4000s/../../flowtally", dirname(path));
}

static bool take_option(struct options *options, int option)
{
	switch (option) {
	case 's':
		return parse_seeds(optarg, options);
	case 'a':
		snprintf(options->agent, sizeof(options->agent), "%s", optarg);
		return true;
	case 'j':
		return options->join = true;
	case 't':
		return options->traps = true;
	case 'v':
		return options->verbose = true;
	case 'p':
		return options->steps = true;
	case 'k':
		return options->keep = true;
	}
	return false;
}

int main(int argc, char *argv[])
{
	static const struct option longs[] = {
		{"seed", required_argument, NULL, 's'},
		{"seeds", required_argument, NULL, 's'},
		{"agent", required_argument, NULL, 'a'},
		{"join", no_argument, NULL, 'j'},
		{"traps", no_argument, NULL, 't'},
		{"verbose", no_argument, NULL, 'v'},
		{"steps", no_argument, NULL, 'p'},
		{"keep", no_argument, NULL, 'k'},
		{NULL, 0, NULL, 0},
	};
	struct options options = {.first = 1, .last = 0};
	uint64_t failed = 0, number = 0;
	int option;

	find_agent(&options);
	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1)
		if (!take_option(&options, option))
			return misuse();
	if (options.first > options.last || optind < argc)
		return misuse();
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* a child that ends early is seen by its status */
	signal(SIGPIPE, SIG_IGN);
	printf("1..%" PRIu64 "\n", options.last - options.first + 1);
	for (uint64_t seed = options.first; seed <= options.last; seed++) {
		int64_t begin_ns = clock_boottime_ns();
		bool good = run_seed(&options, seed);

		failed += !good;
		printf("%sok %" PRIu64 " - seed %" PRIu64 " (%.2f s)\n", good ? "" : "not ",
		       ++number, seed, (double)(clock_boottime_ns() - begin_ns) / NSEC_PER_SEC);
	}
	printf("# %" PRIu64 " of %" PRIu64 " seeds failed\n", failed, number);
	return failed ? 1 : 0;
}
