// SPDX-License-Identifier: GPL-2.0-only
/*
 * udp_send ADDRESS COUNT: sends COUNT UDP datagrams of 22 bytes, frames of 64, as fast as one
 * process can. Prints the milliseconds that it took.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH	64
#define PAYLOAD 22

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

int main(int argc, char *argv[])
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	char payload[PAYLOAD] = "";
	struct iovec part = {.iov_base = payload, .iov_len = sizeof(payload)};
	struct mmsghdr messages[BATCH] = {0};
	double begin;
	long left;
	int fd;

	if (argc != 3 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: udp_send ADDRESS COUNT\n");
		return 2;
	}
	left = strtol(argv[2], NULL, 10);
	for (int i = 0; i < BATCH; i++)
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		err(1, "socket");
	begin = now_ms();
	while (left > 0) {
		int sent = sendmmsg(fd, messages, left < BATCH ? (unsigned int)left : BATCH, 0);

		if (sent > 0)
			left -= sent;
		else if (errno != ENOBUFS && errno != EAGAIN)
			err(1, "sendmmsg");
	}
	printf("%.3f\n", now_ms() - begin);
	return 0;
}
