// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes what the fuzzers begin with and this kernel, or this build, makes:
 *
 *   seeds dump CORPUS         every message of a dump of this network namespace's links, their
 *                             counters and secondary addresses, addresses, qdiscs, filters and
 *                             connections, a file each
 *   seeds tunnels CORPUS      links of the kinds of tunnels, which not every kernel has, and what
 *                             generic netlink tells of one of WireGuard
 *   seeds checkpoint CORPUS   a checkpoint of this layout, and one of the next version, and what is
 *                             pinned of an interval beside it
 */
#include "lib/buffer.h"
#include "report/debt.h"
#include "report/locals.h"
#include "report/merge.h"
#include "supervisor/checkpoint.h"
#include "supervisor/layout.h"
#include "tests/message.h"
#include "tests/prog/ctnetlink.h"

#include <err.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/if_tunnel.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/wireguard.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void write_seed(const char *corpus, const char *name, unsigned int number, const void *bytes,
		       size_t size)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s-%u", corpus, name, number);
	file = fopen(path, "we");
	if (!file || fwrite(bytes, 1, size, file) != size || fclose(file))
		err(1, "%s", path);
}

struct seeds {
	const char *corpus; /* of one target */
	const char *name;
	unsigned int number;
};

static int write_message(const struct nlmsghdr *message, void *data)
{
	struct seeds *seeds = data;

	write_seed(seeds->corpus, seeds->name, seeds->number++, message, message->nlmsg_len);
	return MNL_CB_OK;
}

/* Writes each message that the request is answered with. */
static void dump(int bus, struct nlmsghdr *request, struct seeds *seeds)
{
	struct mnl_socket *mnl = mnl_socket_open2(bus, SOCK_CLOEXEC);
	static char answer[1 << 16];
	ssize_t size;
	int more = 1;

	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	if (!mnl || mnl_socket_bind(mnl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(mnl, request, request->nlmsg_len) < 0)
		err(1, "%s", seeds->name);
	while (more > 0) {
		size = mnl_socket_recvfrom(mnl, answer, sizeof(answer));
		more = size < 0 ? -1 : mnl_cb_run(answer, (size_t)size, 0, 0, write_message, seeds);
	}
	if (more < 0)
		err(1, "%s", seeds->name);
	mnl_socket_close(mnl);
}

static void dump_route(uint16_t type, uint32_t ifindex, uint32_t parent, const char *corpus,
		       const char *target, const char *name)
{
	char buffer[256], path[256];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct seeds seeds = {.corpus = path, .name = name};

	snprintf(path, sizeof(path), "%s/%s", corpus, target);
	request->nlmsg_type = type;
	if (type == RTM_GETLINK) {
		mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
		mnl_attr_put_u32(request, IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN_COMPRESSED);
	} else if (type == RTM_GETADDR) {
		mnl_nlmsg_put_extra_header(request, sizeof(struct ifaddrmsg));
	} else if (type == RTM_GETNEIGH) {
		struct ifinfomsg *info = mnl_nlmsg_put_extra_header(request, sizeof(*info));

		info->ifi_family = AF_BRIDGE;
	} else if (type == RTM_GETSTATS) {
		struct if_stats_msg *info = mnl_nlmsg_put_extra_header(request, sizeof(*info));

		info->filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64);
	} else {
		struct tcmsg *info = mnl_nlmsg_put_extra_header(request, sizeof(*info));

		info->tcm_ifindex = (int)ifindex;
		info->tcm_parent = parent;
	}
	dump(NETLINK_ROUTE, request, &seeds);
}

static void dump_connections(const char *corpus)
{
	const struct ctnetlink_crowd crowd = {.count = 4,
					      .from_port = CTNETLINK_FROM_PORT,
					      .to_port = CTNETLINK_PORT,
					      .translated = 2};
	char buffer[256], path[256];
	struct seeds seeds = {.corpus = path, .name = "entry"};

	snprintf(path, sizeof(path), "%s/conntrack", corpus);
	if (ctnetlink_create(&crowd))
		errx(1, "cannot make connections");
	dump(NETLINK_NETFILTER, ctnetlink_request(buffer, IPCTNL_MSG_CT_GET, 0, AF_UNSPEC), &seeds);
}

static void dump_all(const char *corpus)
{
	const uint32_t ingress = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
	struct if_nameindex *links = if_nameindex();

	dump_route(RTM_GETLINK, 0, 0, corpus, "link", "link");
	dump_route(RTM_GETADDR, 0, 0, corpus, "addr", "addr");
	dump_route(RTM_GETSTATS, 0, 0, corpus, "stats", "stats");
	dump_route(RTM_GETNEIGH, 0, 0, corpus, "secondary", "entry");
	dump_route(RTM_GETQDISC, 0, 0, corpus, "tc", "qdisc");
	for (struct if_nameindex *link = links; link && link->if_index; link++) {
		char name[64];

		snprintf(name, sizeof(name), "filter-%u", link->if_index);
		dump_route(RTM_GETTFILTER, link->if_index, ingress, corpus, "tc", name);
	}
	if_freenameindex(links);
	dump_connections(corpus);
}

