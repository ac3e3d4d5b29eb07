// SPDX-License-Identifier: GPL-2.0-only
/* Requests, the place of the socket, and a server with clients of all manners. */
#include "control/answer.h"
#include "control/client.h"
#include "control/place.h"
#include "control/request.h"
#include "control/server.h"
#include "lib/array.h"
#include "lib/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static char directory[32];
static char problem[256];
static struct control_server *server;
static size_t answer_size; /* of the next answers */
static int asked;

static int setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/flowtally-XXXXXX");
	assert_non_null(mkdtemp(directory));
	setenv("RUNTIME_DIRECTORY", directory, 1);
	server = NULL;
	answer_size = 0;
	asked = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	control_server_free(server);
	/* the directory is empty again: nothing is left behind */
	assert_int_equal(rmdir(directory), 0);
	return 0;
}

static const char *path_of(const char *name)
{
	static char path[96];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static const char *own_name(void)
{
	static char name[48];

	snprintf(name, sizeof(name), "control-%llu.sock", (unsigned long long)control_netns());
	return name;
}

static void assert_parses(const char *line, enum control_request_kind kind)
{
	struct control_request request = {.kind = CONTROL_REQUESTS};

	assert_int_equal(control_request_parse(&request, line, strlen(line), problem,
					       sizeof(problem)),
			 0);
	assert_int_equal(request.kind, kind);
	control_request_clean(&request);
}

static void assert_refused(const char *line, size_t size, const char *words)
{
	struct control_request request;

	assert_int_equal(control_request_parse(&request, line, size, problem, sizeof(problem)),
			 -EINVAL);
	if (!strstr(problem, words))
		fail_msg("'%s' is not in '%s'", words, problem);
}

static void test_requests(void **state)
{
	static const char nul[] = "{\"request\":\"status\0\"}";
	char deep[CONTROL_REQUEST_SIZE];

	(void)state;
	assert_parses("{\"request\":\"status\"}", CONTROL_STATUS);
	assert_parses(" { \"request\" : \"status\" } ", CONTROL_STATUS);
	assert_refused("", 0, "JSON object");
	assert_refused("status", 6, "JSON object");
	assert_refused("{}", 2, "\"request\"");
	assert_refused("[\"status\"]", 10, "\"request\"");
	assert_refused("{\"request\":1}", 13, "\"request\"");
	assert_refused("{\"request\":\"staus\"}", 19, "not known");
	assert_refused("{\"request\":\"status\"", 19, "JSON object");
	assert_refused("{\"request\":\"status\"} x", 22, "JSON object");
	assert_refused("{\"request\":\"status\",\"n\":1}", 26, "nothing else");
	assert_refused("{\"request\":\"status\",\"request\":\"status\"}", 39, "JSON object");
	assert_refused("{\"request\":\"\xff\"}", 14, "JSON object");
	assert_refused(nul, sizeof(nul) - 1, "JSON object");
	memset(deep, '[', sizeof(deep));
	assert_refused(deep, sizeof(deep), "JSON object");
}

static void test_flow_queries(void **state)
{
	static const char whole[] = "{\"request\":\"flows\",\"limit\":7,\"sort\":\"rate\","
				    "\"filter\":\"net:2001:db8::/32 port:443-444 or\\tproto:udp\"}";
	static const char *const wrong[] = {
		"\"limit\":0",
		"\"limit\":1001",
		"\"limit\":\"5\"",
		"\"limit\":1.5",
		"\"sort\":\"colour\"",
		"\"sort\":1",
		"\"filter\":4",
		"\"filter\":[\"port:1\"]",
		"\"filter\":\"net:1.2\"",
		"\"filter\":\"net:10.1.2.3/8\"",
		"\"filter\":\"port:65536\"",
		"\"filter\":\"port:443 proto:tcpp\"",
		"\"filter\":\"interface:\"",
		"\"filter\":\"or\"",
		"\"filter\":\"port:443 or\"",
		"\"filter\":\"\u00fc\"",
		"\"port\":443",
		"\"colour\":\"red\"",
	};
	struct control_request request;

	(void)state;
	assert_parses("{\"request\":\"flows\"}", CONTROL_FLOWS);
	assert_int_equal(control_request_parse(&request, whole, sizeof(whole) - 1, problem,
					       sizeof(problem)),
			 0);
	assert_int_equal(request.query.limit, 7);
	assert_int_equal(request.query.sort, QUERY_RATE);
	assert_int_equal(request.query.filter.count, 2);
	control_request_clean(&request);
	assert_parses("{\"request\":\"flows\",\"filter\":\"\"}", CONTROL_FLOWS);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		char line[128];

		snprintf(line, sizeof(line), "{\"request\":\"flows\",%s}", wrong[i]);
		assert_refused(line, strlen(line), " ");
	}
}

