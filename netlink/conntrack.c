// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/conntrack.h"

#include "lib/array.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/protocol.h"
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

#define DATAGRAMS_A_DISPATCH 1024
#define DUMP_TRIES	     5
#define DUMP_SHARE	     20 /* dumps but the asked ones take one part in so many of the time */
#define WHOLE_SHARE	     1000 /* the same of those that read what is not translated, too */

struct conntrack {
	struct netlink *events; /* owned; notifications only, as its filter knows nothing else */
	struct client_ports ports;
	struct conntrack_handlers handlers;
	uint64_t overruns;
	bool overrun_told;	     /* once until it is caught up the next time */
	bool stale;		     /* something was lost and no dump has made up for it yet */
	int64_t rest_until_ns;	     /* of the boot clock: no dump that is not asked for before */
	int64_t whole_rest_until_ns; /* likewise: no whole one before that */
};

int conntrack_present(void)
{
	/* Subscribing or asking would load nf_conntrack_netlink, and nf_conntrack with it. */
	return access(PROC_COUNT, F_OK) < 0 ? -ENOENT : 0;
}

bool conntrack_translates(void)
{
	/* Where conntrack is a module NAT is one, too, and while that is not loaded nothing is
	 * translated. A built-in conntrack has no initstate, and a built-in NAT shows nowhere. */
	return conntrack_present() == 0 &&
	       (access(MODULE_CONNTRACK_STATE, F_OK) < 0 || access(MODULE_NAT, F_OK) == 0);
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

/* Of an entry that is not translated. */
static bool needs_knowing(const struct client_ports *ports, const struct conntrack_entry *entry)
{
	return !protocol_has_ports(entry->protocol) ||
	       !client_ports_tell(ports, entry->original.source_port,
				  entry->original.destination_port);
}

static bool is_reversed(const struct conntrack_tuple *a, const struct conntrack_tuple *b)
{
	return a->source_port == b->destination_port && a->destination_port == b->source_port &&
	       !memcmp(a->source, b->destination, sizeof(a->source)) &&
	       !memcmp(a->destination, b->source, sizeof(a->destination));
}

/* IPVS (net.ipv4.vs.conntrack) alters the tuple of the reply and leaves the status as it was:
 * ip_vs_update_conntrack(), net/netfilter/ipvs/ip_vs_nfct.c. */
static bool is_translated(const struct conntrack_entry *entry)
{
	return entry->status & IPS_NAT_MASK || !is_reversed(&entry->original, &entry->reply);
}

/* The last two instructions; jumps there are resolved when all is counted. */
#define PASS 254
#define DROP 255

#define IF(test, number, yes, no) BPF_JUMP(BPF_JMP | (test) | BPF_K, (number), (yes), (no))
/* Into A: the offset of an attribute of the message, or of one nested in that at offset M[0]. What
 * is not there is for user space to judge. */
#define FIND(type)                                                              \
	BPF_STMT(BPF_LD | BPF_IMM, MNL_NLMSG_HDRLEN + sizeof(struct nfgenmsg)), \
		BPF_STMT(BPF_LDX | BPF_IMM, (type)),                            \
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_NLATTR), \
		IF(BPF_JEQ, 0, PASS, 0)
#define FIND_IN(memory, type)                                                        \
	BPF_STMT(BPF_LD | BPF_MEM, (memory)), BPF_STMT(BPF_LDX | BPF_IMM, (type)),   \
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_NLATTR_NEST), \
		IF(BPF_JEQ, 0, PASS, 0)
#define FIND_NESTED(type) FIND_IN(0, type)
#define STORE(memory)	  BPF_STMT(BPF_ST, (memory))
#define NEST		  STORE(0) /* what was found is M[0] */
/* Into A: what was found, a number in network byte order. */
#define LOAD(width) \
	BPF_STMT(BPF_MISC | BPF_TAX, 0), BPF_STMT(BPF_LD | (width) | BPF_IND, sizeof(struct nlattr))

