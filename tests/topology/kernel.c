// SPDX-License-Identifier: GPL-2.0-only
#include "tests/topology/kernel.h"
#include "tests/topology/path.h"
#include "tests/topology/relay.h"

#include "lib/array.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "netlink/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_bonding.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_SIZE  2048
#define UP_WAIT_NS    (60 * NSEC_PER_SEC)
#define RULE_TABLES   1000	 /* a table for each rule, by its route's number */
#define LOOK_MS	      5		 /* whether a bond's slave has a carrier */
#define LAST_PRIORITY 4278198272 /* as ip-vrf(8) has it */
#define FIRST_IFINDEX 100 /* below are the devices that modules of tunnels make by themselves */

/* of linux/if_link.h since Linux 6.7: IFLA_NETKIT_PEER_INFO, IFLA_NETKIT_MODE, NETKIT_L2 */
#define NETKIT_INFO_PEER 1
#define NETKIT_INFO_MODE 5
#define NETKIT_MODE_L2	 0

struct kernel {
	struct world *world; /* borrowed */
	int home;	     /* the namespace that the process was in */
	unsigned int space_count;
	int spaces[SPACES_MAX];
	struct netlink *netlinks[SPACES_MAX];
	struct relay *relays[DEVICES_MAX]; /* owned; by the pair's first device */
	int choice_error;
};

struct request {
	char room[MESSAGE_SIZE];
	struct nlmsghdr *header;
};

int kernel_new(struct kernel **ret, struct world *world)
{
	struct kernel *kernel = calloc(1, sizeof(*kernel));

	if (!kernel)
		return -ENOMEM;
	kernel->world = world;
	kernel->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (kernel->home < 0) {
		free(kernel);
		return -errno;
	}
	*ret = kernel;
	return 0;
}

void kernel_free(struct kernel *kernel)
{
	if (!kernel)
		return;
	kernel->world->choose = NULL;
	for (size_t i = 0; i < DEVICES_MAX; i++)
		relay_free(kernel->relays[i]);
	for (unsigned int i = 0; i < kernel->space_count; i++) {
		netlink_free(kernel->netlinks[i]);
		close(kernel->spaces[i]);
	}
	close(kernel->home);
	free(kernel);
}

int kernel_enter(struct kernel *kernel, unsigned int space)
{
	return setns(kernel->spaces[space], CLONE_NEWNET) ? -errno : 0;
}

int kernel_leave(struct kernel *kernel)
{
	return setns(kernel->home, CLONE_NEWNET) ? -errno : 0;
}

int kernel_bind_to_vrf(int fd, const struct device *address)
{
	const struct device *vrf = world_vrf(address);
	int ifindex = vrf ? (int)vrf->ifindex : 0;

	if (!vrf)
		return 0;
	return setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &ifindex, sizeof(ifindex)) ? -errno : 0;
}

int kernel_space_fd(const struct kernel *kernel, unsigned int space)
{
	return kernel->spaces[space];
}

static void *begin(struct request *request, uint16_t type, uint16_t flags, size_t extra)
{
	request->header = mnl_nlmsg_put_header(request->room);
	request->header->nlmsg_type = type;
	request->header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	return mnl_nlmsg_put_extra_header(request->header, extra);
}

static int ask(struct kernel *kernel, unsigned int space, struct request *request)
{
	return netlink_ask(kernel->netlinks[space], request->header, NULL, NULL);
}

static int set_sysctl(const char *name, const char *value)
{
	char path[128];
	_close_ int fd = -1;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return -errno;
	return 0;
}

/* Nothing speaks on its own: no autoconfiguration, no duplicate address detection, no redirects. */
static int set_sysctls(void)
{
	static const char *const settings[][2] = {
		{"ipv4/ip_forward", "1"},
		{"ipv4/conf/all/rp_filter", "0"},
		{"ipv4/conf/default/rp_filter", "0"},
		{"ipv4/conf/all/send_redirects", "0"},
		{"ipv4/conf/default/send_redirects", "0"},
		{"ipv6/conf/default/accept_dad", "0"},
		{"ipv6/conf/default/addr_gen_mode", "1"},
		{"ipv6/conf/default/router_solicitations", "0"},
		{"ipv6/conf/all/forwarding", "1"},
		/* or a new link would join the routers' group, and say so */
		{"ipv6/conf/default/forwarding", "0"},
		{"ipv6/conf/default/accept_ra", "0"},
		/* random ones would be a part of the choice between two ways */
		{"ipv6/auto_flowlabels", "0"},
		/* all segments but the first have headers of one size, and none is sent to find out
		 * whether another one was lost */
		{"ipv4/tcp_sack", "0"},
		{"ipv4/tcp_early_retrans", "0"},
	};
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(settings) && !err; i++)
		err = set_sysctl(settings[i][0], settings[i][1]);
	return err;
}

/* Where br_netfilter is loaded, bridged packets pass the router's tables. */
static int set_bridge_filter(const char *value)
{
	int err = set_sysctl("bridge/bridge-nf-call-iptables", value)
			  ?: set_sysctl("bridge/bridge-nf-call-ip6tables", value);

	return err == -ENOENT ? 0 : err;
}

static int set_flags(struct kernel *kernel, unsigned int space, uint32_t ifindex,
		     unsigned int flags)
{
	struct request request;
	struct ifinfomsg *info = begin(&request, RTM_NEWLINK, 0, sizeof(*info));

	info->ifi_index = (int)ifindex;
	info->ifi_flags = flags;
	info->ifi_change = IFF_UP;
	return ask(kernel, space, &request);
}

static int set_up(struct kernel *kernel, unsigned int space, uint32_t ifindex)
{
	return set_flags(kernel, space, ifindex, IFF_UP);
}

int kernel_set_down(struct kernel *kernel, struct device *device)
{
	return set_flags(kernel, device->space, device->ifindex, 0);
}

int kernel_set_up(struct kernel *kernel, struct device *device)
{
	return set_up(kernel, device->space, device->ifindex);
}

