// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/conntrack.h"
#include "tests/address.h"
#include "tests/message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A message under construction. */
struct letter {
	_Alignas(struct nlmsghdr) char bytes[1024];
	struct nlmsghdr *head;
};

struct side {
	const char *source, *destination;
	uint16_t source_port, destination_port;
};

static void begin(struct letter *letter, uint8_t message, uint8_t family)
{
	const struct nfgenmsg header = {.nfgen_family = family};

	letter->head = message_begin(letter->bytes, sizeof(letter->bytes),
				     NFNL_SUBSYS_CTNETLINK << 8 | message, &header, sizeof(header));
}

static void put_tuple(struct letter *letter, uint16_t type, uint8_t protocol,
		      const struct side *side, int zone)
{
	struct nlattr *tuple = mnl_attr_nest_start(letter->head, type);
	struct nlattr *nest = mnl_attr_nest_start(letter->head, CTA_TUPLE_IP);

	message_put_address(letter->head, strchr(side->source, ':') ? CTA_IP_V6_SRC : CTA_IP_V4_SRC,
			    side->source);
	message_put_address(letter->head,
			    strchr(side->destination, ':') ? CTA_IP_V6_DST : CTA_IP_V4_DST,
			    side->destination);
	mnl_attr_nest_end(letter->head, nest);
	nest = mnl_attr_nest_start(letter->head, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(letter->head, CTA_PROTO_NUM, protocol);
	if (protocol == IPPROTO_ICMP) {
		mnl_attr_put_u16(letter->head, CTA_PROTO_ICMP_ID, htons(side->source_port));
		mnl_attr_put_u8(letter->head, CTA_PROTO_ICMP_TYPE, 8);
		mnl_attr_put_u8(letter->head, CTA_PROTO_ICMP_CODE, 0);
	} else {
		mnl_attr_put_u16(letter->head, CTA_PROTO_SRC_PORT, htons(side->source_port));
		mnl_attr_put_u16(letter->head, CTA_PROTO_DST_PORT, htons(side->destination_port));
	}
	mnl_attr_nest_end(letter->head, nest);
	if (zone >= 0)
		mnl_attr_put_u16(letter->head, CTA_TUPLE_ZONE, htons(zone));
	mnl_attr_nest_end(letter->head, tuple);
}

static const struct side masqueraded = {"10.1.0.2", "198.51.100.7", 40000, 443};
static const struct side unmasqueraded = {"198.51.100.7", "203.0.113.9", 443, 61000};
static const struct side masqueraded_v6 = {"fd00::2", "2001:db8::7", 40000, 443};
static const struct side unmasqueraded_v6 = {"2001:db8::7", "2001:db8:1::9", 443, 61000};

/* What the kernel tells of a new masqueraded TCP connection. */
static void begin_masqueraded(struct letter *letter, uint8_t message)
{
	begin(letter, message, AF_INET);
	put_tuple(letter, CTA_TUPLE_ORIG, IPPROTO_TCP, &masqueraded, -1);
	put_tuple(letter, CTA_TUPLE_REPLY, IPPROTO_TCP, &unmasqueraded, -1);
	mnl_attr_put_u32(letter->head, CTA_ID, htonl(77));
	mnl_attr_put_u32(letter->head, CTA_STATUS, htonl(IPS_CONFIRMED | IPS_SRC_NAT));
	mnl_attr_put_u32(letter->head, CTA_TIMEOUT, htonl(120));
}

static void assert_tuple(const struct conntrack_tuple *tuple, const struct side *side)
{
	assert_address(tuple->source, side->source);
	assert_address(tuple->destination, side->destination);
	assert_int_equal(ntohs(tuple->source_port), side->source_port);
	assert_int_equal(ntohs(tuple->destination_port), side->destination_port);
}

static void test_new(void **state)
{
	struct conntrack_entry entry;
	struct letter letter;

	(void)state;
	begin_masqueraded(&letter, IPCTNL_MSG_CT_NEW);
	assert_int_equal(conntrack_parse(&entry, letter.head), 0);
	assert_tuple(&entry.original, &masqueraded);
	assert_tuple(&entry.reply, &unmasqueraded);
	assert_int_equal(entry.protocol, IPPROTO_TCP);
	assert_int_equal(entry.family, AF_INET);
	assert_int_equal(entry.id, 77);
	assert_int_equal(entry.status, IPS_CONFIRMED | IPS_SRC_NAT);
	assert_int_equal(entry.zone[0], 0);
	assert_int_equal(entry.zone[1], 0);
	assert_false(entry.gone);
}

static void test_gone(void **state)
{
	struct conntrack_entry entry;
	struct letter letter;

	(void)state;
	begin_masqueraded(&letter, IPCTNL_MSG_CT_DELETE);
	assert_int_equal(conntrack_parse(&entry, letter.head), 0);
	assert_true(entry.gone);
	assert_tuple(&entry.original, &masqueraded);
}

static void test_ipv6(void **state)
{
	struct conntrack_entry entry;
	struct letter letter;

	(void)state;
	begin(&letter, IPCTNL_MSG_CT_NEW, AF_INET6);
	put_tuple(&letter, CTA_TUPLE_ORIG, IPPROTO_UDP, &masqueraded_v6, -1);
	put_tuple(&letter, CTA_TUPLE_REPLY, IPPROTO_UDP, &unmasqueraded_v6, -1);
	mnl_attr_put_u32(letter.head, CTA_STATUS, htonl(IPS_SRC_NAT));
	assert_int_equal(conntrack_parse(&entry, letter.head), 0);
	assert_tuple(&entry.original, &masqueraded_v6);
	assert_tuple(&entry.reply, &unmasqueraded_v6);
	assert_int_equal(entry.family, AF_INET6);
}

static void put_pair_of(struct letter *letter, uint8_t protocol)
{
	begin(letter, IPCTNL_MSG_CT_NEW, AF_INET);
	put_tuple(letter, CTA_TUPLE_ORIG, protocol, &masqueraded, -1);
	put_tuple(letter, CTA_TUPLE_REPLY, protocol, &unmasqueraded, -1);
	mnl_attr_put_u32(letter->head, CTA_STATUS, htonl(IPS_SRC_NAT));
}

static void test_ports(void **state)
{
	static const uint8_t with[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE, IPPROTO_SCTP,
				       IPPROTO_DCCP};
	static const uint8_t without[] = {IPPROTO_ICMP, IPPROTO_GRE, IPPROTO_ESP, 0, 255};
	struct conntrack_entry entry;
	struct letter letter;

	(void)state;
	for (size_t i = 0; i < COUNT(with); i++) {
		put_pair_of(&letter, with[i]);
		assert_int_equal(conntrack_parse(&entry, letter.head), 0);
		assert_tuple(&entry.original, &masqueraded);
	}
	for (size_t i = 0; i < COUNT(without); i++) {
		put_pair_of(&letter, without[i]);
		assert_int_equal(conntrack_parse(&entry, letter.head), 0);
		assert_int_equal(entry.protocol, without[i]);
		assert_int_equal(entry.original.source_port, 0);
		assert_int_equal(entry.original.destination_port, 0);
		assert_int_equal(entry.reply.source_port, 0);
		assert_int_equal(entry.reply.destination_port, 0);
	}
}

static void test_zone_of_both_directions(void **state)
{
	struct conntrack_entry entry;
	struct letter letter;

	(void)state;
	begin_masqueraded(&letter, IPCTNL_MSG_CT_NEW);
	mnl_attr_put_u16(letter.head, CTA_ZONE, htons(0x1234));
	assert_int_equal(conntrack_parse(&entry, letter.head), 0);
	assert_int_equal(entry.zone[0], 0x1234);
	assert_int_equal(entry.zone[1], 0x1234);
}

static void test_zone_of_one_direction(void **state)
{
	struct conntrack_entry entry;
	struct letter letter;

	(void)state;
	begin(&letter, IPCTNL_MSG_CT_NEW, AF_INET);
	put_tuple(&letter, CTA_TUPLE_ORIG, IPPROTO_TCP, &masqueraded, 5);
	put_tuple(&letter, CTA_TUPLE_REPLY, IPPROTO_TCP, &unmasqueraded, -1);
	mnl_attr_put_u32(letter.head, CTA_STATUS, htonl(IPS_SRC_NAT));
	assert_int_equal(conntrack_parse(&entry, letter.head), 0);
	assert_int_equal(entry.zone[0], 5);
	assert_int_equal(entry.zone[1], 0);
}

static void test_none(void **state)
{
	static const uint8_t others[] = {IPCTNL_MSG_CT_GET, IPCTNL_MSG_CT_GET_STATS, 0xff};
	struct conntrack_entry entry;
	struct letter letter;

	(void)state;
	for (size_t i = 0; i < COUNT(others); i++) {
		begin_masqueraded(&letter, others[i]);
		assert_int_equal(conntrack_parse(&entry, letter.head), -ENOENT);
	}
	begin_masqueraded(&letter, IPCTNL_MSG_CT_NEW);
	letter.head->nlmsg_type = NFNL_SUBSYS_CTNETLINK_EXP << 8 | IPCTNL_MSG_EXP_NEW;
	assert_int_equal(conntrack_parse(&entry, letter.head), -ENOENT);
	letter.head->nlmsg_type = NLMSG_DONE;
	assert_int_equal(conntrack_parse(&entry, letter.head), -ENOENT);
	begin(&letter, IPCTNL_MSG_CT_NEW, AF_BRIDGE);
	assert_int_equal(conntrack_parse(&entry, letter.head), -ENOENT);
}

static void test_unknown_attributes(void **state)
{
	struct conntrack_entry entry;
	struct letter letter;

	(void)state;
	begin_masqueraded(&letter, IPCTNL_MSG_CT_NEW);
	mnl_attr_put_strz(letter.head, 0x3ff, "from a later kernel");
	assert_int_equal(conntrack_parse(&entry, letter.head), 0);
}

static void test_missing(void **state)
{
	struct conntrack_entry entry;
	struct letter letter;

	(void)state;
	begin(&letter, IPCTNL_MSG_CT_NEW, AF_INET);
	assert_int_equal(conntrack_parse(&entry, letter.head), -EBADMSG);
	put_tuple(&letter, CTA_TUPLE_ORIG, IPPROTO_TCP, &masqueraded, -1);
	assert_int_equal(conntrack_parse(&entry, letter.head), -EBADMSG);
	put_tuple(&letter, CTA_TUPLE_REPLY, IPPROTO_TCP, &unmasqueraded, -1);
	assert_int_equal(conntrack_parse(&entry, letter.head), -EBADMSG);
	mnl_attr_put_u32(letter.head, CTA_STATUS, 0);
	assert_int_equal(conntrack_parse(&entry, letter.head), 0);
}

static void test_contradictions(void **state)
{
	struct conntrack_entry entry;
	struct letter letter;

	(void)state;
	/* addresses of another family than the message says */
	begin(&letter, IPCTNL_MSG_CT_NEW, AF_INET6);
	put_tuple(&letter, CTA_TUPLE_ORIG, IPPROTO_TCP, &masqueraded, -1);
	assert_int_equal(conntrack_parse(&entry, letter.head), -EBADMSG);
	/* directions of two protocols */
	begin(&letter, IPCTNL_MSG_CT_NEW, AF_INET);
	put_tuple(&letter, CTA_TUPLE_ORIG, IPPROTO_TCP, &masqueraded, -1);
	put_tuple(&letter, CTA_TUPLE_REPLY, IPPROTO_UDP, &unmasqueraded, -1);
	mnl_attr_put_u32(letter.head, CTA_STATUS, 0);
	assert_int_equal(conntrack_parse(&entry, letter.head), -EBADMSG);
}

static void test_wrong_sizes(void **state)
{
	static const struct {
		uint16_t type;
		size_t size;
	} wrong[] = {{CTA_STATUS, 2}, {CTA_STATUS, 8}, {CTA_ID, 1}, {CTA_ZONE, 4}, {CTA_ZONE, 0}};
	struct conntrack_entry entry;
	struct letter letter;

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		begin_masqueraded(&letter, IPCTNL_MSG_CT_NEW);
		mnl_attr_put(letter.head, wrong[i].type, wrong[i].size, "\0\0\0\0\0\0\0");
		assert_int_equal(conntrack_parse(&entry, letter.head), -EBADMSG);
	}
}

