// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/link.h"
#include "tests/address.h"
#include "tests/message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static _Alignas(struct nlmsghdr) char buffer[8192];

/* The header of a link with index 7; attributes are put behind it. */
static struct nlmsghdr *put_link(uint16_t type, unsigned char family)
{
	const struct ifinfomsg info = {.ifi_family = family,
				       .ifi_type = ARPHRD_ETHER,
				       .ifi_index = 7,
				       .ifi_flags = IFF_UP | IFF_BROADCAST};

	return message_begin(buffer, sizeof(buffer), type, &info, sizeof(info));
}

static struct nlmsghdr *put_named_link(void)
{
	struct nlmsghdr *message = put_link(RTM_NEWLINK, AF_UNSPEC);

	mnl_attr_put_strz(message, IFLA_IFNAME, "veth7");
	return message;
}

static void put_linkinfo(struct nlmsghdr *message, const char *kind)
{
	struct nlattr *info = mnl_attr_nest_start(message, IFLA_LINKINFO);
	struct nlattr *slave;

	mnl_attr_put_strz(message, IFLA_INFO_KIND, kind);
	mnl_attr_put_strz(message, IFLA_INFO_SLAVE_KIND, "bridge");
	slave = mnl_attr_nest_start(message, IFLA_INFO_SLAVE_DATA);
	mnl_attr_put_u8(message, IFLA_BRPORT_STATE, 3);
	mnl_attr_nest_end(message, slave);
	mnl_attr_nest_end(message, info);
}

static void assert_malformed(const struct nlmsghdr *message)
{
	struct link link;

	assert_int_equal(link_parse(&link, message), -EBADMSG);
	assert_null(link.altnames);
	assert_int_equal(link.altname_count, 0);
	link_clean(&link);
}

static void test_a_veth_under_a_bridge(void **state)
{
	struct rtnl_link_stats64 stats = {
		.rx_packets = 1,
		.tx_packets = 2,
		.rx_bytes = 3ULL << 40,
		.tx_bytes = 4,
		.rx_errors = 5,
	};
	struct nlmsghdr *message = put_named_link();
	struct nlattr *names;
	struct link link;

	(void)state;
	mnl_attr_put_u32(message, IFLA_MTU, 1500);
	mnl_attr_put_u32(message, IFLA_MASTER, 3);
	mnl_attr_put_u32(message, IFLA_LINK, 8);
	mnl_attr_put(message, IFLA_STATS64, sizeof(stats), &stats);
	put_linkinfo(message, "veth");
	names = mnl_attr_nest_start(message, IFLA_PROP_LIST);
	mnl_attr_put_strz(message, IFLA_ALT_IFNAME, "uplink");
	mnl_attr_put_u32(message, IFLA_ALT_IFNAME + 1, 1);
	mnl_attr_put_strz(message, IFLA_ALT_IFNAME, "a much longer name than IF_NAMESIZE");
	mnl_attr_nest_end(message, names);
	mnl_attr_put_u32(message, 4000, 1);

	assert_int_equal(link_parse(&link, message), 0);
	assert_int_equal(link.ifindex, 7);
	assert_false(link.gone);
	assert_int_equal(link.flags, IFF_UP | IFF_BROADCAST);
	assert_int_equal(link.type, ARPHRD_ETHER);
	assert_int_equal(link.master, 3);
	assert_int_equal(link.lower, 8);
	assert_false(link.lower_in_other_netns);
	assert_true(link.has_stats);
	assert_int_equal(link.stats.rx_packets, 1);
	assert_int_equal(link.stats.tx_packets, 2);
	assert_int_equal(link.stats.rx_bytes, 3ULL << 40);
	assert_int_equal(link.stats.tx_bytes, 4);
	assert_string_equal(link.name, "veth7");
	assert_string_equal(link.kind, "veth");
	assert_string_equal(link_kind(&link), "veth");
	assert_int_equal(link.altname_count, 2);
	assert_string_equal(link.altnames[0], "uplink");
	assert_string_equal(link.altnames[1], "a much longer name than IF_NAMESIZE");
	link_clean(&link);
	assert_null(link.altnames);
}