static int create_space(struct kernel *kernel)
{
	unsigned int space = kernel->space_count;
	int err;

	if (unshare(CLONE_NEWNET))
		return -errno;
	kernel->spaces[space] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (kernel->spaces[space] < 0)
		return -errno;
	kernel->space_count++;
	err = netlink_new(&kernel->netlinks[space], NETLINK_ROUTE, 0);
	return err ?: set_sysctls() ?: set_bridge_filter("0") ?: set_up(kernel, space, 1);
}

static uint32_t ifindex_of(const struct kernel *kernel, const struct device *device)
{
	return FIRST_IFINDEX + (uint32_t)(device - kernel->world->devices);
}

/* One that it is given. */
static bool has_mac(const struct device *device)
{
	return device->kind != KIND_TUN && !kind_is_ip_tunnel(device->kind) &&
	       device->kind != KIND_VLAN && device->kind != KIND_IPVLAN;
}

static bool has_neighbours(const struct device *device)
{
	return device->kind != KIND_TUN && !kind_is_ip_tunnel(device->kind);
}

/* No ARP and no multicast: so the kernel neither asks for neighbours nor reports groups. */
static void put_properties(struct nlmsghdr *header, struct ifinfomsg *info,
			   const struct device *device)
{
	/* a team in active-backup mode leaves it to who made it */
	const struct device *owner = device->master && device->master->kind == KIND_TEAM
					     ? device->master
					     : world_mac_owner(device);

	info->ifi_index = (int)device->ifindex;
	info->ifi_flags = IFF_NOARP;
	info->ifi_change = IFF_NOARP | IFF_MULTICAST;
	if (has_mac(device))
		mnl_attr_put(header, IFLA_ADDRESS, sizeof(owner->mac), owner->mac);
	mnl_attr_put_u32(header, IFLA_MTU, device->mtu);
}

/* The part of a link message that the two ends of a veth pair have each. */
static void put_link(struct kernel *kernel, struct nlmsghdr *header, struct ifinfomsg *info,
		     const struct device *device)
{
	put_properties(header, info, device);
	mnl_attr_put_strz(header, IFLA_IFNAME, device->name);
	mnl_attr_put_u32(header, IFLA_NET_NS_FD, (uint32_t)kernel->spaces[device->space]);
}

/* A pair's other end. */
static void put_peer(struct kernel *kernel, struct nlmsghdr *header, uint16_t type,
		     const struct device *peer)
{
	struct nlattr *nest = mnl_attr_nest_start(header, type);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(header, sizeof(*info));

	put_link(kernel, header, info, peer);
	mnl_attr_nest_end(header, nest);
}

static void put_vxlan(struct nlmsghdr *header, const struct device *device)
{
	struct ifla_vxlan_port_range range = {.low = htons(TUNNEL_SOURCE_PORT),
					      .high = htons(TUNNEL_SOURCE_PORT + 1)};
	bool v4 = device->outer_family == AF_INET;
	uint8_t local[16], remote[16];

	device_address_bytes(device->lower, device->outer_family, local);
	device_address_bytes(device->peer->lower, device->outer_family, remote);
	mnl_attr_put_u32(header, IFLA_VXLAN_ID, device->tag);
	mnl_attr_put(header, v4 ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6, v4 ? 4 : 16,
		     v4 ? local + 12 : local);
	mnl_attr_put(header, v4 ? IFLA_VXLAN_GROUP : IFLA_VXLAN_GROUP6, v4 ? 4 : 16,
		     v4 ? remote + 12 : remote);
	mnl_attr_put_u16(header, IFLA_VXLAN_PORT, htons(TUNNEL_PORT));
	mnl_attr_put(header, IFLA_VXLAN_PORT_RANGE, sizeof(range), &range);
	mnl_attr_put_u8(header, IFLA_VXLAN_LEARNING, 0);
}

/* It has no address of its own: the route tells. */
static void put_geneve(struct nlmsghdr *header, const struct device *device)
{
	uint8_t remote[16];

	device_address_bytes(device->peer->lower, AF_INET, remote);
	mnl_attr_put_u32(header, IFLA_GENEVE_ID, device->tag);
	mnl_attr_put(header, IFLA_GENEVE_REMOTE, 4, remote + 12);
}

/* Of a tunnel over IPv4. */
static void put_ends_of_tunnel(struct nlmsghdr *header, const struct device *device,
			       uint16_t local_type, uint16_t remote_type)
{
	uint8_t local[16], remote[16];

	device_address_bytes(device->lower, AF_INET, local);
	device_address_bytes(device->peer->lower, AF_INET, remote);
	mnl_attr_put(header, local_type, 4, local + 12);
	mnl_attr_put(header, remote_type, 4, remote + 12);
}