/* What the data of all kinds of tunnels have, by the numbers that this kind gives them. */
static const struct tunnel_seed {
	const char *kind;
	uint16_t local, remote, port, encapsulation; /* 0: none */
} tunnel_seeds[] = {
	{"gre", IFLA_GRE_LOCAL, IFLA_GRE_REMOTE, IFLA_GRE_ENCAP_DPORT, IFLA_GRE_ENCAP_TYPE},
	{"ipip", IFLA_IPTUN_LOCAL, IFLA_IPTUN_REMOTE, IFLA_IPTUN_ENCAP_DPORT,
	 IFLA_IPTUN_ENCAP_TYPE},
	{"sit", IFLA_IPTUN_LOCAL, IFLA_IPTUN_REMOTE, IFLA_IPTUN_ENCAP_DPORT, IFLA_IPTUN_ENCAP_TYPE},
	{"geneve", 0, IFLA_GENEVE_REMOTE, IFLA_GENEVE_PORT, 0},
};

static void put_tunnel(struct nlmsghdr *message, const struct tunnel_seed *seed, uint16_t type)
{
	struct nlattr *info = mnl_attr_nest_start(message, IFLA_LINKINFO), *data;

	mnl_attr_put_strz(message, IFLA_INFO_KIND, seed->kind);
	data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
	if (seed->local)
		mnl_attr_put_u32(message, seed->local, htonl(0x0a010001));
	mnl_attr_put_u32(message, seed->remote, htonl(0x0a010002));
	mnl_attr_put_u16(message, seed->port, htons(6081));
	if (seed->encapsulation)
		mnl_attr_put_u16(message, seed->encapsulation, type);
	mnl_attr_nest_end(message, data);
	mnl_attr_nest_end(message, info);
}

static void write_tunnels(const char *corpus)
{
	char buffer[1024], path[256];
	struct seeds seeds = {.corpus = path, .name = "tunnel"};

	snprintf(path, sizeof(path), "%s/link", corpus);
	for (size_t i = 0; i < 2 * sizeof(tunnel_seeds) / sizeof(tunnel_seeds[0]); i++) {
		const struct ifinfomsg info = {.ifi_index = 7};
		struct nlmsghdr *message =
			message_begin(buffer, sizeof(buffer), RTM_NEWLINK, &info, sizeof(info));

		mnl_attr_put_strz(message, IFLA_IFNAME, "tun7");
		put_tunnel(message, &tunnel_seeds[i / 2],
			   i % 2 ? TUNNEL_ENCAP_FOU : TUNNEL_ENCAP_NONE);
		write_message(message, &seeds);
	}
}

static struct nlmsghdr *begin_generic(char buffer[1024], uint16_t family, uint8_t command)
{
	const struct genlmsghdr header = {.cmd = command, .version = 1};

	return message_begin(buffer, 1024, family, &header, sizeof(header));
}