static void test_the_least_a_link_has(void **state)
{
	struct link link;

	(void)state;
	memset(&link, 0xff, sizeof(link));
	assert_int_equal(link_parse(&link, put_named_link()), 0);
	assert_int_equal(link.master, 0);
	assert_int_equal(link.lower, 0);
	assert_false(link.lower_in_other_netns);
	assert_false(link.has_stats);
	assert_int_equal(link.altname_count, 0);
	assert_string_equal(link.kind, "");
	assert_string_equal(link_kind(&link), "physical");
	link_clean(&link);
}

static void test_a_link_that_goes(void **state)
{
	struct nlmsghdr *message = put_named_link();
	struct link link;

	(void)state;
	message->nlmsg_type = RTM_DELLINK;
	assert_int_equal(link_parse(&link, message), 0);
	assert_true(link.gone);
	assert_int_equal(link.ifindex, 7);
	link_clean(&link);
}

static void test_kind_of_loopback(void **state)
{
	struct link link = {.flags = IFF_LOOPBACK | IFF_UP};

	(void)state;
	assert_string_equal(link_kind(&link), "loopback");
}

static void test_lower_device(void **state)
{
	struct nlmsghdr *message = put_named_link();
	struct link link;

	(void)state;
	mnl_attr_put_u32(message, IFLA_LINK, 7);
	assert_int_equal(link_parse(&link, message), 0);
	assert_int_equal(link.lower, 0);
	link_clean(&link);

	/* the peer of a veth in another namespace may have the same index */
	mnl_attr_put_u32(message, IFLA_LINK_NETNSID, 0);
	assert_int_equal(link_parse(&link, message), 0);
	assert_int_equal(link.lower, 7);
	assert_true(link.lower_in_other_netns);
	link_clean(&link);

	message = put_named_link();
	mnl_attr_put_u32(message, IFLA_LINK_NETNSID, (uint32_t)-1);
	mnl_attr_put_u32(message, IFLA_LINK, 2);
	assert_int_equal(link_parse(&link, message), 0);
	assert_int_equal(link.lower, 2);
	assert_true(link.lower_in_other_netns);
	link_clean(&link);
}

static void test_messages_that_are_about_no_link(void **state)
{
	struct nlmsghdr *message;
	struct link link;

	(void)state;
	message = put_link(RTM_DELLINK, AF_BRIDGE);
	mnl_attr_put_strz(message, IFLA_IFNAME, "veth7");
	assert_int_equal(link_parse(&link, message), -ENOENT);

	message = put_link(RTM_NEWLINK, AF_INET6);
	mnl_attr_put_strz(message, IFLA_IFNAME, "veth7");
	assert_int_equal(link_parse(&link, message), -ENOENT);

	message = put_named_link();
	message->nlmsg_type = RTM_NEWADDR;
	assert_int_equal(link_parse(&link, message), -ENOENT);
}

static void test_a_wireless_event_is_no_change_of_the_link(void **state)
{
	struct nlmsghdr *message = put_named_link();
	struct link link;

	(void)state;
	mnl_attr_put(message, IFLA_WIRELESS, 16, "0123456789abcdef");
	assert_int_equal(link_parse(&link, message), -ENOENT);
}

static void test_names_are_bytes(void **state)
{
	static const char *const names[] = {"a", "fifteen_bytes_x", "\xff\xfe\x01\x7f",
					    "\"\\\033[m", "\xf0\x9f\x90\x8c"};
	struct nlmsghdr *message;
	struct link link;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		message = put_link(RTM_NEWLINK, AF_UNSPEC);
		mnl_attr_put_strz(message, IFLA_IFNAME, names[i]);
		assert_int_equal(link_parse(&link, message), 0);
		assert_string_equal(link.name, names[i]);
		link_clean(&link);
	}
}

static void test_bad_names(void **state)
{
	struct nlmsghdr *message;

	(void)state;
	assert_malformed(put_link(RTM_NEWLINK, AF_UNSPEC));

	message = put_link(RTM_NEWLINK, AF_UNSPEC);
	mnl_attr_put(message, IFLA_IFNAME, 0, NULL);
	assert_malformed(message);

	message = put_link(RTM_NEWLINK, AF_UNSPEC);
	mnl_attr_put_strz(message, IFLA_IFNAME, "");
	assert_malformed(message);

	message = put_link(RTM_NEWLINK, AF_UNSPEC);
	mnl_attr_put_str(message, IFLA_IFNAME, "eth0"); /* not terminated */
	assert_malformed(message);

	message = put_link(RTM_NEWLINK, AF_UNSPEC);
	mnl_attr_put_strz(message, IFLA_IFNAME, "sixteen_bytes_xy");
	assert_malformed(message);
}