static void put_kind(struct kernel *kernel, struct nlmsghdr *header, const struct device *device)
{
	struct nlattr *info = mnl_attr_nest_start(header, IFLA_LINKINFO), *data;

	mnl_attr_put_str(header, IFLA_INFO_KIND, kind_to_str(device->kind));
	data = mnl_attr_nest_start(header, IFLA_INFO_DATA);
	switch (device->kind) {
	case KIND_VETH:
		put_peer(kernel, header, VETH_INFO_PEER, device->peer);
		break;
	case KIND_NETKIT:
		put_peer(kernel, header, NETKIT_INFO_PEER, device->peer);
		mnl_attr_put_u32(header, NETKIT_INFO_MODE, NETKIT_MODE_L2);
		break;
	case KIND_BRIDGE:
		mnl_attr_put_u8(header, IFLA_BR_MCAST_SNOOPING, 0);
		break;
	case KIND_MACVLAN:
	case KIND_MACVTAP:
		mnl_attr_put_u32(header, IFLA_MACVLAN_MODE,
				 world_is_reflected(device) ? MACVLAN_MODE_VEPA
							    : MACVLAN_MODE_BRIDGE);
		break;
	case KIND_VXLAN:
		put_vxlan(header, device);
		break;
	case KIND_VLAN:
		mnl_attr_put_u16(header, IFLA_VLAN_ID, device->tag);
		if (world_is_service_vlan(kernel->world, device))
			mnl_attr_put_u16(header, IFLA_VLAN_PROTOCOL, htons(ETH_P_8021AD));
		break;
	case KIND_BOND:
		mnl_attr_put_u8(header, IFLA_BOND_MODE, (uint8_t)device->tag);
		mnl_attr_put_u32(header, IFLA_BOND_MIIMON, LOOK_MS);
		/* it would tell the neighbours */
		mnl_attr_put_u8(header, IFLA_BOND_NUM_PEER_NOTIF, 0);
		mnl_attr_put_u32(header, IFLA_BOND_RESEND_IGMP, 0);
		break;
	case KIND_IPVLAN:
		mnl_attr_put_u16(header, IFLA_IPVLAN_MODE, IPVLAN_MODE_L2);
		break;
	case KIND_GRE:
	case KIND_GRETAP:
		put_ends_of_tunnel(header, device, IFLA_GRE_LOCAL, IFLA_GRE_REMOTE);
		break;
	case KIND_GENEVE:
		put_geneve(header, device);
		break;
	case KIND_IPIP:
	case KIND_SIT:
		put_ends_of_tunnel(header, device, IFLA_IPTUN_LOCAL, IFLA_IPTUN_REMOTE);
		break;
	case KIND_VRF:
		mnl_attr_put_u32(header, IFLA_VRF_TABLE, device->tag);
		break;
	case KIND_LOOPBACK:
	case KIND_TUN:
	case KIND_TAP:
	case KIND_IFB:
	case KIND_DUMMY:
	case KIND_TEAM:
	case KIND_WIREGUARD:
	case KINDS:
		break;
	}
	mnl_attr_nest_end(header, data);
	mnl_attr_nest_end(header, info);
}

/* -EOPNOTSUPP: it did not succeed, or there is no such program. */
static int run_in_space(struct kernel *kernel, unsigned int space, const char *command)
{
	int err = kernel_enter(kernel, space), left;

	if (err)
		return err;
	err = system(command) ? -EOPNOTSUPP : 0;
	left = kernel_leave(kernel);
	return err ? err : left;
}

/* By generic netlink; its mode before it has ports. */
__attribute__((format(printf, 3, 4))) static int
set_team_option(struct kernel *kernel, const struct device *team, const char *format, ...)
{
	char option[64], command[128];
	va_list args;

	va_start(args, format);
	vsnprintf(option, sizeof(option), format, args);
	va_end(args);
	snprintf(command, sizeof(command), "teamnl %s setoption %s >/dev/null 2>&1", team->name,
		 option);
	return run_in_space(kernel, team->space, command);
}

static int set_team_mode(struct kernel *kernel, const struct device *team)
{
	return set_team_option(kernel, team, "mode %s",
			       team->tag == BOND_MODE_ACTIVEBACKUP ? "activebackup" : "roundrobin");
}

/* Each end knows the other one's key and address. */
static int set_wireguard(struct kernel *kernel, const struct device *device)
{
	/* made by wg genkey and wg pubkey, for nothing but this */
	static const struct {
		const char *secret, *public;
	} keys[] = {
		{"sB0MQrGiATXlPiBzVLkPH1CsN6voPWsgOe9Aphtu6mA=",
		 "oYSGWCxnS28HEWaoUP8V4hPLSJpOfXSRFV+lm5p/GhI="},
		{"KDobMz6dJ/rpMDRHw0tCKgZj3AEuAFxI14G9j8XBD2Y=",
		 "z+HRPkEo9FhhTA+zBspKsxKrvOzCYSDX6J9tET4zXBQ="},
	};
	int end = device < device->peer;
	char address[INET6_ADDRSTRLEN], command[512];

	device_address(device->peer->lower, device->outer_family, address, sizeof(address));
	snprintf(command, sizeof(command),
		 "echo %s | wg set %s private-key /dev/stdin listen-port %u peer %s allowed-ips "
		 "0.0.0.0/0,::/0 endpoint [%s]:%u 2>/dev/null",
		 keys[end].secret, device->name, WIREGUARD_PORT, keys[!end].public, address,
		 WIREGUARD_PORT);
	return run_in_space(kernel, device->space, command);
}

/* What cannot be told when it is made. */
static int configure_link(struct kernel *kernel, const struct device *device)
{
	if (device->kind == KIND_TEAM)
		return set_team_mode(kernel, device);
	return device->kind == KIND_WIREGUARD ? set_wireguard(kernel, device) : 0;
}

static int create_link(struct kernel *kernel, struct device *device)
{
	bool stacked = kind_is_macvlan(device->kind) || device->kind == KIND_VLAN ||
		       device->kind == KIND_IPVLAN;
	unsigned int space = stacked ? device->lower->space : device->space;
	struct request request;
	struct ifinfomsg *info =
		begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(*info));
	int err;

	device->ifindex = ifindex_of(kernel, device);
	if (kind_is_pair(device->kind))
		device->peer->ifindex = ifindex_of(kernel, device->peer);
	put_link(kernel, request.header, info, device);
	if (stacked)
		mnl_attr_put_u32(request.header, IFLA_LINK, device->lower->ifindex);
	put_kind(kernel, request.header, device);
	err = ask(kernel, space, &request);
	return err ?: configure_link(kernel, device);
}

static int set_properties(struct kernel *kernel, const struct device *device)
{
	struct request request;
	struct ifinfomsg *info = begin(&request, RTM_NEWLINK, 0, sizeof(*info));

	put_properties(request.header, info, device);
	return ask(kernel, device->space, &request);
}

static int open_served(struct kernel *kernel, const struct device *device)
{
	int err = kernel_enter(kernel, device->space), fd;

	if (err)
		return err;
	fd = device->kind == KIND_MACVTAP
		     ? relay_open_macvtap(device->name)
		     : relay_open(device->name, device->ifindex, device->kind == KIND_TAP);
	err = kernel_leave(kernel);
	if (fd < 0)
		return fd;
	/* a macvtap was there before */
	if (!err && device->kind != KIND_MACVTAP)
		err = set_properties(kernel, device);
	if (err)
		close(fd);
	return err ?: fd;
}