/* M[8] and M[9]: an attribute in each of two nests. */
#define FIND_BOTH(a, a_type, b, b_type) FIND_IN(a, a_type), STORE(8), FIND_IN(b, b_type), STORE(9)
/* A part of these two, which is not shorter. Passes what differs. */
#define COMPARE(width, offset, same)                                                               \
	BPF_STMT(BPF_LDX | BPF_MEM, 8),                                                            \
		BPF_STMT(BPF_LD | (width) | BPF_IND, sizeof(struct nlattr) + (offset)), STORE(10), \
		BPF_STMT(BPF_LDX | BPF_MEM, 9),                                                    \
		BPF_STMT(BPF_LD | (width) | BPF_IND, sizeof(struct nlattr) + (offset)),            \
		BPF_STMT(BPF_LDX | BPF_MEM, 10),                                                   \
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, same, PASS)
#define COMPARE_PORTS(a, a_type, b, b_type) FIND_BOTH(a, a_type, b, b_type), COMPARE(BPF_H, 0, 0)
#define COMPARE_IPV4(a, a_type, b, b_type, same) \
	FIND_BOTH(a, a_type, b, b_type), COMPARE(BPF_W, 0, same)
#define COMPARE_IPV4_ENDS                                    \
	COMPARE_IPV4(2, CTA_IP_V4_SRC, 3, CTA_IP_V4_DST, 0), \
		COMPARE_IPV4(2, CTA_IP_V4_DST, 3, CTA_IP_V4_SRC, DROP)
#define IPV4_LENGTH ARRAY_SIZE(((struct sock_filter[]){COMPARE_IPV4_ENDS}))
#define COMPARE_IPV6(a, a_type, b, b_type, same)                                     \
	FIND_BOTH(a, a_type, b, b_type), COMPARE(BPF_W, 0, 0), COMPARE(BPF_W, 4, 0), \
		COMPARE(BPF_W, 8, 0), COMPARE(BPF_W, 12, same)

static void resolve_jumps(struct sock_filter *code, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		if (BPF_CLASS(code[i].code) != BPF_JMP)
			continue;
		if (code[i].jt >= PASS)
			code[i].jt = (uint8_t)(count - 2 + (code[i].jt - PASS) - i - 1);
		if (code[i].jf >= PASS)
			code[i].jf = (uint8_t)(count - 2 + (code[i].jf - PASS) - i - 1);
	}
}

/*
 * Lets through what is_translated(), and what needs_knowing(): on a host with many connections that
 * are neither each would wake us twice. The protocols are protocol_has_ports().
 */
static int attach_filter(int fd, const struct client_ports *ports)
{
	/* clang-format off */
	struct sock_filter code[] = {
		FIND(CTA_STATUS),
		LOAD(BPF_W),
		IF(BPF_JSET, IPS_NAT_MASK, PASS, 0),
		FIND(CTA_TUPLE_ORIG),
		NEST,
		FIND_NESTED(CTA_TUPLE_PROTO),
		NEST,
		FIND_NESTED(CTA_PROTO_NUM),
		LOAD(BPF_B),
		IF(BPF_JEQ, IPPROTO_TCP, 4, 0),
		IF(BPF_JEQ, IPPROTO_UDP, 3, 0),
		IF(BPF_JEQ, IPPROTO_UDPLITE, 2, 0),
		IF(BPF_JEQ, IPPROTO_SCTP, 1, 0),
		IF(BPF_JEQ, IPPROTO_DCCP, 0, PASS),
		FIND_NESTED(CTA_PROTO_SRC_PORT),
		LOAD(BPF_H),
		IF(BPF_JGE, ports->first, 0, PASS),
		IF(BPF_JGT, ports->last, PASS, 0),
		FIND_NESTED(CTA_PROTO_DST_PORT),
		LOAD(BPF_H),
		IF(BPF_JGE, ports->first, 0, 1),
		IF(BPF_JGT, ports->last, 0, PASS),
		/* Is the reply the original the other way round? Ports of either in M[0] and M[1],
		 * addresses in M[2] and M[3]. */
		FIND(CTA_TUPLE_ORIG),
		STORE(2),
		FIND_IN(2, CTA_TUPLE_IP),
		STORE(2),
		FIND(CTA_TUPLE_REPLY),
		STORE(3),
		FIND_IN(3, CTA_TUPLE_PROTO),
		STORE(1),
		FIND_IN(3, CTA_TUPLE_IP),
		STORE(3),
		COMPARE_PORTS(0, CTA_PROTO_SRC_PORT, 1, CTA_PROTO_DST_PORT),
		COMPARE_PORTS(0, CTA_PROTO_DST_PORT, 1, CTA_PROTO_SRC_PORT),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, MNL_NLMSG_HDRLEN), /* nfgen_family */
		IF(BPF_JEQ, AF_INET, 0, IPV4_LENGTH),
		COMPARE_IPV4_ENDS,
		COMPARE_IPV6(2, CTA_IP_V6_SRC, 3, CTA_IP_V6_DST, 0),
		COMPARE_IPV6(2, CTA_IP_V6_DST, 3, CTA_IP_V6_SRC, DROP),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX), /* PASS */
		BPF_STMT(BPF_RET | BPF_K, 0),	       /* DROP */
	};
	/* clang-format on */
	struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};

	_Static_assert(ARRAY_SIZE(code) < PASS, "jumps reach the last instructions");
	resolve_jumps(code, ARRAY_SIZE(code));
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
		return -errno;
	return 0;
}