static void test_bad_attributes(void **state)
{
	char kind[LINK_KIND_SIZE + 1] = {0};
	struct nlmsghdr *message;
	struct nlattr *names;
	unsigned int type;

	(void)state;
	for (type = 0; type < 2; type++) {
		message = put_named_link();
		mnl_attr_put_u16(message, type ? IFLA_MASTER : IFLA_LINK, 1);
		assert_malformed(message);
		message = put_named_link();
		mnl_attr_put_u64(message, type ? IFLA_MASTER : IFLA_LINK, 1);
		assert_malformed(message);
	}

	message = put_named_link();
	mnl_attr_put(message, IFLA_STATS64, 31, buffer);
	assert_malformed(message);

	memset(kind, 'k', LINK_KIND_SIZE);
	message = put_named_link();
	put_linkinfo(message, kind);
	assert_malformed(message);

	/* a good alternative name before what is bad must not leak */
	message = put_named_link();
	names = mnl_attr_nest_start(message, IFLA_PROP_LIST);
	mnl_attr_put_strz(message, IFLA_ALT_IFNAME, "good");
	mnl_attr_nest_end(message, names);
	mnl_attr_put_u16(message, IFLA_MASTER, 1);
	assert_malformed(message);
}

/* ip(8) gives none that is empty, but the kernel takes it. */
static void test_alternative_names_that_are_none(void **state)
{
	char altname[LINK_ALTNAME_SIZE + 1] = {0};
	struct nlmsghdr *message = put_named_link();
	struct nlattr *names = mnl_attr_nest_start(message, IFLA_PROP_LIST);
	struct link link;

	(void)state;
	memset(altname, 'n', LINK_ALTNAME_SIZE);
	mnl_attr_put_strz(message, IFLA_ALT_IFNAME, "");
	mnl_attr_put_strz(message, IFLA_ALT_IFNAME, "good");
	mnl_attr_put_strz(message, IFLA_ALT_IFNAME, altname);
	mnl_attr_nest_end(message, names);
	assert_int_equal(link_parse(&link, message), 0);
	assert_int_equal(link.altname_count, 1);
	assert_string_equal(link.altnames[0], "good");
	link_clean(&link);
}

static void test_attributes_that_do_not_add_up(void **state)
{
	struct nlmsghdr *message;
	struct nlattr *nest, *attr;

	(void)state;
	/* a nest with an attribute that is longer than the nest */
	message = put_named_link();
	nest = mnl_attr_nest_start(message, IFLA_LINKINFO);
	attr = mnl_nlmsg_get_payload_tail(message);
	mnl_attr_put_strz(message, IFLA_INFO_KIND, "veth");
	mnl_attr_nest_end(message, nest);
	attr->nla_len += 4;
	assert_malformed(message);

	/* the same at the end of the message */
	message = put_named_link();
	attr = mnl_nlmsg_get_payload_tail(message);
	mnl_attr_put_u32(message, IFLA_MASTER, 1);
	attr->nla_len += 4;
	assert_malformed(message);

	/* an attribute shorter than its own header */
	message = put_named_link();
	attr = mnl_nlmsg_get_payload_tail(message);
	mnl_attr_put_u32(message, IFLA_MASTER, 1);
	attr->nla_len = 3;
	assert_malformed(message);

	message = put_named_link();
	((struct ifinfomsg *)mnl_nlmsg_get_payload(message))->ifi_index = 0;
	assert_malformed(message);
}

