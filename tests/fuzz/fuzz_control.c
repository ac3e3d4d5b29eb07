// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a client writes to the control socket of the real server. The first byte says how many bytes
 * it writes at once, 0: all; but it writes 64 times at most, or long inputs would be slow. Every
 * line that comes back is an answer, and in the end the server hangs up.
 */
#include "control/answer.h"
#include "control/place.h"
#include "control/request.h"
#include "control/server.h"
#include "lib/array.h"
#include "lib/buffer.h"
#include "report/filtered.h"
#include "report/report.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WRITE_MAX (64 << 10) /* less than the room in a socket */

static char directory[64];
static struct control_server *server;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static struct report_interface interfaces[] = {{.name = "br0"}, {.name = "eth0"}};
static const char *const names[] = {"br0", "eth0"};
static uint32_t crossed[] = {0, 1};
static struct report_flow flow = {
	.key = {.addr = {{.bytes = {[10] = 0xff, [11] = 0xff, 10, 1, 0, 2}},
			 {.bytes = {[10] = 0xff, [11] = 0xff, 10, 1, 0, 1}}},
		.family = FLOW_IPV4,
		.protocol = 17},
	.interface_count = ARRAY_SIZE(crossed)};
static const struct report report = {.interfaces = interfaces,
				     .interface_count = ARRAY_SIZE(interfaces),
				     .flows = &flow,
				     .flow_count = 1,
				     .crossed = crossed,
				     .crossed_count = ARRAY_SIZE(crossed)};

static json_t *answer(void *data, const struct control_request *request)
{
	const struct query *query = &request->query;

	(void)data;
	if (request->kind != CONTROL_FLOWS)
		return json_pack("{s:s}", "kind", control_request_name(request->kind));
	fuzz_require(query->limit >= 1 && query->limit <= QUERY_LIMIT);
	return json_pack("{s:b,s:s}", "matches",
			 report_flow_is_selected(&report, names, &flow, &query->filter), "sort",
			 query_sort_name(query->sort));
}

static void stop(void)
{
	control_server_free(server);
	rmdir(directory);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *tmp = getenv("TMPDIR");
	char problem[256];

	(void)argc;
	(void)argv;
	snprintf(directory, sizeof(directory), "%s/fuzz-XXXXXX", tmp ? tmp : "/tmp");
	fuzz_require(mkdtemp(directory) && !setenv("RUNTIME_DIRECTORY", directory, 1));
	fuzz_require(!control_server_new(&server, answer, NULL, problem, sizeof(problem)));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", control_server_path(server));
	atexit(stop);
	return 0;
}

static void require_answers(const struct buffer *text)
{
	const char *at = text->data, *end = text->size ? at + text->size : at;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		json_t *object = NULL;
		char problem[256];
		int r;

		fuzz_require(newline);
		r = control_answer_parse(&object, at, (size_t)(newline - at), "socket",
					 control_netns(), problem, sizeof(problem));
		fuzz_require(r == 0 || (r == -EPROTO && strstr(problem, "refused")));
		json_decref(object);
		at = newline + 1;
	}
}

/* Takes what has come. Whether the server has hung up. */
static bool receive(int fd, struct buffer *text)
{
	char chunk[4096];
	ssize_t n;

	control_server_dispatch(server);
	while ((n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0)
		buffer_append(text, chunk, (size_t)n);
	/* who is told to go before all was read finds the connection reset */
	return n == 0 || errno != EAGAIN;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = 1, step = size && data[0] ? data[0] + size / 64 : WRITE_MAX;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct buffer text = {0};

	fuzz_require(fd >= 0);
	fuzz_require(!connect(fd, (const struct sockaddr *)&address, sizeof(address)));
	for (; at < size && at < WRITE_MAX; at += step) {
		size_t left = size - at;

		if (send(fd, data + at, left < step ? left : step, MSG_NOSIGNAL) < 0)
			break;
		(void)receive(fd, &text);
	}
	shutdown(fd, SHUT_WR);
	while (!receive(fd, &text))
		;
	close(fd);
	require_answers(&text);
	buffer_free(&text);
	return 0;
}