/* The first end's number is the pair's. */
static struct relay **find_relay(struct kernel *kernel, const struct device *device)
{
	const struct device *first = device < device->peer ? device : device->peer;

	return &kernel->relays[first - kernel->world->devices];
}

static int create_served_pair(struct kernel *kernel, struct device *device)
{
	struct relay **relay = find_relay(kernel, device);
	int one, other, err;

	device->ifindex = ifindex_of(kernel, device);
	device->peer->ifindex = ifindex_of(kernel, device->peer);
	one = open_served(kernel, device);
	if (one < 0)
		return one;
	other = open_served(kernel, device->peer);
	err = other < 0 ? other : relay_new(relay, one, other);
	if (err) {
		close(one);
		if (other >= 0)
			close(other);
	}
	return err;
}

static int add_address(struct kernel *kernel, const struct device *device, int family)
{
	bool v4 = family == AF_INET, alone = device->kind == KIND_LOOPBACK;
	struct request request;
	struct ifaddrmsg *message =
		begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*message));
	uint8_t bytes[16];

	device_address_bytes(device, family, bytes);
	message->ifa_family = (uint8_t)family;
	message->ifa_prefixlen = v4 ? (alone ? 32 : 24) : (alone ? 128 : 64);
	message->ifa_index = device->ifindex;
	message->ifa_flags = IFA_F_NODAD;
	mnl_attr_put(request.header, IFA_LOCAL, v4 ? 4 : 16, v4 ? bytes + 12 : bytes);
	mnl_attr_put(request.header, IFA_ADDRESS, v4 ? 4 : 16, v4 ? bytes + 12 : bytes);
	return ask(kernel, device->space, &request);
}

static int add_addresses(struct kernel *kernel, const struct device *device)
{
	if (!device->segment)
		return 0;
	return add_address(kernel, device, AF_INET) ?: add_address(kernel, device, AF_INET6);
}

/* What a VRF's table has no route for is not looked up in others. */
static int end_table(struct kernel *kernel, const struct device *vrf, int family)
{
	struct request request;
	struct rtmsg *message = begin(&request, RTM_NEWROUTE, NLM_F_CREATE, sizeof(*message));

	message->rtm_family = (uint8_t)family;
	message->rtm_table = RT_TABLE_UNSPEC;
	message->rtm_protocol = RTPROT_STATIC;
	message->rtm_type = RTN_UNREACHABLE;
	mnl_attr_put_u32(request.header, RTA_TABLE, vrf->tag);
	mnl_attr_put_u32(request.header, RTA_PRIORITY, LAST_PRIORITY);
	return ask(kernel, vrf->space, &request);
}

/* What can only be told when a link is there; a veth cannot be brought up before its other end. */
static int set_up_device(struct kernel *kernel, struct device *device)
{
	/* a bond takes only what is down, a VRF sets down what it takes */
	bool first = device->master && device->master->kind != KIND_BRIDGE;
	int err = 0;

	if (first)
		err = kernel_enslave(kernel, device, device->master);
	if (!err)
		err = set_up(kernel, device->space, device->ifindex);
	if (!err && device->kind == KIND_VRF)
		err = end_table(kernel, device, AF_INET) ?: end_table(kernel, device, AF_INET6);
	if (!err)
		err = add_addresses(kernel, device);
	if (!err && device->master && !first)
		err = kernel_enslave(kernel, device, device->master);
	return err;
}

static int create_device(struct kernel *kernel, struct device *device)
{
	int err;

	if (device->gone || device->ifindex)
		return 0;
	if (device->kind == KIND_LOOPBACK) {
		device->ifindex = 1;
		return add_addresses(kernel, device);
	}
	err = kind_is_served(device->kind) ? create_served_pair(kernel, device)
					   : create_link(kernel, device);
	if (!err)
		err = set_up_device(kernel, device);
	if (!err && kind_is_cable(device->kind))
		err = set_up_device(kernel, device->peer);
	return err;
}

static int try_kind(struct kernel *kernel, struct device *lower, enum kind kind)
{
	struct device *device = world_add(kernel->world, kind, lower->space, "try");

	device->lower = lower;
	device->tag = 1;
	if (kind_is_pair(kind) || kind_is_ip_tunnel(kind) || kind == KIND_GRETAP ||
	    kind == KIND_GENEVE) {
		device->peer = world_add(kernel->world, kind, lower->space, "other");
		device->peer->lower = lower->peer;
	}
	return create_link(kernel, device) ?: kernel_delete(kernel, device);
}

static int try_kinds(struct kernel *kernel, unsigned int kinds, unsigned int *ret)
{
	struct device *lower = world_add_pair(kernel->world, 0, "one", 0, "two");
	int err;

	lower->segment = lower->peer->segment = 1;
	lower->address = 1;
	lower->peer->address = 2;
	err = kernel_create(kernel);
	for (enum kind kind = 0; kind < KINDS && !err; kind++) {
		if (!(kinds >> kind & 1))
			continue;
		err = try_kind(kernel, lower, kind);
		if (!err)
			*ret |= 1u << kind;
		else if (err == -EOPNOTSUPP)
			err = 0;
	}
	return err;
}

int kernel_probe(unsigned int kinds, unsigned int *ret)
{
	struct world *world = calloc(1, sizeof(*world));
	struct kernel *kernel = NULL;
	unsigned int found = 0;
	int err;

	if (!world)
		return -ENOMEM;
	world_add_space(world, "probe");
	err = kernel_new(&kernel, world);
	if (!err)
		err = try_kinds(kernel, kinds, &found);
	if (kernel && kernel_leave(kernel) && !err)
		err = -errno;
	kernel_free(kernel);
	free(world);
	if (!err)
		*ret = found;
	return err;
}