static void test_counters_of_other_kernels(void **state)
{
	uint64_t counters[40];
	struct nlmsghdr *message;
	struct link link;
	unsigned int i;

	(void)state;
	for (i = 0; i < 40; i++)
		counters[i] = i + 1;
	for (i = 4; i <= 40; i++) {
		message = put_link(RTM_NEWLINK, AF_UNSPEC);
		/* "veth7" takes 12 bytes, "e" 8: the counters are aligned to 8 in one of the two */
		mnl_attr_put_strz(message, IFLA_IFNAME, i % 2 ? "veth7" : "e");
		mnl_attr_put(message, IFLA_STATS64, i * sizeof(counters[0]), counters);
		assert_int_equal(link_parse(&link, message), 0);
		assert_true(link.has_stats);
		assert_int_equal(link.stats.rx_packets, 1);
		assert_int_equal(link.stats.tx_packets, 2);
		assert_int_equal(link.stats.rx_bytes, 3);
		assert_int_equal(link.stats.tx_bytes, 4);
		link_clean(&link);
	}
}

/* As RTM_GETSTATS answers: for link 7, with those attributes that are asked for. */
static struct nlmsghdr *put_stats(uint16_t type)
{
	const struct if_stats_msg info = {.ifindex = 7,
					  .filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64)};

	return message_begin(buffer, sizeof(buffer), type, &info, sizeof(info));
}

static void test_counters_alone(void **state)
{
	const uint64_t counters[] = {1, 2, 3ULL << 40, 4, 5, 6};
	struct nlmsghdr *message = put_stats(RTM_NEWSTATS);
	struct link_stats stats = {0};
	uint32_t ifindex = 0;

	(void)state;
	/* what nobody asked for, and is shorter than counters are */
	mnl_attr_put_u32(message, IFLA_STATS_LINK_XSTATS, 8);
	mnl_attr_put(message, IFLA_STATS_LINK_64, sizeof(counters), counters);
	assert_int_equal(link_parse_stats(&ifindex, &stats, message), 0);
	assert_int_equal(ifindex, 7);
	assert_int_equal(stats.rx_packets, 1);
	assert_int_equal(stats.tx_packets, 2);
	assert_int_equal(stats.rx_bytes, 3ULL << 40);
	assert_int_equal(stats.tx_bytes, 4);
}

static void test_bad_counters(void **state)
{
	const uint64_t counters[] = {1, 2, 3};
	struct nlmsghdr *message = put_stats(RTM_NEWLINK);
	struct link_stats stats = {.rx_packets = 9};
	uint32_t ifindex = 0;

	(void)state;
	assert_int_equal(link_parse_stats(&ifindex, &stats, message), -ENOENT);
	message = put_stats(RTM_NEWSTATS);
	message->nlmsg_len--;
	assert_int_equal(link_parse_stats(&ifindex, &stats, message), -EBADMSG);
	assert_int_equal(ifindex, 0);
	message = put_stats(RTM_NEWSTATS);
	mnl_attr_put(message, IFLA_STATS_LINK_64, sizeof(counters), counters);
	assert_int_equal(link_parse_stats(&ifindex, &stats, message), -EBADMSG);
	assert_int_equal(stats.rx_packets, 9);
}

/* Cuts the message at every length. The copy has exactly that size, so that a sanitizer sees what
 * is read beyond. */
static void test_truncated_at_every_length(void **state)
{
	struct nlmsghdr *message = put_named_link(), *copy;
	uint32_t length, whole;
	struct nlattr *names;
	struct link link;
	int r;

	(void)state;
	mnl_attr_put_u32(message, IFLA_MASTER, 3);
	put_linkinfo(message, "veth");
	names = mnl_attr_nest_start(message, IFLA_PROP_LIST);
	mnl_attr_put_strz(message, IFLA_ALT_IFNAME, "uplink");
	mnl_attr_nest_end(message, names);
	whole = message->nlmsg_len;

	for (length = MNL_NLMSG_HDRLEN; length <= whole; length++) {
		copy = malloc(length);
		assert_non_null(copy);
		memcpy(copy, message, length);
		copy->nlmsg_len = length;
		r = link_parse(&link, copy);
		assert_true(r == 0 || r == -EBADMSG);
		/* 10: the name without its padding */
		if (length < MNL_NLMSG_HDRLEN + sizeof(struct ifinfomsg) + 10)
			assert_int_equal(r, -EBADMSG);
		if (length == whole)
			assert_int_equal(r, 0);
		link_clean(&link);
		free(copy);
	}
}

/* Every single byte of the message set to a few values: never a crash, never a name unterminated.
 */