static void write_wireguard(const char *corpus)
{
	static const uint8_t key[WG_KEY_LEN];
	char buffer[1024], path[256];
	struct seeds seeds = {.corpus = path, .name = "wireguard"};
	struct nlmsghdr *message;
	struct nlattr *peers, *peer;

	snprintf(path, sizeof(path), "%s/wireguard", corpus);
	message = begin_generic(buffer, GENL_ID_CTRL, CTRL_CMD_NEWFAMILY);
	mnl_attr_put_strz(message, CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
	mnl_attr_put_u16(message, CTRL_ATTR_FAMILY_ID, 31);
	write_message(message, &seeds);

	message = begin_generic(buffer, 31, WG_CMD_GET_DEVICE);
	mnl_attr_put_u16(message, WGDEVICE_A_LISTEN_PORT, 51820);
	mnl_attr_put_u32(message, WGDEVICE_A_IFINDEX, 7);
	mnl_attr_put_strz(message, WGDEVICE_A_IFNAME, "wg0");
	peers = mnl_attr_nest_start(message, WGDEVICE_A_PEERS);
	peer = mnl_attr_nest_start(message, 0);
	mnl_attr_put(message, WGPEER_A_PUBLIC_KEY, sizeof(key), key);
	mnl_attr_nest_end(message, peer);
	mnl_attr_nest_end(message, peers);
	write_message(message, &seeds);
}

static void write_checkpoints(const char *corpus)
{
	static struct topology_reference references[] = {{.id = 7, .hook = HOOK_EGRESS},
							 {.id = TOPOLOGY_ANY}};
	static struct checkpoint_phase phases[] = {
		{.id = 3,
		 .life = 2,
		 .ifindex = 41,
		 .live = true,
		 .counting = true,
		 .name = "eth0",
		 .kind = "veth",
		 .role = {.id = 3,
			  .hook = {[HOOK_EGRESS] = {.sight = SIGHT_JUDGED,
						    .references = references,
						    .reference_count = 2}}},
		 .attachment = {.mode = "clsact", .created = true, .priority = {1, 65535}}},
		{.ifindex = 42, .name = "vx0", .tunnel = {.protocols = {17}, .port = 4789}},
	};
	static uint64_t maps[] = {12, 13};
	struct generation earlier = {.number = 1, .layout = *layout_own()};
	const struct generation generation = {.number = 2, .layout = *layout_own()};
	const struct checkpoint checkpoints[] = {
		{.generation = generation, .last_id = 9},
		{.generation = generation,
		 .earlier = &earlier,
		 .earlier_count = 1,
		 .last_id = 9,
		 .report = {.id = 17,
			    .maps = {.numbers = maps, .count = 2},
			    .phases = phases,
			    .phase_count = 1},
		 .done_maps = {.numbers = maps, .count = 1},
		 .phases = phases,
		 .phase_count = 2},
	};
	struct buffer bytes = {0};
	char path[256];

	snprintf(path, sizeof(path), "%s/checkpoint", corpus);
	for (unsigned int i = 0; i < 2; i++) {
		buffer_reset(&bytes);
		checkpoint_encode(&checkpoints[i], &bytes);
		if (buffer_error(&bytes))
			errx(1, "no memory");
		write_seed(path, "checkpoint", i, bytes.data, bytes.size);
	}
	bytes.data[8]++; /* the version's lowest byte */
	write_seed(path, "another-version", 0, bytes.data, bytes.size);
	buffer_free(&bytes);
}

static void check(int err)
{
	if (err)
		errx(1, "%s", strerror(-err));
}

/* Four flows and what was unattributed; of two of them only the sums are left. */
static void encode_interval(struct buffer *bytes)
{
	const struct topology_role role = {.id = 3};
	const struct merge_interface interface = {.id = 3,
						  .ifindex = 41,
						  .name = "eth0",
						  .role = &role};
	struct merge_ends ends = {0};
	struct local_set *locals;
	struct merge *merge;

	check(merge_new(&merge));
	check(local_set_new(&locals));
	ends.locals = locals;
	for (uint16_t i = 0; i < 5; i++) {
		const struct flow_key key = {.family = i ? FLOW_IPV4 : FLOW_UNATTRIBUTED,
					     .protocol = i ? 17 : FLOW_NON_IP,
					     .port = {i, i}};
		const struct flow_value value = {
			.count[0][FLOW_INGRESS] = {.bytes = 28U * (i + 1), .packets = 1}};

		check(merge_add(merge, 3, &key, &value, 1));
	}
	merge_set_max_flows(merge, 2);
	check(merge_sum_smallest(merge, &interface, 1, &ends));
	merge_encode(merge, bytes);
	local_set_free(locals);
	merge_free(merge);
}

static void encode_debt(struct buffer *bytes)
{
	struct hook_id judged[] = {{.id = 3, .hook = HOOK_INGRESS}, {.id = 7, .hook = HOOK_EGRESS}};
	const struct flow_key key = {.family = FLOW_IPV6, .protocol = 6, .port = {1, 2}};
	struct debt debt = {.judged = judged, .judged_count = 2};
	struct flow_entry *entry;

	flow_table_init(&debt.flows);
	check(flow_table_reserve(&debt.flows, 1, 1));
	entry = flow_table_insert(&debt.flows, &key, flow_table_hash(&debt.flows, &key));
	flow_table_append(&debt.flows, entry, 7, 1, 0,
			  (struct flow_count){.bytes = 1500, .packets = 2});
	debt_encode(&debt, bytes);
	flow_table_clean(&debt.flows);
}

static void write_folded(const char *corpus)
{
	void (*const encode[])(struct buffer * bytes) = {encode_interval, encode_debt};
	static const char *const names[] = {"interval", "debt"};
	char path[256];

	snprintf(path, sizeof(path), "%s/folded", corpus);
	for (unsigned int i = 0; i < 2; i++) {
		struct buffer bytes = {0};

		encode[i](&bytes);
		check(buffer_error(&bytes));
		write_seed(path, names[i], 0, bytes.data, bytes.size);
		buffer_free(&bytes);
	}
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "dump")) {
		dump_all(argv[2]);
	} else if (argc == 3 && !strcmp(argv[1], "tunnels")) {
		write_tunnels(argv[2]);
		write_wireguard(argv[2]);
	} else if (argc == 3 && !strcmp(argv[1], "checkpoint")) {
		write_checkpoints(argv[2]);
		write_folded(argv[2]);
	} else {
		fputs("usage: seeds dump|tunnels|checkpoint CORPUS\n", stderr);
		return 2;
	}
	return 0;
}
