// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/conntrack_entry.h"

#include "lib/address.h"
#include "lib/protocol.h"
#include "netlink/attr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>
#include <sys/socket.h>

struct tuple_parser {
	struct conntrack_tuple *tuple;
	uint16_t *zone; /* of its direction */
	uint8_t *protocol;
	bool has_source, has_destination, has_protocol;
	uint8_t family;
};

struct entry_parser {
	struct conntrack_entry *entry;
	uint8_t reply_protocol;
	bool has_original, has_reply, has_status;
};

static int attr_be32_to_host(const struct nlattr *attr, uint32_t *number)
{
	int r = attr_u32(attr, number);

	if (r < 0)
		return r;
	*number = ntohl(*number);
	return 0;
}

static int attr_zone(const struct nlattr *attr, uint16_t *zone)
{
	__be16 number;
	int r = attr_be16(attr, &number);

	if (r < 0)
		return r;
	*zone = ntohs(number);
	return 0;
}

static int attr_address(const struct nlattr *attr, uint8_t family, uint8_t address[16])
{
	size_t size = family == AF_INET ? 4 : 16;

	if (mnl_attr_get_payload_len(attr) != size)
		return -EBADMSG;
	if (family == AF_INET)
		address_from_ipv4(address, mnl_attr_get_payload(attr));
	else
		memcpy(address, mnl_attr_get_payload(attr), size);
	return 0;
}

static int parse_address(const struct nlattr *attr, void *data)
{
	struct tuple_parser *parser = data;
	uint16_t type = mnl_attr_get_type(attr);

	if (type == (parser->family == AF_INET ? CTA_IP_V4_SRC : CTA_IP_V6_SRC)) {
		parser->has_source = true;
		return attr_address(attr, parser->family, parser->tuple->source);
	}
	if (type == (parser->family == AF_INET ? CTA_IP_V4_DST : CTA_IP_V6_DST)) {
		parser->has_destination = true;
		return attr_address(attr, parser->family, parser->tuple->destination);
	}
	return 0;
}

static int parse_protocol(const struct nlattr *attr, void *data)
{
	struct tuple_parser *parser = data;

	switch (mnl_attr_get_type(attr)) {
	case CTA_PROTO_NUM:
		parser->has_protocol = true;
		return attr_u8(attr, parser->protocol);
	case CTA_PROTO_SRC_PORT:
		return attr_be16(attr, &parser->tuple->source_port);
	case CTA_PROTO_DST_PORT:
		return attr_be16(attr, &parser->tuple->destination_port);
	default:
		return 0;
	}
}

static int parse_tuple_attribute(const struct nlattr *attr, void *data)
{
	struct tuple_parser *parser = data;

	switch (mnl_attr_get_type(attr)) {
	case CTA_TUPLE_IP:
		return attr_each_nested(attr, parse_address, parser);
	case CTA_TUPLE_PROTO:
		return attr_each_nested(attr, parse_protocol, parser);
	case CTA_TUPLE_ZONE:
		return attr_zone(attr, parser->zone);
	default:
		return 0;
	}
}

static int parse_tuple(const struct nlattr *attr, struct conntrack_entry *entry,
		       struct conntrack_tuple *tuple, uint16_t *zone, uint8_t *protocol)
{
	struct tuple_parser parser = {.tuple = tuple,
				      .zone = zone,
				      .protocol = protocol,
				      .family = entry->family};
	int r;

	r = attr_each_nested(attr, parse_tuple_attribute, &parser);
	if (r < 0)
		return r;
	if (!parser.has_source || !parser.has_destination || !parser.has_protocol)
		return -EBADMSG;
	/* GRE has its call ids where others have ports. */
	if (!protocol_has_ports(*protocol))
		tuple->source_port = tuple->destination_port = 0;
	return 0;
}

static int parse_attribute(const struct nlattr *attr, void *data)
{
	struct entry_parser *parser = data;
	struct conntrack_entry *entry = parser->entry;
	int r;

	switch (mnl_attr_get_type(attr)) {
	case CTA_TUPLE_ORIG:
		parser->has_original = true;
		return parse_tuple(attr, entry, &entry->original, &entry->zone[0],
				   &entry->protocol);
	case CTA_TUPLE_REPLY:
		parser->has_reply = true;
		return parse_tuple(attr, entry, &entry->reply, &entry->zone[1],
				   &parser->reply_protocol);
	case CTA_ZONE:
		r = attr_zone(attr, &entry->zone[0]);
		entry->zone[1] = entry->zone[0];
		return r;
	case CTA_ID:
		return attr_be32_to_host(attr, &entry->id);
	case CTA_STATUS:
		parser->has_status = true;
		return attr_be32_to_host(attr, &entry->status);
	default:
		return 0;
	}
}

int conntrack_parse(struct conntrack_entry *entry, const struct nlmsghdr *message)
{
	const struct nfgenmsg *header = mnl_nlmsg_get_payload(message);
	struct entry_parser parser = {.entry = entry};
	int r;

	memset(entry, 0, sizeof(*entry));
	if (NFNL_SUBSYS_ID(message->nlmsg_type) != NFNL_SUBSYS_CTNETLINK)
		return -ENOENT;
	if (NFNL_MSG_TYPE(message->nlmsg_type) == IPCTNL_MSG_CT_DELETE)
		entry->gone = true;
	else if (NFNL_MSG_TYPE(message->nlmsg_type) != IPCTNL_MSG_CT_NEW)
		return -ENOENT;
	if (message->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*header))
		return -EBADMSG;
	if (header->nfgen_family != AF_INET && header->nfgen_family != AF_INET6)
		return -ENOENT;

	entry->family = header->nfgen_family;
	r = attr_each(message, sizeof(*header), parse_attribute, &parser);
	if (r < 0)
		return r;
	if (!parser.has_original || !parser.has_reply || !parser.has_status ||
	    parser.reply_protocol != entry->protocol)
		return -EBADMSG;
	return 0;
}
