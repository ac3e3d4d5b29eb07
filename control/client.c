// SPDX-License-Identifier: GPL-2.0-only
#include "control/client.h"
#include "control/answer.h"
#include "control/place.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/clock.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* The agent may just be making a large report. */
#define CLIENT_PATIENCE_NS (20 * NSEC_PER_SEC)
#define CLIENT_ANSWER_SIZE ((size_t)64 << 20)
/* A signal that comes just before a wait does not end it. */
#define CLIENT_WAIT_NS (200 * NSEC_PER_MSEC)

#define UNIX_PATH_SIZE sizeof(((struct sockaddr_un *)NULL)->sun_path)

struct control_client {
	int fd;
	char path[UNIX_PATH_SIZE];
	struct buffer text; /* of an answer; kept for the next */
	bool (*is_over)(void);
};

/* A connected socket, or negative errno. -ECONNREFUSED, -ENOENT: nobody listens there. */
static int client_connect(const struct sockaddr_un *address)
{
	const struct timeval patience = {.tv_sec = CLIENT_PATIENCE_NS / NSEC_PER_SEC};
	_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* connect(2) waits for room in the backlog as long as send(2) may */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) ||
	    connect(fd, (const struct sockaddr *)address, sizeof(*address)))
		return -errno;
	return TAKE_FD(fd);
}

static int client_find(struct control_client *client, char *problem, size_t size)
{
	struct sockaddr_un address;
	int err;

	for (unsigned int i = 0; (err = control_place_candidate(i, &address)) != -ENOENT; i++) {
		int fd = err ? err : client_connect(&address);

		if (fd >= 0) {
			snprintf(client->path, sizeof(client->path), "%s", address.sun_path);
			client->fd = fd;
			return 0;
		}
		if (fd == -ENOENT || fd == -ECONNREFUSED || fd == -ENAMETOOLONG || fd == -ENOTDIR)
			continue;
		if (fd == -EACCES || fd == -EPERM)
			snprintf(problem, size,
				 "%s: permission denied: asking the agent needs root or the group "
				 "%s",
				 address.sun_path, CONTROL_GROUP);
		else
			snprintf(problem, size, "%s: cannot connect: %s", address.sun_path,
				 fd == -EAGAIN ? "the agent is busy" : strerror(-fd));
		return fd == -EPERM ? -EACCES : fd;
	}
	/* one that could not make its socket has said so in its log */
	snprintf(problem, size, "%s, or it has no control socket (its log says why)",
		 control_nobody);
	return -ESRCH;
}

int control_client_new(struct control_client **ret, char *problem, size_t size)
{
	struct control_client *client = calloc(1, sizeof(*client));
	int err;

	if (!client) {
		snprintf(problem, size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	err = client_find(client, problem, size);
	if (err) {
		free(client);
		return err;
	}
	*ret = client;
	return 0;
}

void control_client_free(struct control_client *client)
{
	if (!client)
		return;
	close(client->fd);
	buffer_free(&client->text);
	free(client);
}

void control_client_heed(struct control_client *client, bool (*is_over)(void))
{
	client->is_over = is_over;
}

static int client_send(const struct control_client *client, const json_t *request)
{
	_free_ char *text = json_dumps(request, JSON_COMPACT);
	size_t size = text ? strlen(text) : 0;

	if (!text)
		return -ENOMEM;
	text[size++] = '\n'; /* in place of the terminator */
	for (size_t done = 0; done < size;) {
		ssize_t n = send(client->fd, text + done, size - done, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return errno == EPIPE ? -ECONNRESET : -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* A line into client->text, without its newline. */
static int client_receive(struct control_client *client)
{
	int64_t end_ns = clock_boottime_ns() + CLIENT_PATIENCE_NS;
	struct pollfd ready = {.fd = client->fd, .events = POLLIN};
	char chunk[65536];

	buffer_reset(&client->text);
	while (client->text.size < CLIENT_ANSWER_SIZE) {
		int64_t left_ns = end_ns - clock_boottime_ns();
		ssize_t n;

		if (left_ns <= 0)
			return -ETIMEDOUT;
		if (client->is_over && client->is_over())
			return -EINTR;
		/* a resized terminal interrupts it, too */
		if (left_ns > CLIENT_WAIT_NS)
			left_ns = CLIENT_WAIT_NS;
		if (poll(&ready, 1, (int)(left_ns / NSEC_PER_MSEC) + 1) <= 0)
			continue;
		n = recv(client->fd, chunk, sizeof(chunk), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ECONNRESET;
		buffer_append(&client->text, chunk, (size_t)n);
		if (buffer_error(&client->text))
			return buffer_error(&client->text);
		if (chunk[n - 1] == '\n') {
			client->text.size--;
			return 0;
		}
	}
	return -EMSGSIZE;
}

int control_client_ask(struct control_client *client, json_t *request, json_t **answer,
		       char *problem, size_t size)
{
	int err = request ? client_send(client, request) : -ENOMEM;

	json_decref(request);
	if (!err)
		err = client_receive(client);
	if (err) {
		snprintf(problem, size, "%s: no answer: %s", client->path,
			 err == -ECONNRESET ? "the agent ended, or it is none" : strerror(-err));
		return err;
	}
	return control_answer_parse(answer, client->text.data, client->text.size, client->path,
				    control_netns(), problem, size);
}

int control_exit_status(int err)
{
	if (!err)
		return CONTROL_OK;
	return err == -ESRCH ? CONTROL_NOT_RUNNING : CONTROL_FAILED;
}