/* A filter is read as long as it is short, and is quoted as far as there is room. */
static void test_long_filters(void **state)
{
	static const char head[] = "{\"request\":\"flows\",\"filter\":\"";
	char line[1024];

	(void)state;
	for (size_t length = QUERY_FILTER_SIZE - 1; length <= QUERY_FILTER_SIZE; length++) {
		char *at = stpcpy(line, head);

		memset(at, '-', length);
		memcpy(at + length, "\"}", 3);
		assert_refused(line, strlen(line),
			       length < QUERY_FILTER_SIZE ? "-': is not net:"
							  : "at most 511 bytes");
	}
}

static struct control_place *claim(void)
{
	struct control_place *place = NULL;

	if (control_place_claim(&place, problem, sizeof(problem)))
		fail_msg("%s", problem);
	return place;
}

static void test_one_place_each(void **state)
{
	struct control_place *first = claim(), *second = claim();
	struct stat st;

	(void)state;
	assert_string_equal(control_place_path(first), path_of("control.sock"));
	assert_string_equal(control_place_path(second), path_of(own_name()));
	assert_int_equal(stat(control_place_path(first), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	control_place_free(first);
	assert_int_equal(access(path_of("control.sock"), F_OK), -1);
	control_place_free(second);
	assert_int_equal(access(path_of(own_name()), F_OK), -1);
}

/* A socket as a killed agent leaves it. */
static void leave_stale(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path_of(name));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
}

static void test_stale_is_replaced(void **state)
{
	struct control_place *place;

	(void)state;
	leave_stale("control.sock");
	place = claim();
	assert_string_equal(control_place_path(place), path_of("control.sock"));
	control_place_free(place);
}

static void test_stale_is_swept(void **state)
{
	struct control_place *place;

	(void)state;
	leave_stale(own_name());
	place = claim();
	assert_int_equal(control_place_sweep(), 1);
	assert_int_equal(access(control_place_path(place), F_OK), 0);
	control_place_free(place);
}

static void assert_no_place(const char *words)
{
	struct control_place *place;

	assert_true(control_place_claim(&place, problem, sizeof(problem)) < 0);
	if (!strstr(problem, words))
		fail_msg("'%s' is not in '%s'", words, problem);
}

static void test_foreign_is_left_alone(void **state)
{
	struct stat st;

	(void)state;
	close(open(path_of("control.sock"), O_CREAT | O_WRONLY, 0600));
	assert_no_place("is no socket");
	assert_int_equal(unlink(path_of("control.sock")), 0);
	/* a link to where somebody wants a file of ours */
	assert_int_equal(symlink("/nonexistent", path_of("control.sock")), 0);
	assert_no_place("is no socket");
	assert_int_equal(lstat(path_of("control.sock"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(unlink(path_of("control.sock")), 0);
}

static void test_directory_of_others(void **state)
{
	char link[80];

	(void)state;
	assert_int_equal(chmod(directory, 0777), 0);
	assert_no_place("only root can write");
	assert_int_equal(chmod(directory, 0755), 0);
	snprintf(link, sizeof(link), "%s.link", directory);
	assert_int_equal(symlink(directory, link), 0);
	setenv("RUNTIME_DIRECTORY", link, 1);
	assert_no_place("only root can write");
	assert_int_equal(unlink(link), 0);
	setenv("RUNTIME_DIRECTORY", "/proc/nothing", 1);
	assert_no_place("/proc/nothing");
}

/* Another agent took the path in the meantime: it is not ours to remove. */
static void test_only_own_is_removed(void **state)
{
	struct control_place *place = claim();

	(void)state;
	assert_int_equal(unlink(path_of("control.sock")), 0);
	leave_stale("control.sock");
	control_place_free(place);
	assert_int_equal(unlink(path_of("control.sock")), 0);
}

static json_t *give_answer(void *data, const struct control_request *request)
{
	char *text = malloc(answer_size + 1);
	json_t *answer;

	(void)data;
	assert_int_equal(request->kind, CONTROL_STATUS);
	asked++;
	memset(text, 'x', answer_size);
	text[answer_size] = 0;
	answer = json_pack("{s:i,s:s}", "asked", asked, "text", text);
	free(text);
	return answer;
}

static void serve(void)
{
	if (control_server_new(&server, give_answer, NULL, problem, sizeof(problem)))
		fail_msg("%s", problem);
}

/* Until the server has nothing to do. */
static void dispatch(void)
{
	struct pollfd ready = {.fd = control_server_fd(server), .events = POLLIN};

	while (poll(&ready, 1, 0) == 1)
		control_server_dispatch(server);
}

static int join_server(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", control_server_path(server));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* All that has come, as one string; *ended: and then the end. */
static const char *hear(int fd, bool *ended)
{
	static char text[8192];
	size_t size = 0;
	ssize_t n;

	while ((n = recv(fd, text + size, sizeof(text) - 1 - size, 0)) > 0)
		size += (size_t)n;
	*ended = !n || (n < 0 && errno != EAGAIN);
	text[size] = 0;
	return text;
}

static void assert_hears(int fd, const char *words, bool then_ended)
{
	bool ended;
	const char *text = hear(fd, &ended);

	if (!strstr(text, words))
		fail_msg("'%s' is not in '%s'", words, text);
	assert_int_equal(ended, then_ended);
}

static void test_answers(void **state)
{
	int fd;

	(void)state;
	serve();
	fd = join_server();
	say(fd, "{\"request\":\"status\"}\n");
	dispatch();
	assert_hears(fd, "\"asked\":1", false);
	/* in pieces, and several at once */
	say(fd, "{\"request\":");
	dispatch();
	assert_hears(fd, "", false);
	say(fd, "\"status\"}\n{\"request\":\"status\"}\nnonsense\n{\"request\":\"status\"}\n");
	dispatch();
	{
		bool ended;
		const char *text = hear(fd, &ended);

		assert_non_null(strstr(text, "\"asked\":2"));
		assert_non_null(strstr(text, "\"asked\":3"));
		assert_non_null(strstr(text, "\"error\":"));
		assert_non_null(strstr(text, "\"asked\":4"));
		assert_non_null(strstr(text, "\"netns\":"));
		assert_false(ended);
	}
	close(fd);
	dispatch();
}

static void test_garbage(void **state)
{
	static const char garbage[] = "\x00\xff\x1b[2J{{{{\n\n\n";
	int fd;

	(void)state;
	serve();
	fd = join_server();
	assert_int_equal(send(fd, garbage, sizeof(garbage) - 1, 0), sizeof(garbage) - 1);
	dispatch();
	assert_hears(fd, "\"error\":", false);
	assert_int_equal(asked, 0);
	close(fd);
}

/* What is quoted of a request may end within a character. */
static void test_quoted_text_is_valid(void **state)
{
	char line[300], *at = stpcpy(line, "{\"request\":\"flows\",\"filter\":\"x");
	int fd;

	(void)state;
	for (int i = 0; i < 60; i++)
		at = stpcpy(at, "\u00fc");
	strcpy(at, "\"}\n");
	serve();
	fd = join_server();
	say(fd, line);
	dispatch();
	assert_hears(fd, "\u00fc\xef\xbf\xbd': is not net:", false);
	close(fd);
	dispatch();
}

static void test_long_request(void **state)
{
	char *text = malloc(1 << 20);
	ssize_t sent;
	int fd;

	(void)state;
	memset(text, ' ', 1 << 20);
	serve();
	fd = join_server();
	sent = send(fd, text, 1 << 20, MSG_NOSIGNAL);
	assert_true(sent > CONTROL_REQUEST_SIZE);
	dispatch();
	assert_hears(fd, "at most 4096", true);
	close(fd);
	/* the longest that is one */
	fd = join_server();
	memcpy(text, "{\"request\":\"status\"}", 20);
	text[CONTROL_REQUEST_SIZE] = '\n';
	assert_int_equal(send(fd, text, CONTROL_REQUEST_SIZE + 1, 0), CONTROL_REQUEST_SIZE + 1);
	dispatch();
	assert_hears(fd, "\"asked\":1", false);
	close(fd);
	free(text);
}

/* Who does not read keeps nobody else waiting, and is dropped in the end; so is who begins a
 * request and goes no further. */
static void test_slow_clients(void **state)
{
	int64_t end_ns = clock_boottime_ns() + 30 * NSEC_PER_SEC;
	struct pollfd ready;
	int slow, half, good;
	char byte;

	(void)state;
	serve();
	slow = join_server();
	half = join_server();
	answer_size = 4 << 20;
	say(slow, "{\"request\":\"status\"}\n{\"request\":\"status\"}\n");
	say(half, "{\"requ");
	dispatch();
	assert_int_equal(asked, 1);
	answer_size = 0;
	good = join_server();
	say(good, "{\"request\":\"status\"}\n");
	dispatch();
	assert_hears(good, "\"asked\":2", false);
	ready = (struct pollfd){.fd = control_server_fd(server), .events = POLLIN};
	/* a dropped connection is an end, or an error */
	while (recv(half, &byte, 1, 0) < 0 && errno == EAGAIN) {
		assert_true(clock_boottime_ns() < end_ns);
		if (poll(&ready, 1, 100) == 1)
			control_server_dispatch(server);
	}
	while (send(slow, "x", 1, MSG_NOSIGNAL) == 1) {
		assert_true(clock_boottime_ns() < end_ns);
		if (poll(&ready, 1, 100) == 1)
			control_server_dispatch(server);
	}
	say(good, "{\"request\":\"status\"}\n");
	dispatch();
	assert_hears(good, "\"asked\":3", false);
	close(slow);
	close(half);
	close(good);
}

/* Answers that nobody reads are bounded in all: who asks for one more is sent away. */
static void test_answers_that_wait(void **state)
{
	int slow, late;
	char byte;

	(void)state;
	serve();
	answer_size = 33 << 20;
	slow = join_server();
	say(slow, "{\"request\":\"status\"}\n");
	dispatch();
	late = join_server();
	say(late, "{\"request\":\"status\"}\n");
	dispatch();
	assert_int_equal(asked, 2);
	assert_int_equal(recv(late, &byte, 1, 0), 0);
	close(late);
	/* what went with its client has room again */
	close(slow);
	dispatch();
	late = join_server();
	say(late, "{\"request\":\"status\"}\n");
	dispatch();
	assert_int_equal(recv(late, &byte, 1, 0), 1);
	close(late);
}

/* More than there is room for: the rest waits until others go. */
static void test_many_clients(void **state)
{
	int fds[CONTROL_CLIENTS + 8], served = 0;

	(void)state;
	serve();
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = join_server();
		say(fds[i], "{\"request\":\"status\"}\n");
		dispatch();
	}
	assert_int_equal(asked, CONTROL_CLIENTS);
	for (int i = 0; i < 8; i++)
		close(fds[i]);
	dispatch();
	assert_int_equal(asked, ARRAY_SIZE(fds));
	for (size_t i = 8; i < ARRAY_SIZE(fds); i++) {
		bool ended;

		served += strstr(hear(fds[i], &ended), "\"asked\":") != NULL;
		close(fds[i]);
	}
	assert_int_equal(served, CONTROL_CLIENTS);
}

static void assert_answer(const char *line, int expected, const char *words)
{
	json_t *answer = NULL;

	strcpy(problem, "");
	assert_int_equal(control_answer_parse(&answer, line, strlen(line), "socket", 7, problem,
					      sizeof(problem)),
			 expected);
	assert_int_equal(answer != NULL, expected == 0);
	if (!strstr(problem, words))
		fail_msg("'%s' is not in '%s'", words, problem);
	json_decref(answer);
}

static void test_answers_of_strangers(void **state)
{
	(void)state;
	assert_answer("{\"netns\":7}", 0, "");
	assert_answer("{\"netns\":8}", -ESRCH, "no flowtally runs");
	assert_answer("{\"netns\":7,\"error\":\"no time\"}", -EPROTO, "refused: no time");
	assert_answer("{\"netns\":7,\"error\":1}", 0, "");
	assert_answer("{\"netns\":\"7\"}", -EPROTO, "socket: what answers there is no flowtally");
	assert_answer("{\"error\":\"no time\"}", -EPROTO,
		      "socket: what answers there is no flowtally");
	assert_answer("[7]", -EPROTO, "socket: what answers there is no flowtally");
	assert_answer("{\"netns\":7} x", -EPROTO, "socket: what answers there is no flowtally");
	assert_answer("", -EPROTO, "socket: what answers there is no flowtally");
}

static void test_names_of_requests(void **state)
{
	(void)state;
	for (enum control_request_kind kind = 0; kind < CONTROL_REQUESTS; kind++) {
		char line[64];

		snprintf(line, sizeof(line), "{\"request\":\"%s\"}", control_request_name(kind));
		assert_parses(line, kind);
	}
}

static void test_nobody_runs(void **state)
{
	struct control_client *client;

	(void)state;
	if (!control_client_new(&client, problem, sizeof(problem))) {
		control_client_free(client);
		print_message("flowtally runs on this host\n");
		skip();
	}
	assert_non_null(strstr(problem, "no flowtally runs"));
	leave_stale("control.sock");
	assert_int_equal(control_client_new(&client, problem, sizeof(problem)), -ESRCH);
	assert_int_equal(unlink(path_of("control.sock")), 0);
	assert_int_equal(control_exit_status(-ESRCH), CONTROL_NOT_RUNNING);
	assert_int_equal(control_exit_status(-EACCES), CONTROL_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flow_queries, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_filters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_place_each, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale_is_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale_is_swept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_is_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_directory_of_others, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_own_is_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quoted_text_is_valid, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_request, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(test_answers_that_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_clients, setup, teardown),
		cmocka_unit_test(test_answers_of_strangers),
		cmocka_unit_test(test_names_of_requests),
		cmocka_unit_test_setup_teardown(test_nobody_runs, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
