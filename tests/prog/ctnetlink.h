/* SPDX-License-Identifier: GPL-2.0-only */
/* Fills the connection table of this network namespace, and empties it, through ctnetlink. */
#ifndef FLOWTALLY_TESTS_CTNETLINK_H
#define FLOWTALLY_TESTS_CTNETLINK_H

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define CTNETLINK_TO	0xc6336407 /* 198.51.100.7 */
#define CTNETLINK_PORT	53
#define CTNETLINK_BATCH 64 /* messages that one acknowledgement is for */
#define CTNETLINK_ROOM	65536

static inline struct nlmsghdr *ctnetlink_request(void *at, uint8_t message, uint16_t flags,
						 uint8_t family)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(at);
	struct nfgenmsg *header;

	request->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | message;
	request->nlmsg_flags = NLM_F_REQUEST | flags;
	header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	header->nfgen_family = family;
	return request;
}

/* Sends and waits for the answer. 0 or -errno: the first error of any of the messages. */
static inline int ctnetlink_send(struct mnl_socket *mnl, const void *messages, size_t size)
{
	char answer[4096];
	ssize_t got;

	if (mnl_socket_sendto(mnl, messages, size) < 0)
		return -errno;
	got = mnl_socket_recvfrom(mnl, answer, sizeof(answer));
	if (got < 0)
		return -errno;
	return mnl_cb_run(answer, (size_t)got, 0, 0, NULL, NULL) == MNL_CB_STOP ? 0 : -errno;
}

static inline int ctnetlink_open(struct mnl_socket **ret)
{
	*ret = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	return *ret && !mnl_socket_bind(*ret, 0, MNL_SOCKET_AUTOPID) ? 0 : -errno;
}

/* Sends one request on a socket of its own. 0 or -errno. */
static inline int ctnetlink_ask(struct nlmsghdr *request)
{
	struct mnl_socket *mnl;
	int err = ctnetlink_open(&mnl);

	request->nlmsg_flags |= NLM_F_ACK;
	if (!err)
		err = ctnetlink_send(mnl, request, request->nlmsg_len);
	if (mnl)
		mnl_socket_close(mnl);
	return err;
}

/* IPCTNL_MSG_CT_DELETE without a tuple: all entries of this namespace. */
static inline int ctnetlink_delete_all(void)
{
	char buffer[256];

	return ctnetlink_ask(ctnetlink_request(buffer, IPCTNL_MSG_CT_DELETE, 0, AF_UNSPEC));
}

static inline void ctnetlink_put_ports(struct nlmsghdr *request, uint8_t protocol,
				       uint16_t source_port, uint16_t destination_port)
{
	struct nlattr *nest = mnl_attr_nest_start(request, CTA_TUPLE_PROTO);

	mnl_attr_put_u8(request, CTA_PROTO_NUM, protocol);
	mnl_attr_put_u16(request, CTA_PROTO_SRC_PORT, htons(source_port));
	mnl_attr_put_u16(request, CTA_PROTO_DST_PORT, htons(destination_port));
	mnl_attr_nest_end(request, nest);
}

static inline void ctnetlink_put_tuple(struct nlmsghdr *request, uint16_t type, uint32_t source,
				       uint32_t destination, uint8_t protocol, uint16_t source_port,
				       uint16_t destination_port)
{
	struct nlattr *tuple = mnl_attr_nest_start(request, type);
	struct nlattr *nest = mnl_attr_nest_start(request, CTA_TUPLE_IP);

	mnl_attr_put_u32(request, CTA_IP_V4_SRC, htonl(source));
	mnl_attr_put_u32(request, CTA_IP_V4_DST, htonl(destination));
	mnl_attr_nest_end(request, nest);
	ctnetlink_put_ports(request, protocol, source_port, destination_port);
	mnl_attr_nest_end(request, tuple);
}

static inline void ctnetlink_put_source_nat(struct nlmsghdr *request, uint32_t address,
					    uint16_t port)
{
	struct nlattr *nat = mnl_attr_nest_start(request, CTA_NAT_SRC), *protocol;

	mnl_attr_put_u32(request, CTA_NAT_V4_MINIP, htonl(address));
	mnl_attr_put_u32(request, CTA_NAT_V4_MAXIP, htonl(address));
	protocol = mnl_attr_nest_start(request, CTA_NAT_PROTO);
	mnl_attr_put_u16(request, CTA_PROTONAT_PORT_MIN, htons(port));
	mnl_attr_put_u16(request, CTA_PROTONAT_PORT_MAX, htons(port));
	mnl_attr_nest_end(request, protocol);
	mnl_attr_nest_end(request, nat);
}

/* Who sends in the number-th entry, and as whom where that is translated. Host byte order. */
static inline uint32_t ctnetlink_from(uint32_t number)
{
	return 0x0a800000 + number; /* 10.128.0.0 + */
}

static inline uint32_t ctnetlink_seen_as(uint32_t number, uint16_t *port)
{
	*port = (uint16_t)(1 + number % 32768);
	return 0xcb007100 + (number >> 15); /* 203.0.113.0 + */
}

#define CTNETLINK_FROM_PORT 50000 /* a client's */

