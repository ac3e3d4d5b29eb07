// SPDX-License-Identifier: GPL-2.0-only
#include "tests/topology/agent.h"
#include "tests/topology/kernel.h"
#include "tests/topology/path.h"

#include "lib/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_NS	 (60 * NSEC_PER_SEC)
#define LOG_SIZE (64 << 10)
#define OUT_SIZE (256 << 10)

/* $PATIENCE times as long on a slow machine. */
static int64_t wait_ns(void)
{
	const char *patience = getenv("PATIENCE");

	return WAIT_NS * (patience ? atoi(patience) : 1);
}

struct text {
	char *data; /* owned; terminated */
	size_t size, capacity;
	size_t at; /* what was before was dealt with */
	int fd;	   /* owned; the end of a pipe to read */
	bool ended;
};

struct agent {
	struct kernel *kernel; /* borrowed */
	const char *program;   /* borrowed */
	pid_t pid;	       /* 0: it has ended */
	bool asked;	       /* for a report that has not come */
	struct text log, out;
};

static int text_init(struct text *text, size_t capacity, int *write_end)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	*text = (struct text){.data = calloc(1, capacity + 1), .capacity = capacity, .fd = fds[0]};
	*write_end = fds[1];
	return text->data ? 0 : -ENOMEM;
}

static void text_clean(struct text *text)
{
	free(text->data);
	if (text->fd >= 0)
		close(text->fd);
}

static int text_read(struct text *text)
{
	ssize_t got;

	if (text->size == text->capacity)
		return -EFBIG;
	got = read(text->fd, text->data + text->size, text->capacity - text->size);
	if (got < 0)
		return errno == EINTR ? 0 : -errno;
	text->ended = !got;
	text->size += (size_t)got;
	text->data[text->size] = '\0';
	return 0;
}

/* Reads from both pipes, so that the agent never waits for us while we wait for it. */
static int agent_read(struct agent *agent, int64_t end_ns)
{
	struct text *texts[2] = {&agent->log, &agent->out};
	struct pollfd ready[2];
	int64_t left_ns = end_ns - clock_boottime_ns();
	int err = 0;

	if (agent->log.ended && agent->out.ended)
		return -EPIPE;
	for (int i = 0; i < 2; i++)
		ready[i] = (struct pollfd){.fd = texts[i]->ended ? -1 : texts[i]->fd,
					   .events = POLLIN};
	if (left_ns <= 0 || poll(ready, 2, (int)(left_ns / NSEC_PER_MSEC) + 1) <= 0)
		return -ETIMEDOUT;
	for (int i = 0; i < 2 && !err; i++)
		if (ready[i].revents)
			err = text_read(texts[i]);
	return err;
}

static void agent_exec(const char *program, const char *attach, const char *directory, int out,
		       int log)
{
	char config[256];

	snprintf(config, sizeof(config), "%s/flowtally.conf", directory);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("STATE_DIRECTORY", directory, 1);
	setenv("RUNTIME_DIRECTORY", directory, 1);
	unsetenv("JOURNAL_STREAM");
	dup2(out, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	execl(program, program, "run", "-c", config, "-t", "3600", "-f", "json", "-a", attach, "-v",
	      NULL);
	_exit(127);
}

static int agent_fork(struct agent *agent, const char *program, const char *attach,
		      const char *directory, int out, int log)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid)
		agent_exec(program, attach, directory, out, log);
	agent->pid = pid;
	return 0;
}

int agent_new(struct agent **ret, struct kernel *kernel, const char *program, const char *attach,
	      const char *directory)
{
	struct agent *agent = calloc(1, sizeof(*agent));
	int log = -1, out = -1, err;

	if (!agent)
		return -ENOMEM;
	agent->kernel = kernel;
	agent->program = program;
	agent->log.fd = agent->out.fd = -1;
	err = text_init(&agent->log, LOG_SIZE, &log) ?: text_init(&agent->out, OUT_SIZE, &out);
	if (!err)
		err = kernel_enter(kernel, HOST);
	if (!err) {
		int left;

		err = agent_fork(agent, program, attach, directory, out, log);
		left = kernel_leave(kernel);
		err = err ? err : left;
	}
	if (log >= 0)
		close(log);
	if (out >= 0)
		close(out);
	if (!err)
		err = agent_wait_log(agent, "watching ");
	if (err) {
		agent_print_log(agent);
		agent_free(agent);
		return err;
	}
	*ret = agent;
	return 0;
}

