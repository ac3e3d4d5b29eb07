// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the agent follows links, seen from outside: from the kernel's message about a link to the
 * line that says it is counted, one by one and in a storm; start with many links; memory; rest.
 *
 *   bench_attach FLOWTALLY [links|storm|start|rest]...    all of them if none is named
 */
#include "lib/array.h"
#include "lib/clock.h"
#include "netlink/addr.h"
#include "netlink/link.h"
#include "netlink/rtnl.h"
#include "netlink/tc.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ONE_BY_ONE  300
#define STORM_PAIRS 500
#define IDLE_S	    60
#define SETTLE_S    65
#define PATIENCE_MS 300000

struct agent {
	pid_t pid;
	int log_fd;
	char line[512]; /* the beginning of one that is not complete yet */
	size_t length;
	size_t attached; /* lines that say so */
	bool started;
	int64_t last_ns; /* when the last of them came */
};

struct bench {
	const char *program;
	const char *mode;
	struct agent agent;
	struct rtnl *rtnl;
	char awaited[IF_NAMESIZE]; /* the link whose coming is to be noted; "": any */
	int64_t told_ns;	   /* when the kernel told of it; any: of the last new one */
	uint32_t highest_ifindex;
};

static void require(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int on_link(void *data, const struct link *link)
{
	struct bench *bench = data;

	if (link->gone || link->ifindex <= bench->highest_ifindex)
		return 0;
	bench->highest_ifindex = link->ifindex;
	if (!bench->awaited[0] || !strcmp(bench->awaited, link->name))
		bench->told_ns = clock_boottime_ns();
	return 0;
}

static int on_addr(void *data, const struct addr *addr)
{
	(void)data;
	(void)addr;
	return 0;
}

static void on_dump(void *data)
{
	(void)data;
}

static void watch_links(struct bench *bench)
{
	const struct rtnl_handlers handlers = {
		.link = on_link,
		.addr = on_addr,
		.dump_begin = on_dump,
		.dump_end = on_dump,
		.data = bench,
	};

	require(!rtnl_new(&bench->rtnl, &handlers), "rtnetlink");
	require(!rtnl_dump(bench->rtnl), "links");
}

static void agent_start(struct bench *bench)
{
	struct agent *agent = &bench->agent;
	int log[2];

	*agent = (struct agent){0};
	require(!pipe2(log, O_CLOEXEC), "pipe");
	agent->pid = fork();
	require(agent->pid >= 0, "fork");
	if (!agent->pid) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(log[1], STDERR_FILENO);
		execl(bench->program, bench->program, "run", "-v", "-t", "86400", "-o", "/dev/null",
		      "-a", bench->mode, NULL);
		_exit(127);
	}
	close(log[1]);
	agent->log_fd = log[0];
	require(!fcntl(agent->log_fd, F_SETFL, O_NONBLOCK), "fcntl");
}

static void agent_line(struct agent *agent)
{
	if (strstr(agent->line, "first report"))
		agent->started = true;
	if (!strstr(agent->line, ": attached with "))
		return;
	agent->attached++;
	agent->last_ns = clock_boottime_ns();
}

static void agent_read(struct agent *agent)
{
	char text[4096];
	ssize_t size = read(agent->log_fd, text, sizeof(text));

	require(size > 0, "the agent ended");
	for (ssize_t i = 0; i < size; i++) {
		if (text[i] != '\n') {
			if (agent->length + 1 < sizeof(agent->line))
				agent->line[agent->length++] = text[i];
			continue;
		}
		agent->line[agent->length] = '\0';
		agent_line(agent);
		agent->length = 0;
	}
}

static void take_events(struct bench *bench, int timeout_ms)
{
	struct pollfd fds[] = {
		{.fd = rtnl_fd(bench->rtnl), .events = POLLIN},
		{.fd = bench->agent.log_fd, .events = POLLIN},
	};

	require(poll(fds, ARRAY_SIZE(fds), timeout_ms) >= 0, "poll");
	if (fds[0].revents)
		require(!rtnl_dispatch(bench->rtnl), "links");
	if (fds[1].revents)
		agent_read(&bench->agent);
}

static void agent_wait(struct bench *bench, size_t attached)
{
	int64_t deadline_ns = clock_boottime_ns() + PATIENCE_MS * NSEC_PER_MSEC;

	while (!bench->agent.started || bench->agent.attached < attached) {
		take_events(bench, 1000);
		errno = ETIMEDOUT;
		require(clock_boottime_ns() < deadline_ns, "attached interfaces");
	}
}

