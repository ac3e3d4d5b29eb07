// SPDX-License-Identifier: GPL-2.0-only
#include "tests/topology/trial.h"
#include "tests/topology/agent.h"
#include "tests/topology/grammar.h"
#include "tests/topology/kernel.h"
#include "tests/topology/script.h"
#include "tests/topology/traffic.h"

#include "lib/array.h"
#include "lib/buffer.h"
#include "lib/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE (LIST_SIZE + 64)

struct trial {
	const struct trial_options *options; /* borrowed */
	struct world world;
	struct kernel *kernel;
	struct agent *agent;
	char attach[8];
	bool join;
	struct lists lists;
	struct buffer history; /* what was done, as comment lines */
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

	for (unsigned int i = 0; trial->kernel && i < trial->world.space_count; i++)
		printf("# %s: nsenter --net=/proc/%d/fd/%d\n", trial->world.space_names[i],
		       (int)getpid(), kernel_space_fd(trial->kernel, i));
	printf("# Enter goes on\n");
	do
		c = getchar();
	while (c != '\n' && c != EOF);
}

static int trial_configure(struct trial *trial)
{
	return agent_configure(trial->directory, trial->lists.include, trial->lists.exclude,
			       trial->join);
}

static int trial_start(struct trial *trial, const char *line)
{
	int err;

	(void)line;
	lists_apply(&trial->lists, &trial->world);
	err = step("namespaces", kernel_new(&trial->kernel, &trial->world));
	if (!err)
		err = step("links", kernel_create(trial->kernel));
	/* kernels before 6.2 rename links that are down only */
	if (!err)
		err = step("sentinel",
			   kernel_set_down(trial->kernel,
					   world_find(&trial->world, HOST, SENTINEL_OFF)));
	if (!err)
		err = step("routes and neighbours", kernel_sync(trial->kernel));
	if (!err)
		err = step("redirection", kernel_redirect(trial->kernel));
	if (!err)
		err = step("translation", kernel_translate(trial->kernel));
	if (!err)
		err = step("links do not come up", kernel_wait_up(trial->kernel));
	if (!err)
		kernel_choose_ways(trial->kernel);
	if (!err)
		err = step("configuration", trial_configure(trial));
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

static int send_round(struct trial *trial, traffic_pause pause)
{
	struct traffic traffic = {.world = &trial->world,
				  .kernel = trial->kernel,
				  .join = trial->join,
				  .expected = &trial->expected,
				  .pause = pause,
				  .pause_data = trial};
	int err = traffic_send(&traffic);

	trial->failed = traffic.failed;
	return step("what was sent does not arrive", err);
}

static int trial_send(struct trial *trial, const char *line)
{
	(void)line;
	if (trial->options->verbose)
		trial_print_world(trial);
	return send_round(trial, NULL);
}

static int report_meanwhile(void *data)
{
	struct trial *trial = data;
	const struct timespec moment = {.tv_nsec = NSEC_PER_MSEC / 2};
	int err = agent_take(trial->agent, &trial->got);

	nanosleep(&moment, NULL);
	return err < 0 ? err : agent_ask(trial->agent);
}

/* Maps are swapped while packets pass: what one report lacks another one has. */
static int trial_storm(struct trial *trial, const char *line)
{
	unsigned int rounds;
	int err = sscanf(line, "%u", &rounds) == 1 ? 0 : -EINVAL;

	while (!err && rounds--)
		err = send_round(trial, report_meanwhile);
	return err ?: step("no report", agent_take_last(trial->agent, &trial->got));
}

static int trial_compare(struct trial *trial)
{
	bool equal = tally_compare(&trial->expected, &trial->got);

	trial->expected = trial->got = (struct tally){0};
	return equal ? 0 : -EBADMSG;
}

static int trial_report(struct trial *trial, const char *line)
{
	(void)line;
	return step("no report", agent_report(trial->agent, &trial->got)) ?: trial_compare(trial);
}

static int trial_stop(struct trial *trial, const char *line)
{
	(void)line;
	return step("the agent does not end well", agent_stop(trial->agent, &trial->got))
		       ?: trial_compare(trial);
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
static int trial_seen(struct trial *trial, const char *line)
{
	struct device *sentinel = world_find(&trial->world, HOST, SENTINEL_OFF);
	int err = sentinel ? kernel_sync(trial->kernel) : -EINVAL;

	(void)line;
	if (!err)
		err = step("links do not come up", kernel_wait_up(trial->kernel));
	lists_apply(&trial->lists, &trial->world);
	if (!err)
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

static int trial_reload(struct trial *trial, const char *line)
{
	(void)line;
	return trial_configure(trial) ?: agent_reload(trial->agent);
}

static int trial_create(struct trial *trial, const char *line)
{
	(void)line;
	return kernel_create(trial->kernel);
}

static struct device *device_at(struct trial *trial, int number)
{
	return number >= 0 && (size_t)number < trial->world.device_count
		       ? &trial->world.devices[number]
		       : NULL;
}

static int trial_rename(struct trial *trial, const char *line)
{
	struct device *device;
	char name[NAME_SIZE];
	int number, err;

	if (sscanf(line, "%d %15s", &number, name) != 2 || !(device = device_at(trial, number)))
		return -EINVAL;
	err = kernel_rename(trial->kernel, device, name);
	/* as it is up, kernels before 6.2 refuse: no change then */
	return err == -EBUSY ? 0 : err;
}

static int trial_enslave(struct trial *trial, const char *line)
{
	int number, master;

	if (sscanf(line, "%d %d", &number, &master) != 2 || !device_at(trial, number))
		return -EINVAL;
	return kernel_enslave(trial->kernel, device_at(trial, number), device_at(trial, master));
}

static int trial_move(struct trial *trial, const char *line)
{
	unsigned int space;
	int number;

	if (sscanf(line, "%d %u", &number, &space) != 2 || !device_at(trial, number) ||
	    space >= trial->world.space_count)
		return -EINVAL;
	return kernel_move(trial->kernel, device_at(trial, number), space);
}

static int trial_settle(struct trial *trial, const char *line)
{
	unsigned int segment, address;
	struct device *device;
	int number;

	if (sscanf(line, "%d %u %u", &number, &segment, &address) != 3 ||
	    !(device = device_at(trial, number)))
		return -EINVAL;
	device->segment = (uint8_t)segment;
	device->address = (uint8_t)address;
	return kernel_settle(trial->kernel, device);
}

static int trial_delete(struct trial *trial, const char *line)
{
	struct device *device;
	int number;

	if (sscanf(line, "%d", &number) != 1 || !(device = device_at(trial, number)))
		return -EINVAL;
	world_remove(&trial->world, device);
	return kernel_delete(trial->kernel, device);
}

static int trial_reroute(struct trial *trial, const char *line)
{
	struct device *device, *gateway;
	int route, to, by;

	if (sscanf(line, "%d %d %d", &route, &to, &by) != 3 || route < 0 ||
	    (size_t)route >= trial->world.route_count || !(device = device_at(trial, to)) ||
	    !(gateway = device_at(trial, by)))
		return -EINVAL;
	trial->world.routes[route].device = device;
	trial->world.routes[route].gateway = gateway;
	trial->world.routes[route].other_device = trial->world.routes[route].other_gateway = NULL;
	return 0;
}

static struct device *slave_at(struct trial *trial, const char *line)
{
	struct device *device;
	int number;

	if (sscanf(line, "%d", &number) != 1)
		return NULL;
	device = device_at(trial, number);
	return device && world_is_backed_up(device) ? device : NULL;
}

static int trial_fail_over(struct trial *trial, const char *line)
{
	struct device *slave = slave_at(trial, line);

	if (!slave)
		return -EINVAL;
	world_fail_over(&trial->world, slave);
	return kernel_activate(trial->kernel, slave->master)
		       ?: kernel_activate(trial->kernel, slave->peer->master);
}

static int trial_unplug(struct trial *trial, const char *line)
{
	struct device *slave = slave_at(trial, line);

	if (!slave)
		return -EINVAL;
	world_unplug(&trial->world, slave);
	return kernel_set_down(trial->kernel, slave);
}

static int trial_plug(struct trial *trial, const char *line)
{
	struct device *slave = slave_at(trial, line);

	if (!slave)
		return -EINVAL;
	slave->down = false;
	return kernel_set_up(trial->kernel, slave);
}

static int trial_end(struct trial *trial, const char *line)
{
	unsigned int number;

	if (sscanf(line, "%u", &number) != 1 || number >= trial->world.conversation_count)
		return -EINVAL;
	trial->world.conversations[number].ended = true;
	return 0;
}

static int trial_include(struct trial *trial, const char *line)
{
	snprintf(trial->lists.include, sizeof(trial->lists.include), "%s", line);
	return 0;
}

static int trial_exclude(struct trial *trial, const char *line)
{
	snprintf(trial->lists.exclude, sizeof(trial->lists.exclude), "%s", line);
	return 0;
}

static int trial_join(struct trial *trial, const char *line)
{
	trial->join = !strcmp(line, "yes");
	return 0;
}

static int trial_attach(struct trial *trial, const char *line)
{
	/* on kernels before 6.6 there is no tcx */
	const char *instead = getenv("TOPOLOGY_ATTACH");

	snprintf(trial->attach, sizeof(trial->attach), "%s", instead ? instead : line);
	return 0;
}

static const struct verb {
	const char *name;
	int (*play)(struct trial *trial, const char *line); /* line: behind the name */
	bool is_change;
	bool needs_agent;
} verbs[] = {
	{"join", trial_join, false, false},	   {"attach", trial_attach, false, false},
	{"include", trial_include, false, false},  {"exclude", trial_exclude, false, false},
	{"start", trial_start, false, false},	   {"create", trial_create, true, true},
	{"send", trial_send, false, true},	   {"report", trial_report, false, true},
	{"reload", trial_reload, true, true},	   {"storm", trial_storm, false, true},
	{"seen", trial_seen, false, true},	   {"rename", trial_rename, true, true},
	{"enslave", trial_enslave, true, true},	   {"move", trial_move, true, true},
	{"settle", trial_settle, false, true},	   {"delete", trial_delete, true, true},
	{"reroute", trial_reroute, true, true},	   {"end", trial_end, false, false},
	{"failover", trial_fail_over, true, true}, {"unplug", trial_unplug, true, true},
	{"plug", trial_plug, true, true},	   {"stop", trial_stop, false, true},
};

static const struct verb *find_verb(const char *line, const char **rest)
{
	size_t length = strcspn(line, " ");

	*rest = line + length + (line[length] == ' ');
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strlen(verbs[i].name) == length && !strncmp(verbs[i].name, line, length))
			return &verbs[i];
	return NULL;
}

static int trial_play_line(struct trial *trial, const char *line)
{
	int described = script_read_world(&trial->world, line);
	const struct verb *verb;
	const char *rest;
	int err;

	if (described)
		return described < 0 ? described : 0;
	verb = find_verb(line, &rest);
	if (!verb || (verb->needs_agent && !trial->agent))
		return -EINVAL;
	if (verb->is_change && trial->options->steps)
		trial_pause(trial);
	buffer_printf(&trial->history, "#   %s\n", line);
	err = verb->play(trial, rest);
	/* what differs was told already */
	return verb->is_change ? step(line, err) : err;
}

static bool trial_run(struct trial *trial, const char *script)
{
	char line[LINE_SIZE];
	unsigned int number = 0;

	while (*script) {
		size_t length = strcspn(script, "\n");
		int err = 0;

		number++;
		snprintf(line, sizeof(line), "%.*s", (int)length, script);
		if (length && line[0] != '#')
			err = trial_play_line(trial, line);
		if (err == -EINVAL)
			printf("# line %u is wrong: %s\n", number, line);
		if (err)
			return false;
		script += length + (script[length] == '\n');
	}
	return true;
}

static void trial_print(const struct trial *trial)
{
	printf("# attach %s, nat %s\n", trial->attach, trial->join ? "auto" : "off");
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
	/* an agent that was ended by force leaves its socket */
	static const char *const names[] = {"flowtally.conf", "report-id", "control.sock"};
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	if (rmdir(directory))
		printf("# %s: %s\n", directory, strerror(errno));
}

bool trial_play(const char *script, const struct trial_options *options)
{
	struct trial *trial = calloc(1, sizeof(*trial));
	bool good = false;

	if (!trial)
		return false;
	trial->options = options;
	snprintf(trial->attach, sizeof(trial->attach), "clsact");
	snprintf(trial->directory, sizeof(trial->directory), "/tmp/topology.XXXXXX");
	if (mkdtemp(trial->directory)) {
		good = trial_run(trial, script);
		if (!good || options->verbose)
			trial_print(trial);
		if (!good && options->keep)
			trial_pause(trial);
		agent_free(trial->agent);
		traffic_close(&trial->world);
		kernel_free(trial->kernel);
		remove_directory(trial->directory);
	}
	buffer_free(&trial->history);
	free(trial);
	return good;
}