static int create_kind(struct kernel *kernel, enum kind kind)
{
	struct world *world = kernel->world;
	int err = 0;

	for (size_t i = 0; i < world->device_count && !err; i++)
		if (world->devices[i].kind == kind)
			err = create_device(kernel, &world->devices[i]);
	return err;
}

int kernel_create(struct kernel *kernel)
{
	static const enum kind masters[] = {KIND_VRF, KIND_BRIDGE, KIND_BOND, KIND_TEAM};
	struct world *world = kernel->world;
	int err = 0;

	while (kernel->space_count < world->space_count && !err)
		err = create_space(kernel);
	/* masters first, that others may be enslaved at once; then others, lower ones stand first
	 */
	for (size_t i = 0; i < ARRAY_SIZE(masters) && !err; i++)
		err = create_kind(kernel, masters[i]);
	for (size_t i = 0; i < world->device_count && !err; i++)
		err = create_device(kernel, &world->devices[i]);
	return kernel_leave(kernel) ?: err;
}

int kernel_delete(struct kernel *kernel, struct device *device)
{
	struct request request;
	struct ifinfomsg *info = begin(&request, RTM_DELLINK, 0, sizeof(*info));

	if (kind_is_served(device->kind)) {
		struct relay **relay = find_relay(kernel, device);

		relay_free(*relay);
		*relay = NULL;
		return 0;
	}
	info->ifi_index = (int)device->ifindex;
	return ask(kernel, device->space, &request);
}

int kernel_rename(struct kernel *kernel, struct device *device, const char *name)
{
	struct request request;
	struct ifinfomsg *info = begin(&request, RTM_NEWLINK, 0, sizeof(*info));
	int err;

	info->ifi_index = (int)device->ifindex;
	mnl_attr_put_strz(request.header, IFLA_IFNAME, name);
	err = ask(kernel, device->space, &request);
	if (!err)
		snprintf(device->name, sizeof(device->name), "%s", name);
	return err;
}

static int set_hairpin(struct kernel *kernel, const struct device *port)
{
	struct request request;
	struct ifinfomsg *info = begin(&request, RTM_SETLINK, 0, sizeof(*info));
	struct nlattr *nest;

	info->ifi_family = AF_BRIDGE;
	info->ifi_index = (int)port->ifindex;
	nest = mnl_attr_nest_start(request.header, IFLA_PROTINFO);
	mnl_attr_put_u8(request.header, IFLA_BRPORT_MODE, 1);
	mnl_attr_nest_end(request.header, nest);
	return ask(kernel, port->space, &request);
}

int kernel_enslave(struct kernel *kernel, struct device *device, struct device *master)
{
	struct request request;
	struct ifinfomsg *info = begin(&request, RTM_NEWLINK, 0, sizeof(*info));
	int err;

	info->ifi_index = (int)device->ifindex;
	mnl_attr_put_u32(request.header, IFLA_MASTER, master ? master->ifindex : 0);
	device->master = master;
	err = ask(kernel, device->space, &request);
	/* a new port has none */
	return !err && master && device->hairpin ? set_hairpin(kernel, device) : err;
}

int kernel_activate(struct kernel *kernel, const struct device *bond)
{
	uint32_t active = world_active_slave(kernel->world, bond)->ifindex;
	struct request request;
	struct ifinfomsg *info = begin(&request, RTM_NEWLINK, 0, sizeof(*info));
	struct nlattr *link_info, *data;

	if (bond->kind == KIND_TEAM)
		return set_team_option(kernel, bond, "activeport %u", active);
	info->ifi_index = (int)bond->ifindex;
	link_info = mnl_attr_nest_start(request.header, IFLA_LINKINFO);
	mnl_attr_put_str(request.header, IFLA_INFO_KIND, kind_to_str(bond->kind));
	data = mnl_attr_nest_start(request.header, IFLA_INFO_DATA);
	mnl_attr_put_u32(request.header, IFLA_BOND_ACTIVE_SLAVE, active);
	mnl_attr_nest_end(request.header, data);
	mnl_attr_nest_end(request.header, link_info);
	return ask(kernel, bond->space, &request);
}

/* The kernel takes addresses and IFF_UP away. */
int kernel_move(struct kernel *kernel, struct device *device, unsigned int space)
{
	struct request request;
	struct ifinfomsg *info = begin(&request, RTM_NEWLINK, 0, sizeof(*info));
	int err;

	info->ifi_index = (int)device->ifindex;
	mnl_attr_put_u32(request.header, IFLA_NET_NS_FD, (uint32_t)kernel->spaces[space]);
	err = ask(kernel, device->space, &request);
	if (!err)
		device->space = space;
	return err;
}

int kernel_settle(struct kernel *kernel, struct device *device)
{
	return set_up(kernel, device->space, device->ifindex) ?: add_addresses(kernel, device);
}

static void put_gateway(struct nlmsghdr *header, const struct device *gateway, int family)
{
	bool v4 = family == AF_INET;
	uint8_t bytes[16];

	device_address_bytes(gateway, family, bytes);
	mnl_attr_put(header, RTA_GATEWAY, v4 ? 4 : 16, v4 ? bytes + 12 : bytes);
}

static void put_way(struct nlmsghdr *header, const struct device *device,
		    const struct device *gateway, int family)
{
	struct rtnexthop *way = mnl_nlmsg_put_extra_header(header, sizeof(*way));

	way->rtnh_ifindex = (int)device->ifindex;
	put_gateway(header, gateway, family);
	way->rtnh_len = (uint16_t)((char *)mnl_nlmsg_get_payload_tail(header) - (char *)way);
}

static uint32_t table_of(const struct kernel *kernel, const struct route *route)
{
	const struct device *vrf = world_vrf(route->device);

	if (vrf)
		return vrf->tag;
	return route->from ? RULE_TABLES + (uint32_t)(route - kernel->world->routes)
			   : RT_TABLE_MAIN;
}