int conntrack_new(struct conntrack **ret, const struct client_ports *ports,
		  const struct conntrack_handlers *handlers)
{
	struct conntrack *conntrack;
	int r;

	r = conntrack_present();
	if (r < 0)
		return r;
	conntrack = calloc(1, sizeof(*conntrack));
	if (!conntrack)
		return -ENOMEM;
	conntrack->ports = *ports;
	conntrack->handlers = *handlers;
	/* No updates: the kernel translates a connection before it tells of it as new, and never
	 * otherwise later (nf_nat_setup_info() refuses confirmed ones). */
	r = netlink_new(&conntrack->events, NETLINK_NETFILTER,
			NF_NETLINK_CONNTRACK_NEW | NF_NETLINK_CONNTRACK_DESTROY);
	if (r == 0)
		r = attach_filter(conntrack_fd(conntrack), ports);
	if (r < 0) {
		conntrack_free(conntrack);
		return r;
	}
	netlink_enlarge_receive_buffer(conntrack->events);
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

static void tell_entry(struct conntrack *conntrack, const struct nlmsghdr *message)
{
	struct conntrack_entry entry;
	int r;

	r = conntrack_parse(&entry, message);
	if (r == -EBADMSG)
		log_warning("malformed message from conntrack (type %u, %u bytes), ignoring it",
			    message->nlmsg_type, message->nlmsg_len);
	else if (r == 0 && (is_translated(&entry) || needs_knowing(&conntrack->ports, &entry)))
		conntrack->handlers.entry(conntrack->handlers.data, &entry);
}

/* Handles one datagram, without blocking. -EAGAIN: there is none; -ENOBUFS: some were lost. */
static int handle_next(void *data)
{
	struct conntrack *conntrack = data;
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
		tell_entry(conntrack, message);
	if (left > 0)
		log_warning("malformed datagram from conntrack, ignoring its last %d bytes", left);
	return 0;
}

struct dump {
	struct conntrack *conntrack;
	bool whole; /* it has all entries */
};

static int take_answer(void *data, const struct nlmsghdr *message)
{
	struct dump *dump = data;

	/* the kernel does not filter */
	if (!(message->nlmsg_flags & NLM_F_DUMP_FILTERED))
		dump->whole = true;
	tell_entry(dump->conntrack, message);
	return 0;
}

/* Asks for the entries whose status, of the bits in mask, has those in status; mask 0: for all.
 * Kernels before 5.15 do not know that and send all. */
static int ask_for(struct netlink *query, struct dump *dump, uint32_t status, uint32_t mask)
{
	_Alignas(struct nlmsghdr) char
		buffer[MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct nfgenmsg)) + 2 * 8];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	int r;

	request->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(request, sizeof(struct nfgenmsg)); /* of any family */
	if (mask) {
		mnl_attr_put_u32(request, CTA_STATUS, htonl(status));
		mnl_attr_put_u32(request, CTA_STATUS_MASK, htonl(mask));
	}
	r = netlink_ask(query, request, take_answer, dump);
	/* nfnetlink's word for a subsystem that it has not and cannot load */
	return r == -EINVAL ? -EOPNOTSUPP : r;
}