/* What a killed agent has pinned outlives its namespace. */
static void agent_clean_up(const struct agent *agent)
{
	pid_t pid = fork();

	if (!pid) {
		int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

		if (nowhere < 0 || kernel_enter(agent->kernel, HOST))
			_exit(127);
		dup2(nowhere, STDERR_FILENO);
		execl(agent->program, agent->program, "cleanup", NULL);
		_exit(127);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

void agent_free(struct agent *agent)
{
	if (!agent)
		return;
	if (agent->pid) {
		kill(agent->pid, SIGKILL);
		waitpid(agent->pid, NULL, 0);
		agent_clean_up(agent);
	}
	text_clean(&agent->log);
	text_clean(&agent->out);
	free(agent);
}

int agent_configure(const char *directory, const char *include, const char *exclude, bool join)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/flowtally.conf", directory);
	file = fopen(path, "we");
	if (!file)
		return -errno;
	fprintf(file, "[interfaces]\ninclude = %s\nexclude = %s\n[flows]\nnat = %s\n", include,
		exclude, join ? "auto" : "off");
	return fclose(file) ? -errno : 0;
}

int agent_wait_log(struct agent *agent, const char *line)
{
	int64_t end_ns = clock_boottime_ns() + wait_ns();
	struct text *log = &agent->log;
	char wanted[128];

	snprintf(wanted, sizeof(wanted), "flowtally: %s", line);
	for (;;) {
		const char *found = strstr(log->data + log->at, wanted);
		int err;

		if (found) {
			log->at = (size_t)(found - log->data) + strlen(wanted);
			return 0;
		}
		err = agent_read(agent, end_ns);
		if (err)
			return err;
	}
}

/* As the log says before end. A name may go from one link to another, or come back. */
static bool is_attached(const char *log, const char *end, const char *name)
{
	char subject[32], words[32], more[32], object[32];
	bool attached = false;

	for (const char *line = log; line < end; line += strcspn(line, "\n") + 1) {
		int n = sscanf(line, "flowtally: %31[^: ]: %31s %31s %31s", subject, words, more,
			       object);

		if (n == 4 && !strcmp(words, "renamed") && !strcmp(object, name))
			attached = is_attached(log, line, subject);
		if (n < 2 || strcmp(subject, name))
			continue;
		if (!strcmp(words, "attached"))
			attached = true;
		if (!strcmp(words, "detached") || !strcmp(words, "gone"))
			attached = false;
	}
	return attached;
}

int agent_wait_attached(struct agent *agent, const char *name, bool attached)
{
	int64_t end_ns = clock_boottime_ns() + wait_ns();
	const struct text *log = &agent->log;
	int err = 0;

	while (is_attached(log->data, log->data + log->size, name) != attached && !err)
		err = agent_read(agent, end_ns);
	return err;
}

int agent_reload(struct agent *agent)
{
	if (kill(agent->pid, SIGHUP))
		return -errno;
	return agent_wait_log(agent, "configuration is read again");
}

/* The number behind the first place of name in the line. */
static bool find_number(const char *line, const char *name, uint64_t *ret)
{
	const char *found = strstr(line, name);

	if (!found)
		return false;
	*ret = strtoull(found + strlen(name), NULL, 10);
	return true;
}

/* "source":{"ip":"...","port":...,"bytes":...,"packets":...} */
static bool parse_end(const char *line, const char *name, struct tally_end *end, uint64_t *bytes,
		      uint64_t *packets)
{
	char text[INET6_ADDRSTRLEN + 1];
	const char *found = strstr(line, name);
	uint64_t port;

	if (!found || sscanf(found + strlen(name), "{\"ip\":\"%46[0-9a-f.:]\"", text) != 1 ||
	    !find_number(found, "\"port\":", &port) || !find_number(found, "\"bytes\":", bytes) ||
	    !find_number(found, "\"packets\":", packets))
		return false;
	*end = (struct tally_end){.port = (uint16_t)port};
	if (strchr(text, ':'))
		return inet_pton(AF_INET6, text, end->address) == 1;
	end->address[10] = end->address[11] = 0xff;
	return inet_pton(AF_INET, text, end->address + 12) == 1;
}

static bool parse_flow(const char *line, struct tally *tally)
{
	uint64_t bytes[2], packets[2];
	struct tally_end ends[2];

	if (!parse_end(line, "\"source\":", &ends[0], &bytes[0], &packets[0]) ||
	    !parse_end(line, "\"destination\":", &ends[1], &bytes[1], &packets[1]))
		return false;
	for (int i = 0; i < 2; i++)
		if (ends[i].port == GENEVE_PORT)
			ends[!i].port = 0;
	for (int i = 0; i < 2; i++)
		tally_add(tally, &ends[i], &ends[!i], bytes[i], packets[i]);
	return true;
}

/*
 * Flows and totals; those of tunnels' outer packets stand beside the others. All of them have
 * lines.
 */
static bool parse_head(const char *line, struct tally *tally, uint64_t *flows)
{
	static const char network[] = "\"network\":", none[] = "\"unattributed\":[";
	size_t size = strlen(tally->unattributed);
	uint64_t number, bytes, packets;
	const char *at;

	*flows = 0;
	for (at = line; find_number(at, "\"flows\":", &number); at = strstr(at, "\"flows\":") + 1)
		*flows += number;
	for (at = strstr(line, network); at; at = strstr(at + 1, network)) {
		if (!find_number(at, "\"bytes\":", &bytes) ||
		    !find_number(at, "\"packets\":", &packets))
			return false;
		/* the totals as they are said: the lines are added up without them */
		tally->said_bytes += bytes;
		tally->said_packets += packets;
	}
	at = strstr(line, none);
	if (at && at[strlen(none)] != ']')
		snprintf(tally->unattributed + size, sizeof(tally->unattributed) - size, "%s", at);
	return at;
}

/* Takes the next line out of the output; NULL: it is not there yet. */
static char *take_line(struct text *out)
{
	char *line = out->data + out->at, *end = strchr(line, '\n');

	if (!end)
		return NULL;
	*end = '\0';
	out->at = (size_t)(end - out->data) + 1;
	return line;
}

static int read_line(struct agent *agent, int64_t end_ns, char **line)
{
	while (!(*line = take_line(&agent->out))) {
		int err = agent_read(agent, end_ns);

		if (err)
			return err;
	}
	return 0;
}

static int read_report(struct agent *agent, struct tally *tally)
{
	int64_t end_ns = clock_boottime_ns() + wait_ns();
	uint64_t flows;
	char *line;
	int err = read_line(agent, end_ns, &line);

	if (err)
		return err;
	if (!parse_head(line, tally, &flows))
		return -EBADMSG;
	while (flows--) {
		err = read_line(agent, end_ns, &line);
		if (err)
			return err;
		if (!parse_flow(line, tally))
			return -EBADMSG;
	}
	/* room for more; without many reports all of them are kept, to be looked at */
	if (agent->out.size > OUT_SIZE / 2 && agent->out.at == agent->out.size)
		agent->out.at = agent->out.size = 0;
	return 0;
}

int agent_report(struct agent *agent, struct tally *tally)
{
	return kill(agent->pid, SIGUSR1) ? -errno : read_report(agent, tally);
}

int agent_ask(struct agent *agent)
{
	if (agent->asked)
		return 0;
	agent->asked = true;
	return kill(agent->pid, SIGUSR1) ? -errno : 0;
}

int agent_take_last(struct agent *agent, struct tally *tally)
{
	if (!agent->asked)
		return 0;
	agent->asked = false;
	return read_report(agent, tally);
}

int agent_take(struct agent *agent, struct tally *tally)
{
	struct pollfd ready = {.fd = agent->out.fd, .events = POLLIN};
	int err;

	if (!agent->asked || poll(&ready, 1, 0) <= 0)
		return 0;
	err = agent_take_last(agent, tally);
	return err ? err : 1;
}

int agent_stop(struct agent *agent, struct tally *tally)
{
	int status, err = kill(agent->pid, SIGTERM) ? -errno : read_report(agent, tally);

	if (err)
		return err;
	if (waitpid(agent->pid, &status, 0) != agent->pid)
		return -errno;
	agent->pid = 0;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ECHILD;
}

void agent_print_log(const struct agent *agent)
{
	const char *line = agent->log.data;

	while (line && *line) {
		size_t length = strcspn(line, "\n");

		printf("#   %.*s\n", (int)length, line);
		line += length + (line[length] == '\n');
	}
}

void agent_print_reports(const struct agent *agent)
{
	/* lines that were taken are terminated */
	for (size_t at = 0; at < agent->out.size; at += strcspn(agent->out.data + at, "\n") + 1)
		printf("#   %.*s\n", (int)strcspn(agent->out.data + at, "\n"),
		       agent->out.data + at);
}