static void test_damaged_at_every_byte(void **state)
{
	static const unsigned char values[] = {0, 1, 3, 4, 0x7f, 0x80, 0xff};
	struct nlmsghdr *message = put_named_link(), *copy;
	struct nlattr *names;
	struct link link;
	unsigned int at, i;
	int r;

	(void)state;
	put_linkinfo(message, "veth");
	names = mnl_attr_nest_start(message, IFLA_PROP_LIST);
	mnl_attr_put_strz(message, IFLA_ALT_IFNAME, "uplink");
	mnl_attr_nest_end(message, names);
	copy = malloc(message->nlmsg_len);
	assert_non_null(copy);

	for (at = MNL_NLMSG_HDRLEN; at < message->nlmsg_len; at++) {
		for (i = 0; i < sizeof(values); i++) {
			memcpy(copy, message, message->nlmsg_len);
			((unsigned char *)copy)[at] = values[i];
			r = link_parse(&link, copy);
			assert_true(r == 0 || r == -EBADMSG || r == -ENOENT);
			if (r == 0) {
				assert_non_null(memchr(link.name, '\0', sizeof(link.name)));
				assert_non_null(memchr(link.kind, '\0', sizeof(link.kind)));
			}
			link_clean(&link);
		}
	}
	free(copy);
}

/* A link of a kind with the attributes that put_data puts into IFLA_INFO_DATA. */
static struct nlmsghdr *put_tunnel(const char *kind, void (*put_data)(struct nlmsghdr *message))
{
	struct nlmsghdr *message = put_named_link();
	struct nlattr *info = mnl_attr_nest_start(message, IFLA_LINKINFO);
	struct nlattr *data;

	mnl_attr_put_strz(message, IFLA_INFO_KIND, kind);
	data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
	put_data(message);
	mnl_attr_nest_end(message, data);
	mnl_attr_nest_end(message, info);
	return message;
}

static struct link_tunnel parse_tunnel(const char *kind, void (*put_data)(struct nlmsghdr *message))
{
	struct link link;

	assert_int_equal(link_parse(&link, put_tunnel(kind, put_data)), 0);
	assert_string_equal(link.kind, kind);
	link_clean(&link);
	return link.tunnel;
}

static void put_vxlan(struct nlmsghdr *message)
{
	mnl_attr_put_u32(message, IFLA_VXLAN_ID, 7);
	message_put_address(message, IFLA_VXLAN_GROUP, "10.0.0.2");
	message_put_address(message, IFLA_VXLAN_LOCAL, "10.0.0.1");
	mnl_attr_put_u16(message, IFLA_VXLAN_PORT, htons(4789));
	mnl_attr_put_u8(message, IFLA_VXLAN_COLLECT_METADATA, 0);
}

static void put_vxlan6_group(struct nlmsghdr *message)
{
	mnl_attr_put_u16(message, IFLA_VXLAN_PORT, htons(8472));
	message_put_address(message, IFLA_VXLAN_GROUP6, "ff05::5");
	message_put_address(message, IFLA_VXLAN_LOCAL6, "fd00::1");
}

static void put_vxlan_group(struct nlmsghdr *message)
{
	mnl_attr_put_u16(message, IFLA_VXLAN_PORT, htons(8472));
	message_put_address(message, IFLA_VXLAN_GROUP, "239.1.1.1");
	message_put_address(message, IFLA_VXLAN_LOCAL, "0.0.0.0");
}

static void put_nothing(struct nlmsghdr *message)
{
	(void)message;
}

static void test_vxlan(void **state)
{
	struct link_tunnel tunnel = parse_tunnel("vxlan", put_vxlan);

	(void)state;
	assert_int_equal(tunnel.protocols[0], IPPROTO_UDP);
	assert_int_equal(tunnel.protocols[1], 0);
	assert_int_equal(tunnel.port, htons(4789));
	assert_true(tunnel.other_remotes);
	assert_address(tunnel.local, "::ffff:10.0.0.1");
	assert_address(tunnel.remote, "::ffff:10.0.0.2");

	tunnel = parse_tunnel("vxlan", put_vxlan6_group);
	assert_int_equal(tunnel.port, htons(8472));
	assert_address(tunnel.local, "fd00::1");
	assert_address(tunnel.remote, "");

	tunnel = parse_tunnel("vxlan", put_vxlan_group);
	assert_address(tunnel.local, "");
	assert_address(tunnel.remote, "");

	/* without a port it is not known what to look for */
	tunnel = parse_tunnel("vxlan", put_nothing);
	assert_int_equal(tunnel.protocols[0], 0);
}