/* One question cannot ask for "translated at either end", and none for what IPVS translates. */
static int ask_for_translated(struct netlink *query, struct dump *dump)
{
	int r;

	r = ask_for(query, dump, IPS_SRC_NAT, IPS_SRC_NAT);
	if (r < 0 || dump->whole)
		return r;
	return ask_for(query, dump, IPS_DST_NAT, IPS_NAT_MASK);
}

static bool may_dump(const struct conntrack *conntrack)
{
	return clock_boottime_ns() >= conntrack->rest_until_ns;
}

/*
 * The answers come on a socket of their own: the filter would judge a whole datagram of them by its
 * first. What happens meanwhile waits on the other socket and is handled later, so that a deletion
 * comes after the dump that still showed the entry.
 */
static int try_dump(struct conntrack *conntrack, bool whole)
{
	struct dump dump = {.conntrack = conntrack, .whole = whole};
	struct netlink *query;
	int r;

	r = netlink_empty_queue(handle_next, conntrack);
	if (r < 0)
		return r;
	/* without NAT only a whole dump has something to tell */
	if (!whole && !conntrack_translates())
		return 0;
	r = netlink_new(&query, NETLINK_NETFILTER, 0);
	if (r < 0)
		return r;
	conntrack->handlers.dump_begin(conntrack->handlers.data);
	r = whole ? ask_for(query, &dump, 0, 0) : ask_for_translated(query, &dump);
	netlink_free(query);
	if (r == 0)
		conntrack->handlers.dump_end(conntrack->handlers.data, dump.whole);
	return r == -EINTR ? -EAGAIN : r;
}

int conntrack_dump(struct conntrack *conntrack)
{
	int64_t begin = clock_boottime_ns(), end;
	bool whole = begin >= conntrack->whole_rest_until_ns;
	unsigned int tries;
	int r = -EAGAIN;

	conntrack->stale = true;
	for (tries = 0; r == -EAGAIN && tries < DUMP_TRIES; tries++)
		r = try_dump(conntrack, whole);
	if (r == 0)
		conntrack->stale = false;
	end = clock_boottime_ns();
	if (r == 0 && whole)
		conntrack->whole_rest_until_ns = end + (end - begin) * (WHOLE_SHARE - 1);
	else
		conntrack->rest_until_ns = end + (end - begin) * (DUMP_SHARE - 1);
	return r;
}

/* In a flood each round of the owner's loop may find that some were lost. */
static void log_overrun(struct conntrack *conntrack)
{
	if (conntrack->overrun_told)
		return;
	conntrack->overrun_told = true;
	log_warning("conntrack notifications were lost (receive buffer of %d bytes overran): short "
		    "translated conversations may be reported in two lines, others from their "
		    "server's end",
		    netlink_receive_buffer_size(conntrack->events));
}

bool conntrack_is_stale(const struct conntrack *conntrack)
{
	return conntrack->stale;
}

int conntrack_catch_up(struct conntrack *conntrack)
{
	uint64_t overruns = conntrack->overruns;
	int r;

	if (may_dump(conntrack))
		r = conntrack_dump(conntrack);
	else
		r = netlink_empty_queue(handle_next, conntrack);
	if (conntrack->overruns > overruns)
		log_overrun(conntrack);
	conntrack->overrun_told = false;
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
	r = conntrack->stale && may_dump(conntrack) ? conntrack_dump(conntrack) : 0;
	return r == -EAGAIN ? 0 : r;
}
