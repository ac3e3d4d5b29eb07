// SPDX-License-Identifier: GPL-2.0-only
/* Prints what is sent to a datagram socket at PATH, as a service manager would receive it, until it
 * is ended:
 *
 *   datagrams PATH
 */
#include "lib/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char text[4096];
	ssize_t size;

	if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path)) {
		fputs("usage: see the top of datagrams.c\n", stderr);
		return 2;
	}
	strcpy(address.sun_path, argv[1]);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	while ((size = recv(fd, text, sizeof(text), 0)) >= 0) {
		printf("%.*s\n", (int)size, text);
		fflush(stdout);
	}
	return 1;
}