static double agent_stop(struct bench *bench)
{
	int64_t begin_ns = clock_boottime_ns();
	int status;

	kill(bench->agent.pid, SIGTERM);
	/* nobody must wait for us to read */
	require(!fcntl(bench->agent.log_fd, F_SETFL, 0), "fcntl");
	for (char text[4096]; read(bench->agent.log_fd, text, sizeof(text)) > 0;)
		;
	require(waitpid(bench->agent.pid, &status, 0) == bench->agent.pid && !status, "the agent");
	close(bench->agent.log_fd);
	return (double)(clock_boottime_ns() - begin_ns) / NSEC_PER_SEC;
}

/* A number of /proc/PID/status. */
static long agent_status(const struct bench *bench, const char *field)
{
	char path[64], line[256];
	long value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", bench->agent.pid);
	file = fopen(path, "re");
	require(file, path);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, field, strlen(field)) && line[strlen(field)] == ':')
			value = strtol(line + strlen(field) + 1, NULL, 10);
	fclose(file);
	return value;
}

static double agent_cpu_s(const struct bench *bench)
{
	unsigned long user = 0, system = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", bench->agent.pid);
	file = fopen(path, "re");
	require(file, path);
	require(fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
		       &system) == 2,
		path);
	fclose(file);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* It sleeps, and not because it waits for the kernel. */
static bool agent_rests(const struct bench *bench)
{
	char path[64], state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", bench->agent.pid);
	file = fopen(path, "re");
	require(file && fscanf(file, "%*d %*s %c", &state) == 1, path);
	fclose(file);
	return state == 'S';
}

static void agent_let_rest(const struct bench *bench)
{
	for (int seen = 0; seen < 5; seen = agent_rests(bench) ? seen + 1 : 0)
		usleep(5000);
}

/* Kernel memory of the agent's maps, as the kernel tells with their descriptors, in KiB. */
static double agent_maps_kib(const struct bench *bench)
{
	double bytes = 0;
	char command[256];
	FILE *pipe;

	snprintf(command, sizeof(command),
		 "cat /proc/%d/fdinfo/* 2>/dev/null | awk '/^map_type/ { m = 1 } /^memlock/ { s = "
		 "$2 } /^map_id/ { seen[$2] = s } END { for (i in seen) t += seen[i]; print t }'",
		 bench->agent.pid);
	pipe = popen(command, "re");
	require(pipe && fscanf(pipe, "%lf", &bytes) == 1, "fdinfo");
	pclose(pipe);
	return bytes / 1024;
}

static FILE *batch_begin(void)
{
	FILE *batch = popen("ip -batch -", "we");

	require(batch, "ip");
	return batch;
}

static void make_pairs(unsigned int first, unsigned int count)
{
	FILE *batch = batch_begin();

	for (unsigned int i = first; i < first + count; i++)
		fprintf(batch, "link add a%u type veth peer name b%u\n", i, i);
	require(!pclose(batch), "ip");
}

/* A process in a network namespace of its own, for the other ends. */
static pid_t make_elsewhere(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	require(!pipe2(ready, O_CLOEXEC), "pipe");
	pid = fork();
	require(pid >= 0, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET))
			_exit(1);
		close(ready[0]);
		close(ready[1]);
		pause();
		_exit(0);
	}
	close(ready[1]);
	require(read(ready[0], &byte, 1) == 0, "unshare");
	close(ready[0]);
	return pid;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct links {
	double ms[ONE_BY_ONE];
	pid_t elsewhere;
	FILE *batch;
};

static void links_begin(struct links *links)
{
	links->elsewhere = make_elsewhere();
	links->batch = batch_begin();
}

/* Asks for the i-th link, whose coming is to be noted. */
static void links_make(struct links *links, struct bench *bench, unsigned int i)
{
	snprintf(bench->awaited, sizeof(bench->awaited), "a%u", i);
	bench->told_ns = 0;
	fprintf(links->batch, "link add a%u type veth peer name b%u netns %d\n", i, i,
		links->elsewhere);
	fflush(links->batch);
}

static void links_end(struct links *links, const char *what)
{
	double *ms = links->ms;

	qsort(ms, ONE_BY_ONE, sizeof(*ms), compare);
	printf("| %s | %d | %.2f | %.2f | %.2f | %.2f |\n", what, ONE_BY_ONE, ms[ONE_BY_ONE / 2],
	       ms[ONE_BY_ONE * 90 / 100], ms[ONE_BY_ONE * 99 / 100], ms[ONE_BY_ONE - 1]);
	pclose(links->batch);
	kill(links->elsewhere, SIGKILL);
	waitpid(links->elsewhere, NULL, 0);
}

