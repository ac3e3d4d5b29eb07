// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs a program to which the kernel refuses sockets of NETLINK_NETFILTER, and so conntrack, or of
 * NETLINK_GENERIC, and so what WireGuard tells, with an error:
 *
 *   deny netfilter|generic EPERM|EPROTONOSUPPORT PROGRAM ARGUMENTS...
 *
 * The first is what a program without CAP_NET_ADMIN gets in the end (which could not attach
 * either), the second what a kernel without nfnetlink answers.
 */
#include "lib/array.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The half of a 64-bit argument that holds a small number. */
#define ARGUMENT(n)                                 \
	(offsetof(struct seccomp_data, args[(n)]) + \
	 (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0))

static int deny(unsigned int bus, unsigned int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(0)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(2)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, bus, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		       ?: prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		fputs("usage: deny netfilter|generic EPERM|EPROTONOSUPPORT PROGRAM ARGUMENTS...\n",
		      stderr);
		return 2;
	}
	if (deny(strcmp(argv[1], "generic") ? NETLINK_NETFILTER : NETLINK_GENERIC,
		 strcmp(argv[2], "EPERM") ? EPROTONOSUPPORT : EPERM)) {
		perror("seccomp");
		return 3;
	}
	execv(argv[3], argv + 3);
	perror(argv[3]);
	return 1;
}
