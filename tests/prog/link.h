/* SPDX-License-Identifier: GPL-2.0-only */
/* Real frames out of lo, with a program at its egress hook. */
#ifndef FLOWTALLY_TESTS_LINK_H
#define FLOWTALLY_TESTS_LINK_H

#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tests/prog/harness.h"

#define NOT_LINEAR_PAD 4200 /* the kernel keeps frames below a page linear */

struct link_filters {
	struct bpf_tc_hook hook;
	int linear_size; /* array of one: what a first program saw; owned, as are the next two */
	int probe;
	int socket;
};

/* A program that writes how many bytes of the packet are linear, and lets the next one run. */
static inline int probe_load(int map)
{
	const struct bpf_insn program[] = {
		{BPF_LDX | BPF_MEM | BPF_W, 6, 1, offsetof(struct __sk_buff, data_end), 0},
		{BPF_LDX | BPF_MEM | BPF_W, 2, 1, offsetof(struct __sk_buff, data), 0},
		{BPF_ALU64 | BPF_SUB | BPF_X, 6, 2, 0, 0},
		{BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 0},
		{BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0},
		{BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4},
		{BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, map},
		{0, 0, 0, 0, 0},
		{BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem},
		{BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1, 0},
		{BPF_STX | BPF_MEM | BPF_W, 0, 6, 0, 0},
		{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, TC_ACT_UNSPEC},
		{BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
	};

	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "probe", "GPL", program, ARRAY_SIZE(program),
			     NULL);
}

static inline void link_attach(const struct link_filters *f, int program, uint32_t priority)
{
	LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program, .handle = 1, .priority = priority);

	assert_int_equal(bpf_tc_attach(&f->hook, &options), 0);
}

static inline int link_socket(void)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = LOOPBACK};
	struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1;

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &up), 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static inline void link_filters_add(struct link_filters *f, int program)
{
	f->hook = (struct bpf_tc_hook){.sz = sizeof(f->hook),
				       .ifindex = LOOPBACK,
				       .attach_point = BPF_TC_EGRESS};
	f->linear_size = bpf_map_create(BPF_MAP_TYPE_ARRAY, "linear_size", 4, 4, 1, NULL);
	assert_true(f->linear_size >= 0);
	f->probe = probe_load(f->linear_size);
	assert_true(f->probe >= 0);
	f->socket = link_socket();
	assert_int_equal(bpf_tc_hook_create(&f->hook), 0);
	link_attach(f, f->probe, 1);
	link_attach(f, program, 2);
}

static inline void link_filters_remove(struct link_filters *f)
{
	f->hook.attach_point = BPF_TC_EGRESS | BPF_TC_INGRESS; /* the qdisc as well */
	assert_int_equal(bpf_tc_hook_destroy(&f->hook), 0);
	close(f->socket);
	close(f->probe);
	close(f->linear_size);
}

/* Sends a frame that asks for nothing but its Ethernet header to be linear. */
static inline void link_send(const struct link_filters *f, const struct packet *p)
{
	const struct virtio_net_hdr offload = {.hdr_len = ETH_HLEN};
	uint8_t frame[sizeof(offload) + PACKET_MAX];

	memcpy(frame, &offload, sizeof(offload));
	memcpy(frame + sizeof(offload), p->data, p->size);
	assert_int_equal(send(f->socket, frame, sizeof(offload) + p->size, 0),
			 sizeof(offload) + p->size);
}

static inline int link_linear_size(const struct link_filters *f)
{
	uint32_t zero = 0, size;

	assert_int_equal(bpf_map_lookup_elem(f->linear_size, &zero, &size), 0);
	return size;
}

#endif