static void bench_one_by_one(struct bench *bench)
{
	struct links links;

	links_begin(&links);
	agent_start(bench);
	agent_wait(bench, 0);
	agent_let_rest(bench);
	for (unsigned int i = 0; i < ONE_BY_ONE; i++) {
		size_t before = bench->agent.attached;

		links_make(&links, bench, i);
		while (!bench->told_ns || bench->agent.attached == before)
			take_events(bench, 1000);
		links.ms[i] = (double)(bench->agent.last_ns - bench->told_ns) / NSEC_PER_MSEC;
		agent_let_rest(bench);
	}
	links_end(&links, bench->mode);
	agent_stop(bench);
}

static int load_nothing(void)
{
	const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_UNSPEC},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "nothing", "GPL", nothing,
			     ARRAY_SIZE(nothing), NULL);
}

/* What the kernel takes for the same messages: a qdisc, and a program that does nothing on both
 * hooks of it. */
static void bench_kernel_alone(struct bench *bench)
{
	int program_fd = load_nothing();
	struct links links;
	struct tc *tc;

	require(program_fd >= 0, "program");
	require(!tc_new(&tc), "tc");
	bench->agent.log_fd = -1;
	links_begin(&links);
	for (unsigned int i = 0; i < ONE_BY_ONE; i++) {
		struct tc_change qdisc = {.kind = TC_CLSACT_ADD};
		struct tc_change filters[2];

		links_make(&links, bench, i);
		while (!bench->told_ns)
			take_events(bench, 1000);
		qdisc.ifindex = bench->highest_ifindex;
		for (enum tc_hook hook = 0; hook < TC_HOOKS; hook++)
			filters[hook] = (struct tc_change){
				.kind = TC_FILTER_ADD,
				.ifindex = qdisc.ifindex,
				.hook = hook,
				.priority = 1,
				.handle = 1,
				.program_fd = program_fd,
				.name = "nothing",
			};
		tc_change(tc, &qdisc, 1);
		tc_change(tc, filters, ARRAY_SIZE(filters));
		links.ms[i] = (double)(clock_boottime_ns() - bench->told_ns) / NSEC_PER_MSEC;
		require(!qdisc.result && !filters[0].result && !filters[1].result, "clsact");
		usleep(20000);
	}
	links_end(&links, bench->mode);
	tc_free(tc);
	close(program_fd);
}

static void bench_storm(struct bench *bench)
{
	double cpu_s, last_s;
	size_t before;
	pid_t maker;

	agent_start(bench);
	agent_wait(bench, 0);
	before = bench->agent.attached;
	cpu_s = agent_cpu_s(bench);
	maker = fork();
	require(maker >= 0, "fork");
	if (!maker) {
		make_pairs(0, STORM_PAIRS);
		_exit(0);
	}
	agent_wait(bench, before + 2 * (size_t)STORM_PAIRS);
	waitpid(maker, NULL, 0);
	last_s = (double)(bench->agent.last_ns - bench->told_ns) / NSEC_PER_SEC;
	cpu_s = agent_cpu_s(bench) - cpu_s;
	printf("| %s | %d | %.2f | %.2f | %.2f |\n", bench->mode, STORM_PAIRS, last_s, cpu_s,
	       agent_stop(bench));
}

/* All at once, as a host's containers go. Returns the seconds that ip took. */
static double delete_pairs(unsigned int count)
{
	int64_t begin_ns = clock_boottime_ns();
	FILE *batch = batch_begin();

	for (unsigned int i = 0; i < count; i++)
		fprintf(batch, "link del a%u\n", i);
	require(!pclose(batch), "ip");
	return (double)(clock_boottime_ns() - begin_ns) / NSEC_PER_SEC;
}

static void bench_start(struct bench *bench, unsigned int pairs)
{
	double start_s, cpu_s, delete_s, end_s;
	long resident_kib;
	int64_t begin_ns;

	make_pairs(0, pairs);
	begin_ns = clock_boottime_ns();
	agent_start(bench);
	agent_wait(bench, 2 * (size_t)pairs);
	start_s = (double)(clock_boottime_ns() - begin_ns) / NSEC_PER_SEC;
	cpu_s = agent_cpu_s(bench);
	resident_kib = agent_status(bench, "VmRSS");
	end_s = agent_stop(bench);
	agent_start(bench);
	agent_wait(bench, 2 * (size_t)pairs);
	agent_let_rest(bench);
	/* the agent follows, and nobody has to read what it says of it */
	delete_s = delete_pairs(pairs);
	agent_stop(bench);
	make_pairs(0, pairs);
	printf("| %s | %u | %.2f | %.2f | %.2f | %.1f | %.2f | %.2f | %.2f |\n", bench->mode,
	       2 * pairs, start_s, cpu_s, 1e3 * cpu_s / (2 * pairs), (double)resident_kib / 1024,
	       end_s, delete_s, delete_pairs(pairs));
}