/* That the route's table is for what comes from there. */
static int add_rule(struct kernel *kernel, const struct route *route, int family)
{
	bool v4 = family == AF_INET;
	struct request request;
	struct fib_rule_hdr *rule =
		begin(&request, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, sizeof(*rule));
	uint8_t bytes[16];
	int err;

	rule->family = (uint8_t)family;
	rule->action = FR_ACT_TO_TBL;
	rule->src_len = v4 ? 32 : 128;
	device_address_bytes(route->from, family, bytes);
	mnl_attr_put(request.header, FRA_SRC, v4 ? 4 : 16, v4 ? bytes + 12 : bytes);
	mnl_attr_put_u32(request.header, FRA_TABLE, table_of(kernel, route));
	mnl_attr_put_u32(request.header, FRA_PRIORITY, table_of(kernel, route));
	err = ask(kernel, route->space, &request);
	/* it was told before */
	return err == -EEXIST ? 0 : err;
}

static int add_route(struct kernel *kernel, const struct route *route, int family)
{
	bool v4 = family == AF_INET;
	struct device to = {.segment = route->segment};
	struct request request;
	struct rtmsg *message =
		begin(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*message));
	struct nlattr *ways;
	uint8_t bytes[16];

	message->rtm_family = (uint8_t)family;
	message->rtm_table = RT_TABLE_UNSPEC;
	message->rtm_protocol = RTPROT_STATIC;
	message->rtm_scope = RT_SCOPE_UNIVERSE;
	message->rtm_type = RTN_UNICAST;
	if (route->segment != ANY_SEGMENT) {
		device_address_bytes(&to, family, bytes);
		message->rtm_dst_len = v4 ? 24 : 64;
		mnl_attr_put(request.header, RTA_DST, v4 ? 4 : 16, v4 ? bytes + 12 : bytes);
	}
	mnl_attr_put_u32(request.header, RTA_TABLE, table_of(kernel, route));
	if (route->other_device) {
		ways = mnl_attr_nest_start(request.header, RTA_MULTIPATH);
		put_way(request.header, route->device, route->gateway, family);
		put_way(request.header, route->other_device, route->other_gateway, family);
		mnl_attr_nest_end(request.header, ways);
	} else {
		put_gateway(request.header, route->gateway, family);
		mnl_attr_put_u32(request.header, RTA_OIF, route->device->ifindex);
	}
	return ask(kernel, route->space, &request);
}

static int sync_route(struct kernel *kernel, const struct route *route, int family)
{
	int err = add_route(kernel, route, family);

	return !err && route->from ? add_rule(kernel, route, family) : err;
}

static int take_oif(void *data, const struct nlmsghdr *message)
{
	const struct nlattr *attr;
	uint32_t *oif = data;

	/* clang-format off */
	mnl_attr_for_each(attr, message, sizeof(struct rtmsg))
		if (mnl_attr_get_type(attr) == RTA_OIF)
			*oif = mnl_attr_get_u32(attr);
	/* clang-format on */
	return 0;
}

static void put_ends(struct nlmsghdr *header, const struct tuple *tuple)
{
	bool v4 = tuple->family == AF_INET;
	uint8_t bytes[16];

	device_address_bytes(tuple->address[0], tuple->family, bytes);
	mnl_attr_put(header, RTA_SRC, v4 ? 4 : 16, v4 ? bytes + 12 : bytes);
	device_address_bytes(tuple->address[1], tuple->family, bytes);
	mnl_attr_put(header, RTA_DST, v4 ? 4 : 16, v4 ? bytes + 12 : bytes);
}

/* By addresses, and for IPv6 the protocol: net.ipv4.fib_multipath_hash_policy is 0. */
static int choose_way(void *data, const struct route *route, const struct device *in,
		      const struct tuple *tuple, bool stream)
{
	struct kernel *kernel = data;
	uint8_t length = tuple->family == AF_INET ? 32 : 128;
	struct request request;
	struct rtmsg *message = begin(&request, RTM_GETROUTE, 0, sizeof(*message));
	uint32_t oif = 0;
	int err;

	message->rtm_family = (uint8_t)tuple->family;
	message->rtm_src_len = message->rtm_dst_len = length;
	put_ends(request.header, tuple);
	mnl_attr_put_u8(request.header, RTA_IP_PROTO, stream ? IPPROTO_TCP : IPPROTO_UDP);
	if (in)
		mnl_attr_put_u32(request.header, RTA_IIF, in->ifindex);
	err = netlink_ask(kernel->netlinks[route->space], request.header, take_oif, &oif);
	if (!err && oif != route->device->ifindex && oif != route->other_device->ifindex)
		err = -ENOENT;
	if (err && !kernel->choice_error)
		kernel->choice_error = err;
	return err ?: oif == route->other_device->ifindex;
}

void kernel_choose_ways(struct kernel *kernel)
{
	kernel->world->choose = choose_way;
	kernel->world->choose_data = kernel;
}

int kernel_choice_error(const struct kernel *kernel)
{
	return kernel->choice_error;
}

static int add_neighbour(struct kernel *kernel, const struct device *device,
			 const struct device *other, int family)
{
	bool v4 = family == AF_INET;
	struct request request;
	struct ndmsg *message =
		begin(&request, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*message));
	uint8_t bytes[16];

	device_address_bytes(other, family, bytes);
	message->ndm_family = (uint8_t)family;
	message->ndm_ifindex = (int)device->ifindex;
	message->ndm_state = NUD_PERMANENT;
	mnl_attr_put(request.header, NDA_DST, v4 ? 4 : 16, v4 ? bytes + 12 : bytes);
	mnl_attr_put(request.header, NDA_LLADDR, sizeof(other->mac), world_mac_owner(other)->mac);
	return ask(kernel, device->space, &request);
}

static int add_bridge_entry(struct kernel *kernel, const struct device *port,
			    const struct device *target)
{
	struct request request;
	struct ndmsg *message =
		begin(&request, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*message));

	message->ndm_family = AF_BRIDGE;
	message->ndm_ifindex = (int)port->ifindex;
	message->ndm_state = NUD_NOARP;
	message->ndm_flags = NTF_MASTER;
	mnl_attr_put(request.header, NDA_LLADDR, sizeof(target->mac), world_mac_owner(target)->mac);
	return ask(kernel, port->space, &request);
}