static void put_geneve(struct nlmsghdr *message)
{
	mnl_attr_put_u32(message, IFLA_GENEVE_ID, 7);
	mnl_attr_put_u16(message, IFLA_GENEVE_PORT, htons(6081));
	message_put_address(message, IFLA_GENEVE_REMOTE6, "fd00::2");
}

static void test_geneve(void **state)
{
	struct link_tunnel tunnel = parse_tunnel("geneve", put_geneve);

	(void)state;
	assert_int_equal(tunnel.protocols[0], IPPROTO_UDP);
	assert_int_equal(tunnel.port, htons(6081));
	assert_false(tunnel.other_remotes);
	assert_address(tunnel.local, "");
	assert_address(tunnel.remote, "fd00::2");
}

static void put_gre(struct nlmsghdr *message)
{
	message_put_address(message, IFLA_GRE_LOCAL, "10.0.0.1");
	message_put_address(message, IFLA_GRE_REMOTE, "10.0.0.2");
	mnl_attr_put_u16(message, IFLA_GRE_ENCAP_TYPE, TUNNEL_ENCAP_NONE);
	mnl_attr_put_u16(message, IFLA_GRE_ENCAP_DPORT, 0);
}

static void put_gre_in_udp(struct nlmsghdr *message)
{
	message_put_address(message, IFLA_GRE_REMOTE, "fd00::2");
	mnl_attr_put_u16(message, IFLA_GRE_ENCAP_TYPE, TUNNEL_ENCAP_GUE);
	mnl_attr_put_u16(message, IFLA_GRE_ENCAP_DPORT, htons(5555));
}

static void test_gre(void **state)
{
	static const char *const kinds[] = {"gre",    "gretap",	   "erspan",
					    "ip6gre", "ip6gretap", "ip6erspan"};
	struct link_tunnel tunnel;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		tunnel = parse_tunnel(kinds[i], put_gre);
		assert_int_equal(tunnel.protocols[0], IPPROTO_GRE);
		assert_int_equal(tunnel.protocols[1], 0);
		assert_false(tunnel.other_remotes);
		assert_address(tunnel.local, "::ffff:10.0.0.1");
		assert_address(tunnel.remote, "::ffff:10.0.0.2");
	}
	tunnel = parse_tunnel("ip6gre", put_gre_in_udp);
	assert_int_equal(tunnel.protocols[0], IPPROTO_UDP);
	assert_int_equal(tunnel.protocols[1], 0);
	assert_int_equal(tunnel.port, htons(5555));
}

static void put_ipip(struct nlmsghdr *message)
{
	message_put_address(message, IFLA_IPTUN_LOCAL, "10.0.0.1");
	message_put_address(message, IFLA_IPTUN_REMOTE, "224.0.0.1");
	mnl_attr_put_u8(message, IFLA_IPTUN_PROTO, IPPROTO_IPIP);
}

static void put_any_iptun(struct nlmsghdr *message)
{
	message_put_address(message, IFLA_IPTUN_LOCAL, "fd00::1");
	mnl_attr_put_u8(message, IFLA_IPTUN_PROTO, 0);
}

/* FOU, whichever of the two attributes comes first. */
static void put_iptun_in_udp(struct nlmsghdr *message)
{
	mnl_attr_put_u16(message, IFLA_IPTUN_ENCAP_TYPE, TUNNEL_ENCAP_FOU);
	mnl_attr_put_u16(message, IFLA_IPTUN_ENCAP_DPORT, htons(5555));
	mnl_attr_put_u8(message, IFLA_IPTUN_PROTO, IPPROTO_IPIP);
}

