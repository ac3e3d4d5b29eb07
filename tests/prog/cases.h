/* SPDX-License-Identifier: GPL-2.0-only */
/* One packet each, and what it has to count as. */
#ifndef FLOWTALLY_TESTS_CASES_H
#define FLOWTALLY_TESTS_CASES_H

#include "bpf/flow_types.h"
#include "tests/prog/harness.h"
#include "tests/prog/packet.h"

#define ATTRIBUTED FLOW_REASONS

struct want {
	int reason; /* enum flow_reason or ATTRIBUTED */
	int family, protocol;
	int source_port, destination_port;
	uint64_t bytes;
	uint64_t packets; /* 0: 1 */
};

struct packet_case {
	const char *name;
	struct item items[PACKET_ITEMS];
	struct want want;
	uint32_t gso_size;
	uint32_t gso_segs;
	int cut;	  /* off the end of the frame */
	int pad;	  /* added to it */
	bool no_ethernet; /* on an interface without FLOW_SLOT_ETHERNET */
};

/* Versions of clang-format differ in braces. */
/* clang-format off */
#define PACKET(...) {__VA_ARGS__}
#define FLOW(family_, protocol_, source, destination, bytes_, ...)                    \
	{.reason = ATTRIBUTED, .family = (family_), .protocol = (protocol_),          \
	 .source_port = (source), .destination_port = (destination),                  \
	 .bytes = (bytes_), ##__VA_ARGS__}
#define FLOW4(...) FLOW(FLOW_IPV4, __VA_ARGS__)
#define FLOW6(...) FLOW(FLOW_IPV6, __VA_ARGS__)
#define NO_FLOW(reason_, bytes_, ...) {.reason = FLOW_##reason_, .bytes = (bytes_), ##__VA_ARGS__}
/* clang-format on */

#define ICMP  UPPER(1, 8)
#define ICMP6 UPPER(58, 8)
#define ESP   UPPER(50, 24)

static const struct packet_case packet_cases[] = {
	/* link header */
	{"arp", PACKET(ETHERTYPE(0x0806), DATA(28)), .want = NO_FLOW(NON_IP, 28)},
	{"arp_padded", PACKET(ETHERTYPE(0x0806), DATA(28)), .want = NO_FLOW(NON_IP, 46), .pad = 18},
	{"llc", PACKET(ETHERTYPE(38), DATA(38)), .want = NO_FLOW(NON_IP, 38)},
	{"llc_largest_length", PACKET(ETHERTYPE(0x05ff), DATA(50)), .want = NO_FLOW(NON_IP, 50)},
	{"mpls", PACKET(ETHERTYPE(0x8847), DATA(50)), .want = NO_FLOW(NON_IP, 50)},
	{"non_ip_segments", PACKET(ETHERTYPE(0x8847), DATA(50)),
	 .want = NO_FLOW(NON_IP, 50, .packets = 5), .gso_segs = 5, .gso_size = 10},
	{"ipv4_without_header",
	 PACKET(ETHERNET, {.kind = ITEM_TAG, .is = 0x8100, .next = ETH_P_IP}, DATA(1)),
	 .want = NO_FLOW(MALFORMED, 1)},
	{"ipv6_without_header",
	 PACKET(ETHERNET, {.kind = ITEM_TAG, .is = 0x8100, .next = ETH_P_IPV6}, DATA(1)),
	 .want = NO_FLOW(MALFORMED, 1)},
	{"ipv4_as_ipv6", PACKET(ETHERTYPE(ETH_P_IPV6), V4(), UDP(1, 2), DATA(20)),
	 .want = NO_FLOW(MALFORMED, 48)},
	{"ipv6_as_ipv4", PACKET(ETHERTYPE(ETH_P_IP), V6(), UDP(1, 2)),
	 .want = NO_FLOW(MALFORMED, 48)},
	{"vlan_8021q", PACKET(ETHERNET, TAG(0x8100), V4(), UDP(1, 2)), .want = FLOW4(17, 1, 2, 28)},
	{"vlan_8021ad", PACKET(ETHERNET, TAG(0x88a8), V4(), UDP(1, 2)),
	 .want = FLOW4(17, 1, 2, 28)},
	{"vlan_9100", PACKET(ETHERNET, TAG(0x9100), V6(), UDP(1, 2)), .want = FLOW6(17, 1, 2, 48)},
	{"vlan_two", PACKET(ETHERNET, TAG(0x88a8), TAG(0x8100), V4(), TCP(1, 2)),
	 .want = FLOW4(6, 1, 2, 40)},
	{"vlan_two_ipv6", PACKET(ETHERNET, TAG(0x88a8), TAG(0x8100), V6(), TCP(1, 2)),
	 .want = FLOW6(6, 1, 2, 60)},
	{"vlan_three", PACKET(ETHERNET, TAG(0x9100), TAG(0x88a8), TAG(0x8100), V4(), TCP(1, 2)),
	 .want = FLOW4(6, 1, 2, 40)},
	{"vlan_three_options",
	 PACKET(ETHERNET, TAG(0x9100), TAG(0x88a8), TAG(0x8100), V4(.size = 40), UDP(1, 2)),
	 .want = FLOW4(17, 1, 2, 68)},
	{"vlan_three_ipv6",
	 PACKET(ETHERNET, TAG(0x9100), TAG(0x88a8), TAG(0x8100), V6(), TCP(1, 2)),
	 .want = FLOW6(6, 1, 2, 60)},
	{"vlan_four",
	 PACKET(ETHERNET, TAG(0x8100), TAG(0x8100), TAG(0x8100), TAG(0x8100), V4(), TCP(1, 2)),
	 .want = NO_FLOW(NON_IP, 44)},
	{"vlan_arp", PACKET(ETHERNET, {.kind = ITEM_TAG, .is = 0x8100, .next = 0x0806}, DATA(28)),
	 .want = NO_FLOW(NON_IP, 28)},
	{"vlan_cut", PACKET(ETHERNET, TAG(0x8100), V4()), .want = NO_FLOW(MALFORMED, 3), .cut = 21},
	{"vlan_second_cut", PACKET(ETHERNET, TAG(0x8100), TAG(0x8100), V4()),
	 .want = NO_FLOW(MALFORMED, 2), .cut = 22},
	{"vlan_third_cut", PACKET(ETHERNET, TAG(0x8100), TAG(0x8100), TAG(0x8100), V4()),
	 .want = NO_FLOW(MALFORMED, 1), .cut = 23},
	{"vlan_ip_cut", PACKET(ETHERNET, TAG(0x8100), V4(), UDP(1, 2)),
	 .want = NO_FLOW(MALFORMED, 19), .cut = 9},

	/* IPv4 header */
	{"ipv4_options", PACKET(ETHERNET, V4(.size = 4), TCP(5, 6), DATA(7)),
	 .want = FLOW4(6, 5, 6, 51)},
	{"ipv4_options_most", PACKET(ETHERNET, V4(.size = 40), UDP(5, 6)),
	 .want = FLOW4(17, 5, 6, 68)},
	{"ipv4_ihl_4", PACKET(ETHERNET, V4(.first = 0x44), UDP(5, 6)),
	 .want = NO_FLOW(MALFORMED, 28)},
	{"ipv4_ihl_0", PACKET(ETHERNET, V4(.first = 0x40), UDP(5, 6)),
	 .want = NO_FLOW(MALFORMED, 28)},
	{"ipv4_ihl_past_length", PACKET(ETHERNET, V4(.first = 0x4f), UDP(5, 6)),
	 .want = NO_FLOW(MALFORMED, 28)},
	{"ipv4_version_5", PACKET(ETHERNET, V4(.first = 0x55), UDP(5, 6)),
	 .want = NO_FLOW(MALFORMED, 28)},
	{"ipv4_length_below_header", PACKET(ETHERNET, V4(.length = -9), ICMP),
	 .want = NO_FLOW(MALFORMED, 28)},
	{"ipv4_length_header_only", PACKET(ETHERNET, V4(.length = -8), UDP(5, 6)),
	 .want = NO_FLOW(MALFORMED, 28)},
	{"ipv4_length_before_ports", PACKET(ETHERNET, V4(.length = -5), UDP(5, 6)),
	 .want = NO_FLOW(MALFORMED, 28)},
	{"ipv4_length_behind_ports", PACKET(ETHERNET, V4(.length = -4), UDP(5, 6)),
	 .want = FLOW4(17, 5, 6, 24)},
	{"ipv4_length_past_frame", PACKET(ETHERNET, V4(.length = 1), UDP(5, 6)),
	 .want = NO_FLOW(MALFORMED, 28)},
	{"ipv4_length_0", PACKET(ETHERNET, V4(.no_length = true), UDP(5, 6)),
	 .want = NO_FLOW(MALFORMED, 28)},
	{"ipv4_padding", PACKET(ETHERNET, V4(), TCP(5, 6)), .want = FLOW4(6, 5, 6, 40), .pad = 6},
	{"ipv4_nothing_inside", PACKET(ETHERNET, V4(.next = 253)), .want = FLOW4(253, 0, 0, 20)},
	{"ipv4_dont_fragment", PACKET(ETHERNET, V4(.fragment = 0x4000), UDP(5, 6)),
	 .want = FLOW4(17, 5, 6, 28)},
	{"ipv4_reserved_bit", PACKET(ETHERNET, V4(.fragment = 0x8000), UDP(5, 6)),
	 .want = FLOW4(17, 5, 6, 28)},

	/* upper layers, either end sending */
	{"tcp", PACKET(ETHERNET, V4(), TCP(40000, 443), DATA(100)),
	 .want = FLOW4(6, 40000, 443, 140)},
	{"tcp_back", PACKET(ETHERNET, V4(.source = 2, .destination = 1), TCP(443, 40000)),
	 .want = FLOW4(6, 443, 40000, 40)},
	{"udp", PACKET(ETHERNET, V4(), UDP(1000, 53), DATA(10)), .want = FLOW4(17, 1000, 53, 38)},
	{"udp_back", PACKET(ETHERNET, V4(.source = 2, .destination = 1), UDP(53, 1000)),
	 .want = FLOW4(17, 53, 1000, 28)},
	{"udplite", PACKET(ETHERNET, V4(), UPPER(136, 8, .source = 7, .destination = 8)),
	 .want = FLOW4(136, 7, 8, 28)},
	{"udplite_back",
	 PACKET(ETHERNET, V4(.source = 3), UPPER(136, 8, .source = 8, .destination = 7)),
	 .want = FLOW4(136, 8, 7, 28)},
	{"sctp", PACKET(ETHERNET, V4(), UPPER(132, 12, .source = 7, .destination = 8), DATA(4)),
	 .want = FLOW4(132, 7, 8, 36)},
	{"sctp_back",
	 PACKET(ETHERNET, V4(.source = 3), UPPER(132, 12, .source = 8, .destination = 7)),
	 .want = FLOW4(132, 8, 7, 32)},
	{"dccp", PACKET(ETHERNET, V4(), UPPER(33, 12, .source = 7, .destination = 8)),
	 .want = FLOW4(33, 7, 8, 32)},
	{"dccp_back",
	 PACKET(ETHERNET, V4(.source = 3), UPPER(33, 12, .source = 8, .destination = 7)),
	 .want = FLOW4(33, 8, 7, 32)},
	{"icmp", PACKET(ETHERNET, V4(), ICMP, DATA(56)), .want = FLOW4(1, 0, 0, 84)},
	{"icmp_back", PACKET(ETHERNET, V4(.source = 3), ICMP, DATA(56)),
	 .want = FLOW4(1, 0, 0, 84)},
	{"gre", PACKET(ETHERNET, V4(), UPPER(47, 4), DATA(50)), .want = FLOW4(47, 0, 0, 74)},
	{"esp", PACKET(ETHERNET, V4(), ESP), .want = FLOW4(50, 0, 0, 44)},
	{"ipv4_ah", PACKET(ETHERNET, V4(), EXTENSION(51, 24), UDP(1, 2)),
	 .want = FLOW4(51, 0, 0, 52)},
	{"ipv6_in_ipv4", PACKET(ETHERNET, V4(), V6(), UDP(1, 2)), .want = FLOW4(41, 0, 0, 68)},
	{"same_address_lower_port",
	 PACKET(ETHERNET, V4(.source = 5, .destination = 5), UDP(80, 9000)),
	 .want = FLOW4(17, 80, 9000, 28)},
	{"same_address_higher_port",
	 PACKET(ETHERNET, V4(.source = 5, .destination = 5), UDP(9000, 80)),
	 .want = FLOW4(17, 9000, 80, 28)},
	{"same_address_ports_by_network_order",
	 PACKET(ETHERNET, V4(.source = 5, .destination = 5), UDP(0x0102, 0x0201)),
	 .want = FLOW4(17, 0x0102, 0x0201, 28)},
	{"same_ends", PACKET(ETHERNET, V4(.source = 5, .destination = 5), UDP(80, 80)),
	 .want = FLOW4(17, 80, 80, 28)},
	{"port_0", PACKET(ETHERNET, V4(), UDP(0, 0)), .want = FLOW4(17, 0, 0, 28)},
	{"tcp6", PACKET(ETHERNET, V6(), TCP(40000, 443), DATA(100)),
	 .want = FLOW6(6, 40000, 443, 160)},
	{"tcp6_back", PACKET(ETHERNET, V6(.source = 2, .destination = 1), TCP(443, 40000)),
	 .want = FLOW6(6, 443, 40000, 60)},
	{"udp6", PACKET(ETHERNET, V6(), UDP(9, 8)), .want = FLOW6(17, 9, 8, 48)},
	{"udplite6",
	 PACKET(ETHERNET, V6(.source = 3), UPPER(136, 8, .source = 8, .destination = 7)),
	 .want = FLOW6(136, 8, 7, 48)},
	{"sctp6", PACKET(ETHERNET, V6(), UPPER(132, 12, .source = 7, .destination = 8)),
	 .want = FLOW6(132, 7, 8, 52)},
	{"dccp6", PACKET(ETHERNET, V6(), UPPER(33, 12, .source = 7, .destination = 8)),
	 .want = FLOW6(33, 7, 8, 52)},
	{"icmp6", PACKET(ETHERNET, V6(), ICMP6, DATA(56)), .want = FLOW6(58, 0, 0, 104)},
	{"same_ends6", PACKET(ETHERNET, V6(.source = 5, .destination = 5), TCP(80, 80)),
	 .want = FLOW6(6, 80, 80, 60)},
	{"same_address6_higher_port",
	 PACKET(ETHERNET, V6(.source = 5, .destination = 5), TCP(81, 80)),
	 .want = FLOW6(6, 81, 80, 60)},

	/* IPv6 header and extension headers */
	{"ipv6_version_4", PACKET(ETHERNET, V6(.first = 0x45), UDP(1, 2)),
	 .want = NO_FLOW(MALFORMED, 48)},
	{"ipv6_length_past_frame", PACKET(ETHERNET, V6(.length = 1), UDP(1, 2)),
	 .want = NO_FLOW(MALFORMED, 48)},
	{"ipv6_length_before_ports", PACKET(ETHERNET, V6(.length = -5), UDP(1, 2)),
	 .want = NO_FLOW(MALFORMED, 48)},
	{"ipv6_length_behind_ports", PACKET(ETHERNET, V6(.length = -4), UDP(1, 2)),
	 .want = FLOW6(17, 1, 2, 44)},
	{"ipv6_length_0", PACKET(ETHERNET, V6(.no_length = true), UDP(1, 2)),
	 .want = NO_FLOW(MALFORMED, 48)},
	{"ipv6_padding", PACKET(ETHERNET, V6(), UDP(1, 2)), .want = FLOW6(17, 1, 2, 48), .pad = 12},
	{"ipv6_no_next_header", PACKET(ETHERNET, V6(.next = 59)), .want = FLOW6(59, 0, 0, 40)},
	{"ipv6_no_next_header_padded", PACKET(ETHERNET, V6(.next = 59)),
	 .want = FLOW6(59, 0, 0, 40), .pad = 6},
	{"ipv6_no_next_header_data", PACKET(ETHERNET, V6(.next = 59), DATA(30)),
	 .want = FLOW6(59, 0, 0, 70)},
	{"ipv6_esp", PACKET(ETHERNET, V6(), ESP), .want = FLOW6(50, 0, 0, 64)},
	{"hop_by_hop", PACKET(ETHERNET, V6(), EXTENSION(0, 8), UDP(1, 2)),
	 .want = FLOW6(17, 1, 2, 56)},
	{"hop_by_hop_largest", PACKET(ETHERNET, V6(), EXTENSION(0, 2048), UDP(1, 2)),
	 .want = FLOW6(17, 1, 2, 2096)},
	{"routing", PACKET(ETHERNET, V6(), EXTENSION(43, 24), TCP(1, 2)),
	 .want = FLOW6(6, 1, 2, 84)},
	{"destination_options", PACKET(ETHERNET, V6(), EXTENSION(60, 16), TCP(1, 2)),
	 .want = FLOW6(6, 1, 2, 76)},
	{"ah", PACKET(ETHERNET, V6(), EXTENSION(51, 24), UDP(1, 2)), .want = FLOW6(17, 1, 2, 72)},
	{"ah_length_in_words", PACKET(ETHERNET, V6(), EXTENSION(51, 12), UDP(3, 4)),
	 .want = FLOW6(17, 3, 4, 60)},
	{"ah_before_esp", PACKET(ETHERNET, V6(), EXTENSION(51, 24), ESP),
	 .want = FLOW6(50, 0, 0, 88)},
	{"atomic_fragment", PACKET(ETHERNET, V6(), FRAGMENT(0, 9), UDP(1, 2)),
	 .want = FLOW6(17, 1, 2, 56)},
	{"chain",
	 PACKET(ETHERNET, V6(), EXTENSION(0, 8), EXTENSION(60, 8), EXTENSION(43, 24),
		FRAGMENT(0, 9), EXTENSION(51, 24), EXTENSION(60, 16), UDP(1, 2)),
	 .want = FLOW6(17, 1, 2, 136)},
	{"chain_icmp", PACKET(ETHERNET, V6(), EXTENSION(0, 8), EXTENSION(43, 24), ICMP6),
	 .want = FLOW6(58, 0, 0, 80)},
	{"chain_no_next_header",
	 PACKET(ETHERNET, V6(), EXTENSION(0, 8), EXTENSION(60, 8, .next = 59)),
	 .want = FLOW6(59, 0, 0, 56)},
	{"chain_vlan",
	 PACKET(ETHERNET, TAG(0x8100), V6(), EXTENSION(0, 8), EXTENSION(60, 8), TCP(1, 2)),
	 .want = FLOW6(6, 1, 2, 76)},
	{"chain_back", PACKET(ETHERNET, V6(.source = 9), EXTENSION(60, 8), UDP(1, 2)),
	 .want = FLOW6(17, 1, 2, 56)},
	{"chain_of_8",
	 PACKET(ETHERNET, V6(), EXTENSION(0, 8), EXTENSION(60, 8), EXTENSION(60, 8),
		EXTENSION(60, 8), EXTENSION(60, 8), EXTENSION(60, 8), EXTENSION(60, 8),
		EXTENSION(60, 8), UDP(1, 2)),
	 .want = FLOW6(17, 1, 2, 112)},
	{"chain_of_9",
	 PACKET(ETHERNET, V6(), EXTENSION(0, 8), EXTENSION(60, 8), EXTENSION(60, 8),
		EXTENSION(60, 8), EXTENSION(60, 8), EXTENSION(60, 8), EXTENSION(60, 8),
		EXTENSION(60, 8), EXTENSION(60, 8), UDP(1, 2)),
	 .want = NO_FLOW(MALFORMED, 120)},
	{"extension_missing", PACKET(ETHERNET, V6(.next = 60)), .want = NO_FLOW(MALFORMED, 40)},
	{"extension_past_length", PACKET(ETHERNET, V6(), EXTENSION(60, 8, .length = 2), UDP(1, 2)),
	 .want = NO_FLOW(MALFORMED, 56)},
	{"extension_into_padding", PACKET(ETHERNET, V6(), EXTENSION(60, 8, .length = 2), UDP(1, 2)),
	 .want = NO_FLOW(MALFORMED, 88), .pad = 32},
	{"extension_over_ports", PACKET(ETHERNET, V6(), EXTENSION(60, 8, .length = 1), UDP(1, 2)),
	 .want = NO_FLOW(MALFORMED, 56)},
	{"ah_past_length", PACKET(ETHERNET, V6(), EXTENSION(51, 12, .length = 3), UDP(1, 2)),
	 .want = NO_FLOW(MALFORMED, 60)},
	{"fragment_header_cut", PACKET(ETHERNET, V6(.next = 44), DATA(7)),
	 .want = NO_FLOW(MALFORMED, 47)},
	{"chain_second_missing", PACKET(ETHERNET, V6(), EXTENSION(0, 8, .next = 43)),
	 .want = NO_FLOW(MALFORMED, 48)},
	{"jumbogram_not_gso",
	 PACKET(ETHERNET, V6(.no_length = true), EXTENSION(0, 8, .first = 0xc2), UDP(1, 2),
		DATA(52)),
	 .want = FLOW6(17, 1, 2, 108)},

	/* segmentation offload */
	{"gso_tcp", PACKET(ETHERNET, V4(), TCP(1, 2), DATA(1000)), .want = FLOW4(6, 1, 2, 1400, 10),
	 .gso_size = 100, .gso_segs = 10},
	{"gso_tcp_unsaid", PACKET(ETHERNET, V4(), TCP(1, 2), DATA(1000)),
	 .want = FLOW4(6, 1, 2, 1400, 10), .gso_size = 100},
	{"gso_tcp_unsaid_rest", PACKET(ETHERNET, V4(), TCP(1, 2), DATA(1001)),
	 .want = FLOW4(6, 1, 2, 1441, 11), .gso_size = 100},
	{"gso_tcp_options",
	 PACKET(ETHERNET, V4(.size = 4), UPPER(6, 32, .source = 1, .destination = 2), DATA(950)),
	 .want = FLOW4(6, 1, 2, 1510, 10), .gso_size = 100, .gso_segs = 10},
	{"gso_tcp_options_unsaid",
	 PACKET(ETHERNET, V4(.size = 4), UPPER(6, 32, .source = 1, .destination = 2), DATA(950)),
	 .want = FLOW4(6, 1, 2, 1510, 10), .gso_size = 100},
	{"gso_tcp_padded", PACKET(ETHERNET, V4(), TCP(1, 2), DATA(100)),
	 .want = FLOW4(6, 1, 2, 140, 1), .gso_size = 100, .pad = 50},
	{"gso_tcp_one", PACKET(ETHERNET, V4(), TCP(1, 2), DATA(10)), .want = FLOW4(6, 1, 2, 50, 1),
	 .gso_size = 100},
	{"gso_tcp_empty", PACKET(ETHERNET, V4(), TCP(1, 2)), .want = FLOW4(6, 1, 2, 40, 1),
	 .gso_size = 100},
	{"gso_tcp_vlan", PACKET(ETHERNET, TAG(0x8100), V4(), TCP(1, 2), DATA(1000)),
	 .want = FLOW4(6, 1, 2, 1400, 10), .gso_size = 100},
	{"gso_tcp_back", PACKET(ETHERNET, V4(.source = 9), TCP(1, 2), DATA(1000)),
	 .want = FLOW4(6, 1, 2, 1400, 10), .gso_size = 100},
	{"gso_tcp_offset_4", PACKET(ETHERNET, V4(), TCP(1, 2, .first = 4), DATA(100)),
	 .want = NO_FLOW(MALFORMED, 140), .gso_size = 50},
	{"gso_tcp_offset_past_length", PACKET(ETHERNET, V4(), TCP(1, 2, .first = 15), DATA(39)),
	 .want = NO_FLOW(MALFORMED, 79), .gso_size = 50},
	{"gso_tcp_cut", PACKET(ETHERNET, V4(), UPPER(6, 19)),
	 .want = NO_FLOW(MALFORMED, 39, .packets = 3), .gso_size = 50, .gso_segs = 3},
	{"gso_tcp6", PACKET(ETHERNET, V6(), TCP(1, 2), DATA(1000)),
	 .want = FLOW6(6, 1, 2, 1600, 10), .gso_size = 100, .gso_segs = 10},
	{"gso_tcp6_unsaid", PACKET(ETHERNET, V6(), TCP(1, 2), DATA(1000)),
	 .want = FLOW6(6, 1, 2, 1600, 10), .gso_size = 100},
	{"gso_tcp6_extension", PACKET(ETHERNET, V6(), EXTENSION(60, 8), TCP(1, 2), DATA(1000)),
	 .want = FLOW6(6, 1, 2, 1680, 10), .gso_size = 100},
	{"gso_udp", PACKET(ETHERNET, V4(), UDP(1, 2), DATA(250)), .want = FLOW4(17, 1, 2, 334, 3),
	 .gso_size = 100, .gso_segs = 3},
	{"gso_udp_unsaid", PACKET(ETHERNET, V4(), UDP(1, 2), DATA(250)),
	 .want = FLOW4(17, 1, 2, 334, 3), .gso_size = 100},
	{"gso_udp_cut", PACKET(ETHERNET, V4(), UPPER(17, 7)), .want = NO_FLOW(MALFORMED, 27),
	 .gso_size = 100},
	{"gso_udp6", PACKET(ETHERNET, V6(), UDP(1, 2), DATA(250)), .want = FLOW6(17, 1, 2, 394, 3),
	 .gso_size = 100, .gso_segs = 3},
	{"gso_udp6_unsaid", PACKET(ETHERNET, V6(), UDP(1, 2), DATA(250)),
	 .want = FLOW6(17, 1, 2, 394, 3), .gso_size = 100},
	{"gso_sctp",
	 PACKET(ETHERNET, V4(), UPPER(132, 12, .source = 1, .destination = 2), DATA(250)),
	 .want = FLOW4(132, 1, 2, 346, 3), .gso_size = 100},
	{"gso_other", PACKET(ETHERNET, V4(), UPPER(47, 4), DATA(246)),
	 .want = FLOW4(47, 0, 0, 310, 3), .gso_size = 100},
	{"big_tcp", PACKET(ETHERNET, V4(.no_length = true), TCP(1, 2), DATA(1000)),
	 .want = FLOW4(6, 1, 2, 1400, 10), .gso_size = 100, .gso_segs = 10},
	{"big_tcp_unsaid",
	 PACKET(ETHERNET, TAG(0x8100), V4(.no_length = true), TCP(1, 2), DATA(1000)),
	 .want = FLOW4(6, 1, 2, 1400, 10), .gso_size = 100},
	{"big_tcp_options_cut", PACKET(ETHERNET, V4(.first = 0x4f, .no_length = true), TCP(1, 2)),
	 .want = NO_FLOW(MALFORMED, 40), .gso_size = 100},
	{"big_tcp6", PACKET(ETHERNET, V6(.no_length = true), TCP(1, 2), DATA(1000)),
	 .want = FLOW6(6, 1, 2, 1600, 10), .gso_size = 100, .gso_segs = 10},
	{"big_tcp6_jumbo",
	 PACKET(ETHERNET, V6(.no_length = true), EXTENSION(0, 8, .first = 0xc2), TCP(1, 2),
		DATA(1000)),
	 .want = FLOW6(6, 1, 2, 1600, 10), .gso_size = 100, .gso_segs = 10},
	{"big_tcp6_jumbo_unsaid",
	 PACKET(ETHERNET, V6(.no_length = true), EXTENSION(0, 8, .first = 0xc2), TCP(1, 2),
		DATA(1000)),
	 .want = FLOW6(6, 1, 2, 1600, 10), .gso_size = 100},
	{"big_tcp6_jumbo_cut",
	 PACKET(ETHERNET, V6(.next = 0, .no_length = true),
		EXTENSION(0, 8, .first = 0xc2, .next = 6)),
	 .want = NO_FLOW(MALFORMED, 44), .gso_size = 100, .cut = 4},
	{"big_tcp6_other_option",
	 PACKET(ETHERNET, V6(.no_length = true), EXTENSION(0, 8), TCP(1, 2), DATA(1000)),
	 .want = FLOW6(6, 1, 2, 1680, 10), .gso_size = 100},
	{"gso_tcp6_jumbo_with_length",
	 PACKET(ETHERNET, V6(), EXTENSION(0, 8, .first = 0xc2), TCP(1, 2), DATA(1000)),
	 .want = FLOW6(6, 1, 2, 1680, 10), .gso_size = 100},

	/* links without Ethernet: TEST_RUN's frame has one all the same, in front of the network
	   header */
	{"no_ethernet_udp", PACKET(ETHERNET, V4(), UDP(1000, 53), DATA(10)),
	 .want = FLOW4(17, 1000, 53, 38), .no_ethernet = true},
	{"no_ethernet_options", PACKET(ETHERNET, V4(.size = 8), TCP(1, 2)),
	 .want = FLOW4(6, 1, 2, 48), .no_ethernet = true},
	{"no_ethernet_tcp6", PACKET(ETHERNET, V6(.source = 9), TCP(1, 2)),
	 .want = FLOW6(6, 1, 2, 60), .no_ethernet = true},
	{"no_ethernet_chain", PACKET(ETHERNET, V6(), EXTENSION(0, 8), EXTENSION(43, 24), UDP(1, 2)),
	 .want = FLOW6(17, 1, 2, 80), .no_ethernet = true},
	{"no_ethernet_gso", PACKET(ETHERNET, V4(), TCP(1, 2), DATA(1000)),
	 .want = FLOW4(6, 1, 2, 1400, 10), .gso_size = 100, .no_ethernet = true},
	{"no_ethernet_non_ip", PACKET(ETHERTYPE(0x0806), DATA(28)), .want = NO_FLOW(NON_IP, 42),
	 .no_ethernet = true},
	{"no_ethernet_version", PACKET(ETHERNET, V4(.first = 0x65), UDP(1, 2)),
	 .want = NO_FLOW(MALFORMED, 42), .no_ethernet = true},
	{"no_ethernet_cut", PACKET(ETHERNET, V4(), UDP(1, 2), DATA(20)),
	 .want = NO_FLOW(MALFORMED, 35), .cut = 27, .no_ethernet = true},
};

static inline const struct item *ip_item(const struct item *item)
{
	while (item->kind != ITEM_END && item->kind != ITEM_IPV4 && item->kind != ITEM_IPV6)
		item++;
	return item;
}

static inline void address_of(uint8_t ret[16], int family, int last)
{
	if (family == FLOW_IPV6) {
		put_address(ret, true, last);
	} else {
		memset(ret, 0, 10);
		memset(ret + 10, 0xff, 2);
		put_address(ret + 12, false, last);
	}
}

/* The entry of a packet, and which end sent it. */
static inline struct entry entry_of(const struct item *items, const struct want *want, int *sender)
{
	const struct item *ip = ip_item(items);
	uint8_t ends[2][18];
	struct entry e;

	memset(&e, 0, sizeof(e));
	*sender = 0;
	if (want->reason != ATTRIBUTED) {
		e.key = reason_key(want->reason);
		return e;
	}
	address_of(ends[0], want->family, ip->source ? ip->source : 1);
	put16(ends[0] + 16, want->source_port);
	address_of(ends[1], want->family, ip->destination ? ip->destination : 2);
	put16(ends[1] + 16, want->destination_port);
	*sender = memcmp(ends[0], ends[1], 18) > 0;
	for (int i = 0; i < 2; i++) {
		memcpy(&e.key.addr[i], ends[i ^ *sender], 16);
		memcpy(&e.key.port[i], ends[i ^ *sender] + 16, 2);
	}
	e.key.protocol = want->protocol;
	e.key.family = want->family;
	return e;
}

static inline struct entry counted_entry(const struct item *items, const struct want *want,
					 enum flow_class class)
{
	struct entry e;
	int sender;

	e = entry_of(items, want, &sender);
	set_count(&e, sender, class, want->bytes, want->packets ? want->packets : 1);
	return e;
}

static inline void case_packet(const struct packet_case *c, struct packet *p)
{
	packet_build(p, c->items);
	p->size = p->size - c->cut + c->pad;
}

#endif