static void bench_start_few(struct bench *bench)
{
	bench_start(bench, 8);
}

static void bench_start_1000(struct bench *bench)
{
	bench_start(bench, 500);
}

static void bench_start_4000(struct bench *bench)
{
	bench_start(bench, 2000);
}

static void bench_rest(struct bench *bench)
{
	double maps_kib, each_kib;
	long woken;

	/* lo, and nine more */
	make_pairs(0, 4);
	require(!system("ip link add bridge0 type bridge"), "ip");
	agent_start(bench);
	agent_wait(bench, 10);
	/* what is done once after the start is done, and the links are not looked at as young ones
	 */
	sleep(SETTLE_S);
	printf("| resident memory with 10 idle interfaces | %.1f MiB |\n",
	       (double)agent_status(bench, "VmRSS") / 1024);
	maps_kib = agent_maps_kib(bench);
	woken = agent_status(bench, "voluntary_ctxt_switches");
	sleep(IDLE_S);
	printf("| wake-ups a minute, no traffic and no link events | %.0f |\n",
	       60.0 * (double)(agent_status(bench, "voluntary_ctxt_switches") - woken) / IDLE_S);
	make_pairs(4, 50);
	agent_wait(bench, 110);
	sleep(1);
	each_kib = (agent_maps_kib(bench) - maps_kib) / 100;
	printf("| kernel memory of maps for each idle interface | %.2f MiB |\n", each_kib / 1024);
	printf("| kernel memory of maps for all together, and two ready | %.1f MiB |\n",
	       (maps_kib - 10 * each_kib) / 1024);
	agent_stop(bench);
}

/* In a network namespace of its own, that goes with the process. */
static void in_namespace(const struct bench *base, const char *mode,
			 void (*measure)(struct bench *bench))
{
	struct bench bench = *base;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	require(pid >= 0, "fork");
	if (!pid) {
		require(!unshare(CLONE_NEWNET), "unshare");
		bench.mode = mode;
		watch_links(&bench);
		measure(&bench);
		rtnl_free(bench.rtnl);
		fflush(stdout);
		_exit(0);
	}
	require(waitpid(pid, &status, 0) == pid, "wait");
	if (status)
		exit(1);
}

static void table_links(const struct bench *bench)
{
	printf("Milliseconds from the kernel's message about a link to its first countable packet, "
	       "one link at a time (goal for p99: clsact 1, tcx 40):\n\n"
	       "| attach | links | median | p90 | p99 | longest |\n"
	       "| --- | --- | --- | --- | --- | --- |\n");
	in_namespace(bench, "clsact", bench_one_by_one);
	in_namespace(bench, "the kernel alone, clsact", bench_kernel_alone);
	in_namespace(bench, "tcx", bench_one_by_one);
}

static void table_storm(const struct bench *bench)
{
	printf("A storm, both ends here, in one `ip -batch`; seconds (goal: 1.5):\n\n"
	       "| attach | veth pairs | last created to all counted | CPU of the agent | its end "
	       "|\n"
	       "| --- | --- | --- | --- | --- |\n");
	for (int i = 0; i < 3; i++)
		in_namespace(bench, "auto", bench_storm);
}

static void table_start(const struct bench *bench)
{
	printf("Start with interfaces present; seconds (goal: 1,000 within 3):\n\n"
	       "| attach | interfaces | counting on all | CPU | CPU ms an interface | resident MiB "
	       "| its end | all links deleted while it runs | without it |\n"
	       "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
	in_namespace(bench, "clsact", bench_start_few);
	in_namespace(bench, "tcx", bench_start_few);
	in_namespace(bench, "auto", bench_start_1000);
	in_namespace(bench, "auto", bench_start_4000);
}

static void table_rest(const struct bench *bench)
{
	printf("At rest (goals: 12 MiB, 3 wake-ups, 1.1 MiB an interface):\n\n"
	       "| what | |\n| --- | --- |\n");
	in_namespace(bench, "auto", bench_rest);
}

static const struct {
	const char *name;
	void (*make)(const struct bench *bench);
} tables[] = {
	{"links", table_links},
	{"storm", table_storm},
	{"start", table_start},
	{"rest", table_rest},
};

static bool is_wanted(const char *table, int argc, char **argv)
{
	for (int i = 2; i < argc; i++)
		if (!strcmp(argv[i], table))
			return true;
	return argc == 2;
}

int main(int argc, char **argv)
{
	const struct bench bench = {.program = argv[1]};

	if (argc < 2) {
		fputs("usage: bench_attach FLOWTALLY [links|storm|start|rest]...\n", stderr);
		return 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		if (is_wanted(tables[i].name, argc, argv))
			tables[i].make(&bench);
	return 0;
}