static void test_ip_in_ip(void **state)
{
	struct link_tunnel tunnel = parse_tunnel("ipip", put_ipip);

	(void)state;
	assert_int_equal(tunnel.protocols[0], IPPROTO_IPIP);
	assert_int_equal(tunnel.protocols[1], 0);
	assert_address(tunnel.local, "::ffff:10.0.0.1");
	assert_address(tunnel.remote, "");

	tunnel = parse_tunnel("ip6tnl", put_any_iptun);
	assert_int_equal(tunnel.protocols[0], IPPROTO_IPV6);
	assert_int_equal(tunnel.protocols[1], IPPROTO_IPIP);
	assert_address(tunnel.local, "fd00::1");

	tunnel = parse_tunnel("sit", put_nothing);
	assert_int_equal(tunnel.protocols[0], IPPROTO_IPV6);

	tunnel = parse_tunnel("sit", put_iptun_in_udp);
	assert_int_equal(tunnel.protocols[0], IPPROTO_UDP);
	assert_int_equal(tunnel.protocols[1], 0);
	assert_int_equal(tunnel.port, htons(5555));
}

static void put_short_port(struct nlmsghdr *message)
{
	mnl_attr_put_u8(message, IFLA_VXLAN_PORT, 1);
}

static void put_long_port(struct nlmsghdr *message)
{
	mnl_attr_put_u32(message, IFLA_VXLAN_PORT, 1);
}

static void put_odd_address(struct nlmsghdr *message)
{
	mnl_attr_put(message, IFLA_GRE_LOCAL, 6, "012345");
}

static void put_empty_address(struct nlmsghdr *message)
{
	mnl_attr_put(message, IFLA_IPTUN_REMOTE, 0, NULL);
}

static void put_long_protocol(struct nlmsghdr *message)
{
	mnl_attr_put_u16(message, IFLA_IPTUN_PROTO, IPPROTO_IPIP);
}

static void put_short_encapsulation(struct nlmsghdr *message)
{
	mnl_attr_put_u8(message, IFLA_GRE_ENCAP_TYPE, 1);
}

static void test_bad_tunnels(void **state)
{
	struct link_tunnel tunnel;

	(void)state;
	assert_malformed(put_tunnel("vxlan", put_short_port));
	assert_malformed(put_tunnel("vxlan", put_long_port));
	assert_malformed(put_tunnel("gre", put_odd_address));
	assert_malformed(put_tunnel("ipip", put_empty_address));
	assert_malformed(put_tunnel("sit", put_long_protocol));
	assert_malformed(put_tunnel("ip6gre", put_short_encapsulation));

	/* what the numbers mean for another kind is not known */
	tunnel = parse_tunnel("bridge", put_odd_address);
	assert_int_equal(tunnel.protocols[0], 0);
}

/* The data of one kind taken for that of another, with every byte of it damaged. */
static void test_damaged_tunnels(void **state)
{
	static const char *const kinds[] = {"vxlan", "geneve", "gre", "ipip"};
	static const unsigned char values[] = {0, 1, 3, 4, 0x7f, 0x80, 0xff};
	struct nlmsghdr *message, *copy;
	struct link link;
	unsigned int at, i, k;
	int r;

	(void)state;
	for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		message = put_tunnel(kinds[k], k % 2 ? put_gre : put_vxlan);
		copy = malloc(message->nlmsg_len);
		assert_non_null(copy);
		for (at = MNL_NLMSG_HDRLEN; at < message->nlmsg_len; at++) {
			for (i = 0; i < sizeof(values); i++) {
				memcpy(copy, message, message->nlmsg_len);
				((unsigned char *)copy)[at] = values[i];
				r = link_parse(&link, copy);
				assert_true(r == 0 || r == -EBADMSG || r == -ENOENT);
				/* UDP without a port would be all of UDP */
				if (!r && link.tunnel.protocols[0] == IPPROTO_UDP)
					assert_int_not_equal(link.tunnel.port, 0);
				link_clean(&link);
			}
		}
		free(copy);
	}
}