/* Entries of UDP, each from another address to the same one. */
struct ctnetlink_crowd {
	uint32_t count;
	uint16_t from_port, to_port;
	unsigned int translated; /* every first, second ... of them; 0: none */
};

static inline struct nlmsghdr *ctnetlink_put_plain(void *at, uint32_t number, uint8_t protocol,
						   uint16_t from_port, uint16_t to_port)
{
	struct nlmsghdr *request =
		ctnetlink_request(at, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, AF_INET);
	uint32_t from = ctnetlink_from(number);

	ctnetlink_put_tuple(request, CTA_TUPLE_ORIG, from, CTNETLINK_TO, protocol, from_port,
			    to_port);
	ctnetlink_put_tuple(request, CTA_TUPLE_REPLY, CTNETLINK_TO, from, protocol, to_port,
			    from_port);
	mnl_attr_put_u32(request, CTA_TIMEOUT, htonl(600));
	return request;
}

static inline struct nlmsghdr *ctnetlink_put_entry(void *at, const struct ctnetlink_crowd *crowd,
						   uint32_t number)
{
	struct nlmsghdr *request =
		ctnetlink_put_plain(at, number, IPPROTO_UDP, crowd->from_port, crowd->to_port);
	uint16_t port;
	uint32_t seen_as = ctnetlink_seen_as(number, &port);

	if (crowd->translated && number % crowd->translated == crowd->translated - 1)
		ctnetlink_put_source_nat(request, seen_as, port);
	return request;
}

/* Makes an entry that is not translated. 0 or -errno. */
static inline int ctnetlink_create_plain(uint8_t protocol, uint16_t from_port, uint16_t to_port)
{
	char buffer[512];

	return ctnetlink_ask(ctnetlink_put_plain(buffer, 0, protocol, from_port, to_port));
}

/* An end of a tuple, as IPv4 or IPv6. */
static inline void ctnetlink_put_address(struct nlmsghdr *request, uint16_t v4_type,
					 uint16_t v6_type, const char *text)
{
	uint8_t address[16];

	if (inet_pton(AF_INET, text, address) == 1)
		mnl_attr_put(request, v4_type, 4, address);
	else if (inet_pton(AF_INET6, text, address) == 1)
		mnl_attr_put(request, v6_type, 16, address);
}

static inline void ctnetlink_put_ends(struct nlmsghdr *request, uint16_t type, const char *source,
				      const char *destination, uint16_t source_port,
				      uint16_t destination_port)
{
	struct nlattr *tuple = mnl_attr_nest_start(request, type);
	struct nlattr *nest = mnl_attr_nest_start(request, CTA_TUPLE_IP);

	ctnetlink_put_address(request, CTA_IP_V4_SRC, CTA_IP_V6_SRC, source);
	ctnetlink_put_address(request, CTA_IP_V4_DST, CTA_IP_V6_DST, destination);
	mnl_attr_nest_end(request, nest);
	ctnetlink_put_ports(request, IPPROTO_TCP, source_port, destination_port);
	mnl_attr_nest_end(request, tuple);
}

/* What IPVS makes of a connection: another server answers, and the status does not say so. */
struct ctnetlink_altered {
	const char *client, *server, *answers, *answers_to; /* of one family */
	uint16_t port, answers_from;
};

/* 0 or -errno. */
static inline int ctnetlink_create_altered(const struct ctnetlink_altered *altered,
					   uint16_t client_port)
{
	char buffer[512];
	uint8_t family = inet_addr(altered->client) == INADDR_NONE ? AF_INET6 : AF_INET;
	struct nlmsghdr *request =
		ctnetlink_request(buffer, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, family);

	ctnetlink_put_ends(request, CTA_TUPLE_ORIG, altered->client, altered->server, client_port,
			   altered->port);
	ctnetlink_put_ends(request, CTA_TUPLE_REPLY, altered->answers, altered->answers_to,
			   altered->answers_from, client_port);
	mnl_attr_put_u32(request, CTA_TIMEOUT, htonl(600));
	return ctnetlink_ask(request);
}

/* 0 or -errno. */
static inline int ctnetlink_create(const struct ctnetlink_crowd *crowd)
{
	static char buffer[2 * CTNETLINK_ROOM];
	struct mnl_nlmsg_batch *batch = mnl_nlmsg_batch_start(buffer, CTNETLINK_ROOM);
	struct mnl_socket *mnl;
	int err = ctnetlink_open(&mnl);

	for (uint32_t number = 0; number < crowd->count && !err; number++) {
		struct nlmsghdr *request =
			ctnetlink_put_entry(mnl_nlmsg_batch_current(batch), crowd, number);

		mnl_nlmsg_batch_next(batch);
		if ((number + 1) % CTNETLINK_BATCH && number + 1 < crowd->count)
			continue;
		request->nlmsg_flags |= NLM_F_ACK;
		err = ctnetlink_send(mnl, mnl_nlmsg_batch_head(batch), mnl_nlmsg_batch_size(batch));
		mnl_nlmsg_batch_reset(batch);
	}
	mnl_nlmsg_batch_stop(batch);
	if (mnl)
		mnl_socket_close(mnl);
	return err;
}

#endif