static int sync_neighbours(struct kernel *kernel, const struct device *device)
{
	struct world *world = kernel->world;
	int err = 0;

	if (!has_neighbours(device))
		return 0;
	for (size_t i = 0; i < world->device_count && !err; i++)
		if (world_are_neighbours(device, &world->devices[i]))
			err = add_neighbour(kernel, device, &world->devices[i], AF_INET)
				      ?: add_neighbour(kernel, device, &world->devices[i],
						       AF_INET6);
	return err;
}

static int sync_bridge(struct kernel *kernel, const struct device *bridge)
{
	struct world *world = kernel->world;
	int err = 0;

	for (size_t i = 0; i < world->device_count && !err; i++) {
		const struct device *target = &world->devices[i], *port;

		if (!target->segment || target->gone || world_mac_owner(target) == bridge)
			continue;
		port = world_bridge_port(world, bridge, target);
		if (port)
			err = add_bridge_entry(kernel, port, target);
	}
	return err;
}

int kernel_sync(struct kernel *kernel)
{
	struct world *world = kernel->world;
	int err = 0;

	for (size_t i = 0; i < world->device_count && !err; i++) {
		const struct device *device = &world->devices[i];

		if (device->gone)
			continue;
		err = sync_neighbours(kernel, device);
		if (!err && device->kind == KIND_BRIDGE)
			err = sync_bridge(kernel, device);
		/* a bond looks for itself, for a team there is a program that does */
		if (!err && device->kind == KIND_TEAM && device->tag == BOND_MODE_ACTIVEBACKUP)
			err = kernel_activate(kernel, device);
	}
	for (size_t i = 0; i < world->route_count && !err; i++) {
		const struct route *route = &world->routes[i];

		if (!route->device->gone && !route->gateway->gone)
			err = sync_route(kernel, route, AF_INET)
				      ?: sync_route(kernel, route, AF_INET6);
	}
	return err;
}

static int take_sent(void *data, const struct nlmsghdr *message)
{
	struct rtnl_link_stats64 stats;
	const struct nlattr *attr;
	uint64_t *sent = data;

	/* clang-format off */
	mnl_attr_for_each(attr, message, sizeof(struct ifinfomsg))
		if (mnl_attr_get_type(attr) == IFLA_STATS64 &&
		    mnl_attr_get_payload_len(attr) >= offsetof(struct rtnl_link_stats64, rx_bytes)) {
			/* aligned to 4 bytes */
			memcpy(&stats, mnl_attr_get_payload(attr),
			       offsetof(struct rtnl_link_stats64, rx_bytes));
			*sent = stats.tx_packets;
		}
	/* clang-format on */
	return 0;
}

int kernel_count_sent(struct kernel *kernel, const struct device *device, uint64_t *ret)
{
	struct request request;
	struct ifinfomsg *info = begin(&request, RTM_GETLINK, 0, sizeof(*info));

	info->ifi_index = (int)device->ifindex;
	return netlink_ask(kernel->netlinks[device->space], request.header, take_sent, ret);
}

struct up_wait {
	const struct world *world;
	unsigned int space;
	bool all_up;
};

static bool has_ports(const struct world *world, const struct device *bridge)
{
	for (size_t i = 0; i < world->device_count; i++)
		if (world->devices[i].master == bridge && !world->devices[i].gone)
			return true;
	return false;
}

/* Some kinds never say more than unknown; others begin with that, and send nothing yet. */
static bool will_be_up(const struct world *world, const struct device *device, uint8_t state)
{
	switch (device->kind) {
	case KIND_VETH:
	case KIND_NETKIT:
	case KIND_MACVLAN:
	case KIND_MACVTAP:
		return true;
	case KIND_BRIDGE:
		return has_ports(world, device);
	case KIND_VLAN:
		return will_be_up(world, device->lower, state);
	case KIND_BOND:
	case KIND_TEAM:
		return true;
	case KIND_LOOPBACK:
	case KIND_VXLAN:
	case KIND_TUN:
	case KIND_TAP:
	case KIND_IFB:
	case KIND_IPVLAN:
	case KIND_GRE:
	case KIND_GRETAP:
	case KIND_GENEVE:
	case KIND_IPIP:
	case KIND_SIT:
	case KIND_VRF:
	case KIND_DUMMY:
	case KIND_WIREGUARD:
	case KINDS:
		break;
	}
	return state != IF_OPER_UNKNOWN;
}

/* NULL: there is none. */
static const struct nlattr *find_attr(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *attr;

	/* clang-format off */
	if (nest)
		mnl_attr_for_each_nested(attr, nest)
			if (mnl_attr_get_type(attr) == type)
				return attr;
	/* clang-format on */
	return NULL;
}

static bool is_active(const struct world *world, const struct device *bond,
		      const struct nlattr *link_info)
{
	const struct nlattr *data = find_attr(link_info, IFLA_INFO_DATA);
	const struct nlattr *active = find_attr(data, IFLA_BOND_ACTIVE_SLAVE);

	return active && mnl_attr_get_u32(active) == world_active_slave(world, bond)->ifindex;
}

/* Carries packets, or never will. */
static bool is_ready(const struct world *world, const struct device *device, uint8_t state,
		     const struct nlattr *link_info)
{
	if (device->kind == KIND_BOND && device->tag == BOND_MODE_ACTIVEBACKUP)
		return state == IF_OPER_UP && is_active(world, device, link_info);
	return state == IF_OPER_UP || (device->peer && device->peer->down) ||
	       !will_be_up(world, device, state);
}

