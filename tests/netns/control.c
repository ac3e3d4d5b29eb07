// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ends of the control socket, good and bad:
 *
 *   control ask PATH            a line of standard input as the request; prints the answer
 *   control crowd PATH N        N clients that never read: some ask, some send rubbish, some send a
 *                               megabyte. Says "ready" and stays until it is killed.
 *   control answer PATH LINE    no agent: listens there, and answers one request, if LINE is not
 *                               empty, with that
 *   control squat               takes the name by which agents know of each other, says "ready" and
 *                               stays until it is killed
 *   control bequeath            takes that name, says "ready" and ends; a child has it until it was
 *                               asked for twice
 */
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MEGABYTE (1 << 20)

static int join(const char *path, int flags)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | flags, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 ||
	    (connect(fd, (struct sockaddr *)&address, sizeof(address)) && errno != EAGAIN))
		err(1, "%s", path);
	return fd;
}

static int ask(const char *path)
{
	static char request[2 * MEGABYTE], answer[65536];
	size_t size = fread(request, 1, sizeof(request), stdin);
	int fd = join(path, 0);
	ssize_t n;

	/* who sends too much is told so before the end */
	if (send(fd, request, size, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		err(1, "send");
	shutdown(fd, SHUT_WR);
	while ((n = recv(fd, answer, sizeof(answer), 0)) > 0)
		fwrite(answer, 1, (size_t)n, stdout);
	return fflush(stdout) ? 1 : 0;
}

static _Noreturn void crowd(const char *path, int n)
{
	static const char rubbish[] = "\xff\x01{{{{\n\n{\"request\":\"\\ud800\"}\n[[[[\n";
	static char spaces[MEGABYTE];

	memset(spaces, ' ', sizeof(spaces));
	for (int i = 0; i < n; i++) {
		int fd = join(path, SOCK_NONBLOCK);

		if (i % 3 == 0)
			(void)!write(fd, "{\"request\":\"status\"}\n{\"requ", 27);
		else if (i % 3 == 1)
			(void)!write(fd, rubbish, sizeof(rubbish) - 1);
		else
			(void)!write(fd, spaces, sizeof(spaces));
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

static int answer(const char *path, const char *line)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), client;
	char byte = 0;

	/* it is at its path when it listens */
	snprintf(address.sun_path, sizeof(address.sun_path), "%s.new", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1) ||
	    rename(address.sun_path, path))
		err(1, "%s", path);
	client = accept(fd, NULL, NULL);
	while (byte != '\n' && read(client, &byte, 1) == 1)
		;
	return *line && dprintf(client, "%s\n", line) < 0;
}

static int take_name(void)
{
	static const char name[] = "\0flowtally";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(address.sun_path, name, sizeof(name) - 1);
	if (fd < 0 ||
	    bind(fd, (struct sockaddr *)&address,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(name) - 1)) ||
	    listen(fd, 1))
		err(1, "@flowtally");
	puts("ready");
	fflush(stdout);
	return fd;
}

static _Noreturn void squat(void)
{
	take_name();
	for (;;)
		pause();
}

static int bequeath(void)
{
	int fd = take_name();

	if (!fork())
		for (int i = 0; i < 2; i++)
			accept(fd, NULL, NULL);
	return 0;
}

int main(int argc, char *argv[])
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && !strcmp(argv[1], "ask"))
		return ask(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "crowd"))
		crowd(argv[2], atoi(argv[3]));
	if (argc == 4 && !strcmp(argv[1], "answer"))
		return answer(argv[2], argv[3]);
	if (argc == 2 && !strcmp(argv[1], "squat"))
		squat();
	if (argc == 2 && !strcmp(argv[1], "bequeath"))
		return bequeath();
	errx(2, "usage: control ask PATH | crowd PATH N | answer PATH LINE | squat | bequeath");
}