/* Room of exactly the message's size, so that the sanitizer sees each byte read behind its end. */
static int parse_copy(struct conntrack_entry *entry, const void *bytes, size_t size)
{
	struct nlmsghdr *copy = malloc(size);
	int r;

	assert_non_null(copy);
	memcpy(copy, bytes, size);
	copy->nlmsg_len = size;
	r = conntrack_parse(entry, copy);
	free(copy);
	return r;
}

static void test_truncated(void **state)
{
	struct conntrack_entry entry;
	struct letter letter;
	uint32_t whole;
	int r;

	(void)state;
	begin_masqueraded(&letter, IPCTNL_MSG_CT_NEW);
	whole = letter.head->nlmsg_len;
	for (uint32_t size = sizeof(struct nlmsghdr); size < whole; size++) {
		r = parse_copy(&entry, letter.bytes, size);
		/* only behind the last attribute that an entry must have it may end */
		if (r != -EBADMSG) {
			assert_int_equal(r, 0);
			assert_true(size >= whole - 8);
		}
	}
}

static void test_random_bytes(void **state)
{
	struct conntrack_entry entry;
	struct letter letter;
	int r;

	(void)state;
	srandom(1);
	for (unsigned int i = 0; i < 200000; i++) {
		begin_masqueraded(&letter, i & 1 ? IPCTNL_MSG_CT_NEW : IPCTNL_MSG_CT_DELETE);
		for (long n = random() % 8 + 1; n; n--)
			letter.bytes[16 + random() % (letter.head->nlmsg_len - 16)] = random();
		r = parse_copy(&entry, letter.bytes, letter.head->nlmsg_len);
		if (r != -EBADMSG && r != -ENOENT)
			assert_int_equal(r, 0);
	}
}

static void test_words_for_errors(void **state)
{
	(void)state;
	assert_non_null(strstr(conntrack_error(-EPERM), "CAP_NET_ADMIN"));
	assert_non_null(strstr(conntrack_error(-EOPNOTSUPP), "nf_conntrack_netlink"));
	assert_string_equal(conntrack_error(-ENOMEM), strerror(ENOMEM));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_zone_of_both_directions),
		cmocka_unit_test(test_zone_of_one_direction),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_unknown_attributes),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_wrong_sizes),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_words_for_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