static int look_at_link(void *data, const struct nlmsghdr *message)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
	const struct nlattr *attr, *link_info = NULL;
	struct up_wait *wait = data;
	uint8_t state = 0;

	/* clang-format off */
	mnl_attr_for_each(attr, message, sizeof(*info))
		if (mnl_attr_get_type(attr) == IFLA_OPERSTATE)
			state = mnl_attr_get_u8(attr);
		else if (mnl_attr_get_type(attr) == IFLA_LINKINFO)
			link_info = attr;
	/* clang-format on */
	if (!(info->ifi_flags & IFF_UP))
		return 0;
	for (size_t i = 0; i < wait->world->device_count; i++) {
		const struct device *device = &wait->world->devices[i];

		if (device->space == wait->space && device->ifindex == (uint32_t)info->ifi_index &&
		    !device->gone && !is_ready(wait->world, device, state, link_info))
			wait->all_up = false;
	}
	return 0;
}

static int look_at_links(struct kernel *kernel, struct up_wait *wait)
{
	int err = 0;

	wait->all_up = true;
	for (wait->space = 0; wait->space < kernel->space_count && wait->all_up && !err;
	     wait->space++) {
		struct request request;
		struct ifinfomsg *info = begin(&request, RTM_GETLINK, NLM_F_DUMP, sizeof(*info));

		info->ifi_family = AF_UNSPEC;
		err = netlink_ask(kernel->netlinks[wait->space], request.header, look_at_link,
				  wait);
		/* overtaken by a change: look again */
		if (err == -EINTR) {
			wait->all_up = false;
			err = 0;
		}
	}
	return err;
}

int kernel_wait_up(struct kernel *kernel)
{
	int64_t end_ns = clock_boottime_ns() + UP_WAIT_NS;
	struct timespec pause = {.tv_nsec = NSEC_PER_MSEC / 2};
	struct up_wait wait = {.world = kernel->world};

	for (;;) {
		int err = look_at_links(kernel, &wait);

		if (err || wait.all_up)
			return err;
		if (clock_boottime_ns() > end_ns)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
}

static int add_filter(const struct device *device, unsigned int priority, const char *verb,
		      const struct device *to, const char *then)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "tc filter add dev %s ingress prio %u protocol all u32 match u32 0 0 "
		 "action mirred egress %s dev %s %s",
		 device->name, priority, verb, to->name, then);
	return system(command) ? -EIO : 0;
}

static int redirect(const struct device *device)
{
	const struct device *to = device->redirect ?: device->shaper;
	char command[64];
	int err;

	if (device->queued) {
		snprintf(command, sizeof(command), "tc qdisc add dev %s root pfifo", device->name);
		return system(command) ? -EIO : 0;
	}
	if (!to && !device->mirror)
		return 0;
	snprintf(command, sizeof(command), "tc qdisc add dev %s clsact", device->name);
	err = system(command) ? -EIO : 0;
	/* a verdict would end the chain */
	if (!err && device->mirror)
		err = add_filter(device, device->mirror_priority, "mirror", device->mirror,
				 "continue");
	if (!err && to)
		err = add_filter(device, 100, "redirect", to, "");
	return err;
}

int kernel_redirect(struct kernel *kernel)
{
	int err = kernel_enter(kernel, HOST), left;

	for (size_t i = 0; i < kernel->world->device_count && !err; i++)
		err = redirect(&kernel->world->devices[i]);
	left = kernel_leave(kernel);
	return err ? err : left;
}

static void print_target(FILE *out, const struct conversation *c, int end)
{
	const struct device *device = c->arrives.address[end];
	bool v4 = c->sent.family == AF_INET;
	char text[INET6_ADDRSTRLEN];

	fprintf(out, v4 ? " ip to %s:%u\n" : " ip6 to [%s]:%u\n",
		device_address(device, c->sent.family, text, sizeof(text)), c->arrives.port[end]);
}

/* A conversation is known by the client's port, which no other one has. */
static void print_rules(FILE *out, const struct world *world, int end)
{
	for (size_t i = 0; i < world->conversation_count; i++) {
		const struct conversation *c = &world->conversations[i];

		if (!conversation_end_is_translated(c, end))
			continue;
		fprintf(out, "meta nfproto %s %s sport %u ",
			c->sent.family == AF_INET ? "ipv4" : "ipv6", c->stream ? "tcp" : "udp",
			c->sent.port[0]);
		if (end == 0 && c->masquerade) {
			fprintf(out, "masquerade\n");
			continue;
		}
		fprintf(out, end ? "dnat" : "snat");
		print_target(out, c, end);
	}
}

static pid_t fork_nft(int input)
{
	pid_t pid = fork();

	if (pid)
		return pid < 0 ? -errno : pid;
	dup2(input, STDIN_FILENO);
	execlp("nft", "nft", "-f", "-", NULL);
	_exit(127);
}

static int write_rules(int output, const struct world *world)
{
	FILE *out = fdopen(output, "w");

	if (!out) {
		close(output);
		return -ENOMEM;
	}
	fprintf(out, "table inet translate {\n"
		     "chain pre {\ntype nat hook prerouting priority -100\n");
	print_rules(out, world, 1);
	fprintf(out, "}\nchain out {\ntype nat hook output priority -100\n");
	print_rules(out, world, 1);
	fprintf(out, "}\nchain post {\ntype nat hook postrouting priority 100\n");
	print_rules(out, world, 0);
	fprintf(out, "}\n}\n");
	return fclose(out) ? -errno : 0;
}

int kernel_translate(struct kernel *kernel)
{
	int pipe_fds[2], status, err, left;
	pid_t pid;

	if (!world_translates(kernel->world))
		return 0;
	err = kernel_enter(kernel, HOST);
	if (err)
		return err;
	if (pipe2(pipe_fds, O_CLOEXEC)) {
		err = -errno;
		return kernel_leave(kernel) ?: err;
	}
	pid = fork_nft(pipe_fds[0]);
	left = kernel_leave(kernel);
	close(pipe_fds[0]);
	/* a pipe without a reader would end us */
	if (pid < 0 || left) {
		close(pipe_fds[1]);
		return pid < 0 ? pid : left;
	}
	err = write_rules(pipe_fds[1], kernel->world);
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	if (!err && (!WIFEXITED(status) || WEXITSTATUS(status)))
		err = -EIO;
	return err;
}
