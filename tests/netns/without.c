// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs a program as if the kernel were older: bpf(2) commands that it lacks end with an error.
 *
 *   without COMMAND=ERRNO... -- PROGRAM ARGUMENTS...
 *
 * COMMAND is a number of enum bpf_cmd, ERRNO what such a kernel answers.
 */
#include <err.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COMMANDS_MAX 16

/* Of a 64-bit argument, the half that holds small numbers. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LOW_HALF 4
#else
#define LOW_HALF 0
#endif

/* Appends: if the command is this one, the error. */
static size_t refuse(struct sock_filter *filter, size_t at, const char *text)
{
	unsigned int command, error;

	if (sscanf(text, "%u=%u", &command, &error) != 2) {
		fprintf(stderr, "without: '%s' is not COMMAND=ERRNO\n", text);
		exit(1);
	}
	filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, command, 0, 1);
	filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
						    SECCOMP_RET_ERRNO | (error & SECCOMP_RET_DATA));
	return at;
}

int main(int argc, char **argv)
{
	struct sock_filter filter[2 * COMMANDS_MAX + 5] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_bpf, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[0]) + LOW_HALF),
	};
	struct sock_fprog program = {.filter = filter};
	size_t at = 4;
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--") && i <= COMMANDS_MAX; i++)
		at = refuse(filter, at, argv[i]);
	if (i + 1 >= argc || strcmp(argv[i], "--")) {
		fputs("usage: without COMMAND=ERRNO... -- PROGRAM ARGUMENTS...\n", stderr);
		return 1;
	}
	filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = (unsigned short)at;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		err(1, "seccomp");
	execv(argv[i + 1], argv + i + 1);
	err(1, "%s", argv[i + 1]);
}
