// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/conntrack.h"

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/protocol.h"
#include "netlink/attr.h"
#include "netlink/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROC_COUNT	       "/proc/sys/net/netfilter/nf_conntrack_count"
#define PROC_EVENTS	       "/proc/sys/net/netfilter/nf_conntrack_events"
#define MODULE_CONNTRACK_STATE "/sys/module/nf_conntrack/initstate"
#define MODULE_NAT	       "/sys/module/nf_nat"

#define RECEIVE_BUFFER	     (16 << 20)
#define DATAGRAMS_A_DISPATCH 1024
#define DUMP_TRIES	     5
#define DUMP_SHARE	     20 /* dumps but the asked ones take one part in so many of the time */

struct conntrack {
	struct netlink *events; /* owned; notifications only, as its filter knows nothing else */
	struct conntrack_handlers handlers;
	uint64_t overruns;
	bool stale;	       /* something was lost and no dump has made up for it yet */
	int64_t rest_until_ns; /* of the boot clock: no dump that is not asked for before that */
};

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
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	size_t size = family == AF_INET ? 4 : 16;

	if (mnl_attr_get_payload_len(attr) != size)
		return -EBADMSG;
	if (family == AF_INET)
		memcpy(address, mapped, sizeof(mapped));
	memcpy(address + 16 - size, mnl_attr_get_payload(attr), size);
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
		if (mnl_attr_get_payload_len(attr) != sizeof(*parser->protocol))
			return -EBADMSG;
		*parser->protocol = mnl_attr_get_u8(attr);
		parser->has_protocol = true;
		return 0;
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

int conntrack_present(void)
{
	/* Subscribing or asking would load nf_conntrack_netlink, and nf_conntrack with it. */
	if (access(PROC_COUNT, F_OK) < 0)
		return -ENOENT;
	/* Where conntrack is a module NAT is one, too, and while that is not loaded nothing is
	 * translated. A built-in conntrack has no initstate, and a built-in NAT shows nowhere. */
	if (access(MODULE_CONNTRACK_STATE, F_OK) == 0 && access(MODULE_NAT, F_OK) < 0)
		return -ENOENT;
	return 0;
}

bool conntrack_has_events(void)
{
	_fclose_ FILE *file = fopen(PROC_EVENTS, "re");

	return file && fgetc(file) != '0';
}

const char *conntrack_error(int error)
{
	switch (error) {
	case -ENOENT:
		return "the kernel does not track or does not translate connections";
	case -EPERM:
		return "reading conntrack needs CAP_NET_ADMIN";
	case -EPROTONOSUPPORT:
		return "the kernel has no nfnetlink";
	case -EOPNOTSUPP:
		return "the kernel has no nf_conntrack_netlink";
	default:
		return strerror(-error);
	}
}

/*
 * Lets through what has a translation in its status, or no status, which is for user space to
 * judge: on a host with many connections that are not translated each would wake us twice.
 */
static int attach_filter(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_IMM, MNL_NLMSG_HDRLEN + sizeof(struct nfgenmsg)),
		BPF_STMT(BPF_LDX | BPF_IMM, CTA_STATUS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_NLATTR),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_IND, sizeof(struct nlattr)),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, IPS_NAT_MASK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
		return -errno;
	return 0;
}

static void enlarge_receive_buffer(int fd)
{
	int size = RECEIVE_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

int conntrack_new(struct conntrack **ret, const struct conntrack_handlers *handlers)
{
	struct conntrack *conntrack;
	int r;

	r = conntrack_present();
	if (r < 0)
		return r;
	conntrack = calloc(1, sizeof(*conntrack));
	if (!conntrack)
		return -ENOMEM;
	conntrack->handlers = *handlers;
	/* No updates: the kernel translates a connection before it tells of it as new, and never
	 * otherwise later (nf_nat_setup_info() refuses confirmed ones). */
	r = netlink_new(&conntrack->events, NETLINK_NETFILTER,
			NF_NETLINK_CONNTRACK_NEW | NF_NETLINK_CONNTRACK_DESTROY);
	if (r == 0)
		r = attach_filter(conntrack_fd(conntrack));
	if (r < 0) {
		conntrack_free(conntrack);
		return r;
	}
	enlarge_receive_buffer(conntrack_fd(conntrack));
	*ret = conntrack;
	return 0;
}

void conntrack_free(struct conntrack *conntrack)
{
	if (!conntrack)
		return;
	netlink_free(conntrack->events);
	free(conntrack);
}

int conntrack_fd(const struct conntrack *conntrack)
{
	return netlink_fd(conntrack->events);
}

uint64_t conntrack_overruns(const struct conntrack *conntrack)
{
	return conntrack->overruns;
}

static void tell(struct conntrack *conntrack, const struct nlmsghdr *message)
{
	struct conntrack_entry entry;
	int r;

	r = conntrack_parse(&entry, message);
	if (r == -EBADMSG)
		log_warning("malformed message from conntrack (type %u, %u bytes), ignoring it",
			    message->nlmsg_type, message->nlmsg_len);
	else if (r == 0 && entry.status & IPS_NAT_MASK)
		conntrack->handlers.entry(conntrack->handlers.data, &entry);
}

/* Handles one datagram, without blocking. -EAGAIN: there is none; -ENOBUFS: some were lost. */
static int handle_next(struct conntrack *conntrack)
{
	const struct nlmsghdr *message;
	ssize_t size;
	int left;

	size = netlink_receive(conntrack->events, MSG_DONTWAIT, &message);
	if (size == -ENOBUFS) {
		conntrack->overruns++;
		conntrack->stale = true;
	}
	if (size < 0)
		return size;
	for (left = size; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left))
		tell(conntrack, message);
	if (left > 0)
		log_warning("malformed datagram from conntrack, ignoring its last %d bytes", left);
	return 0;
}