static void put_bridge_mode(struct nlmsghdr *message)
{
	mnl_attr_put_u32(message, IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
}

static void put_vepa_mode(struct nlmsghdr *message)
{
	mnl_attr_put_u32(message, IFLA_MACVLAN_MODE, MACVLAN_MODE_VEPA);
}

static void put_short_mode(struct nlmsghdr *message)
{
	mnl_attr_put_u16(message, IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
}

/* It owns nothing. */
static struct link parse_data(const char *kind, void (*put_data)(struct nlmsghdr *message))
{
	struct link link;

	assert_int_equal(link_parse(&link, put_tunnel(kind, put_data)), 0);
	link_clean(&link);
	return link;
}

/* Whether its frames to siblings come back in below. */
static void test_macvlan(void **state)
{
	struct link link;

	(void)state;
	assert_true(parse_data("macvlan", put_bridge_mode).macvlan_bridge);
	assert_true(parse_data("macvtap", put_bridge_mode).macvlan_bridge);
	assert_false(parse_data("macvlan", put_vepa_mode).macvlan_bridge);
	assert_false(parse_data("ipvlan", put_bridge_mode).macvlan_bridge);
	assert_int_equal(link_parse(&link, put_tunnel("macvlan", put_short_mode)), -EBADMSG);
}

static void put_filtering(struct nlmsghdr *message)
{
	mnl_attr_put_u8(message, IFLA_BR_VLAN_FILTERING, 1);
}

static void put_no_filtering(struct nlmsghdr *message)
{
	mnl_attr_put_u8(message, IFLA_BR_VLAN_FILTERING, 0);
}

static void put_long_filtering(struct nlmsghdr *message)
{
	mnl_attr_put_u32(message, IFLA_BR_VLAN_FILTERING, 1);
}

static void test_vlan_filtering(void **state)
{
	struct link link;

	(void)state;
	assert_true(parse_data("bridge", put_filtering).vlan_filtering);
	assert_false(parse_data("bridge", put_no_filtering).vlan_filtering);
	assert_false(parse_data("bond", put_filtering).vlan_filtering);
	assert_int_equal(link_parse(&link, put_tunnel("bridge", put_long_filtering)), -EBADMSG);
}

static bool has_no_queue(const char *qdisc)
{
	struct nlmsghdr *message = put_named_link();
	struct link link;

	if (qdisc)
		mnl_attr_put_strz(message, IFLA_QDISC, qdisc);
	assert_int_equal(link_parse(&link, message), 0);
	link_clean(&link);
	return link.no_queue;
}

static void test_queue(void **state)
{
	(void)state;
	assert_true(has_no_queue("noqueue"));
	assert_true(has_no_queue("noop"));
	assert_false(has_no_queue("fq_codel"));
	assert_false(has_no_queue(NULL));
}

static void test_address(void **state)
{
	static const uint8_t bytes[20] = {2, 0, 0, 0, 0, 7}, none[6];
	struct nlmsghdr *message = put_named_link();
	struct link link;

	(void)state;
	mnl_attr_put(message, IFLA_ADDRESS, 6, bytes);
	assert_int_equal(link_parse(&link, message), 0);
	assert_memory_equal(link.address, bytes, 6);
	link_clean(&link);
	/* of infiniband, of a tunnel */
	for (size_t size = 4; size <= 20; size += 16) {
		message = put_named_link();
		mnl_attr_put(message, IFLA_ADDRESS, size, bytes);
		assert_int_equal(link_parse(&link, message), 0);
		assert_memory_equal(link.address, none, 6);
		link_clean(&link);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_veth_under_a_bridge),
		cmocka_unit_test(test_the_least_a_link_has),
		cmocka_unit_test(test_a_link_that_goes),
		cmocka_unit_test(test_kind_of_loopback),
		cmocka_unit_test(test_lower_device),
		cmocka_unit_test(test_messages_that_are_about_no_link),
		cmocka_unit_test(test_a_wireless_event_is_no_change_of_the_link),
		cmocka_unit_test(test_names_are_bytes),
		cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_bad_attributes),
		cmocka_unit_test(test_alternative_names_that_are_none),
		cmocka_unit_test(test_attributes_that_do_not_add_up),
		cmocka_unit_test(test_counters_of_other_kernels),
		cmocka_unit_test(test_counters_alone),
		cmocka_unit_test(test_bad_counters),
		cmocka_unit_test(test_truncated_at_every_length),
		cmocka_unit_test(test_damaged_at_every_byte),
		cmocka_unit_test(test_vxlan),
		cmocka_unit_test(test_geneve),
		cmocka_unit_test(test_gre),
		cmocka_unit_test(test_ip_in_ip),
		cmocka_unit_test(test_bad_tunnels),
		cmocka_unit_test(test_damaged_tunnels),
		cmocka_unit_test(test_macvlan),
		cmocka_unit_test(test_vlan_filtering),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