/*
 * After an overrun the kernel throws away every notification until the queue is empty: a dump
 * before that could miss what follows it.
 */
static int handle_queued(struct conntrack *conntrack)
{
	int r;

	do
		r = handle_next(conntrack);
	while (r == 0 || r == -ENOBUFS);
	return r == -EAGAIN ? 0 : r;
}

struct dump {
	struct conntrack *conntrack;
	bool whole; /* the kernel does not filter: this dump holds what others would */
};

static int take_answer(void *data, const struct nlmsghdr *message)
{
	struct dump *dump = data;

	if (!(message->nlmsg_flags & NLM_F_DUMP_FILTERED))
		dump->whole = true;
	tell(dump->conntrack, message);
	return 0;
}

/* Asks for the entries whose status, of the bits in mask, has those in status. Kernels before 5.15
 * do not know that and send all. */
static int ask_for(struct netlink *query, struct dump *dump, uint32_t status, uint32_t mask)
{
	char buffer[MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct nfgenmsg)) + 2 * 8];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	int r;

	request->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(request, sizeof(struct nfgenmsg)); /* of any family */
	mnl_attr_put_u32(request, CTA_STATUS, htonl(status));
	mnl_attr_put_u32(request, CTA_STATUS_MASK, htonl(mask));
	r = netlink_ask(query, request, take_answer, dump);
	/* nfnetlink's word for a subsystem that it has not and cannot load */
	return r == -EINVAL ? -EOPNOTSUPP : r;
}

/* One question cannot ask for "translated at either end". */
static int ask_for_translated(struct netlink *query, struct dump *dump)
{
	int r;

	r = ask_for(query, dump, IPS_SRC_NAT, IPS_SRC_NAT);
	if (r < 0 || dump->whole)
		return r;
	return ask_for(query, dump, IPS_DST_NAT, IPS_NAT_MASK);
}

/*
 * The answers come on a socket of their own: the filter would judge a whole datagram of them by its
 * first. What happens meanwhile waits on the other socket and is handled later, so that a deletion
 * comes after the dump that still showed the entry.
 */
static int try_dump(struct conntrack *conntrack)
{
	struct dump dump = {.conntrack = conntrack};
	struct netlink *query;
	int r;

	r = handle_queued(conntrack);
	if (r < 0)
		return r;
	r = netlink_new(&query, NETLINK_NETFILTER, 0);
	if (r < 0)
		return r;
	conntrack->handlers.dump_begin(conntrack->handlers.data);
	r = ask_for_translated(query, &dump);
	netlink_free(query);
	if (r == 0)
		conntrack->handlers.dump_end(conntrack->handlers.data);
	return r == -EINTR ? -EAGAIN : r;
}

int conntrack_dump(struct conntrack *conntrack)
{
	int64_t begin = clock_boottime_ns(), end;
	unsigned int tries;
	int r = -EAGAIN;

	conntrack->stale = true;
	for (tries = 0; r == -EAGAIN && tries < DUMP_TRIES; tries++)
		r = try_dump(conntrack);
	if (r == 0)
		conntrack->stale = false;
	end = clock_boottime_ns();
	conntrack->rest_until_ns = end + (end - begin) * (DUMP_SHARE - 1);
	return r;
}

static bool may_dump(const struct conntrack *conntrack)
{
	return clock_boottime_ns() >= conntrack->rest_until_ns;
}

static void log_overrun(const struct conntrack *conntrack)
{
	socklen_t length = sizeof(int);
	int size = 0;

	(void)getsockopt(conntrack_fd(conntrack), SOL_SOCKET, SO_RCVBUF, &size, &length);
	log_warning("conntrack notifications were lost (receive buffer of %d bytes overran), short "
		    "translated conversations may be reported in two lines",
		    size);
}

int conntrack_catch_up(struct conntrack *conntrack)
{
	uint64_t overruns = conntrack->overruns;
	int r;

	if (may_dump(conntrack))
		r = conntrack_dump(conntrack);
	else
		r = handle_queued(conntrack);
	if (conntrack->overruns > overruns)
		log_overrun(conntrack);
	return r;
}

int conntrack_dispatch(struct conntrack *conntrack)
{
	unsigned int i;
	int r = 0;

	for (i = 0; r == 0 && i < DATAGRAMS_A_DISPATCH; i++)
		r = handle_next(conntrack);
	if (r == -ENOBUFS)
		log_overrun(conntrack);
	else if (r < 0 && r != -EAGAIN)
		return r;
	return conntrack->stale && may_dump(conntrack) ? conntrack_dump(conntrack) : 0;
}
