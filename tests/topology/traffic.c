// SPDX-License-Identifier: GPL-2.0-only
#include "tests/topology/traffic.h"
#include "tests/topology/kernel.h"
#include "tests/topology/stream.h"

#include "lib/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS		20000
#define IPV4_HEADER	20
#define IPV6_HEADER	40
#define FRAGMENT_HEADER 8
#define UDP_HEADER	8
#define WIREGUARD_UNIT	16 /* what it pads to a multiple of */
#define WAYS_END	4  /* routes of two spaces have two ways each */

/* A datagram as IP packets. */
struct cut {
	unsigned int packets, bytes;
	unsigned int largest;
};

/* All parts but the last are of whole 8 bytes (RFC 791, 3.2). */
static struct cut cut_datagram(unsigned int size, int family, unsigned int mtu)
{
	unsigned int header = family == AF_INET ? IPV4_HEADER : IPV6_HEADER;
	unsigned int load = size + UDP_HEADER, part, last, count;

	if (header + load <= mtu)
		return (struct cut){1, header + load, header + load};
	if (family == AF_INET6)
		header += FRAGMENT_HEADER;
	last = mtu - header;
	part = last & ~7u;
	count = 1 + (load - last + part - 1) / part;
	last = load - (count - 1) * part;
	return (struct cut){.packets = count,
			    .bytes = load + count * header,
			    .largest = header + (part > last ? part : last)};
}

static struct cut cut_packets(const struct conversation *c, const struct path *path)
{
	return cut_datagram(c->size, c->sent.family, path->own_mtu);
}

static bool is_padded(const struct path *path)
{
	for (size_t i = 0; i < path->packet_count; i++)
		if (path->packets[i].padded_mtu)
			return true;
	return false;
}

/* Cut again on the way: other sizes on other hooks. And of segments that are cut behind a tunnel
 * device the outer headers cannot be told (doc/dedup.md). */
static bool can_be_told(const struct conversation *c, const struct path *path)
{
	if (path->beyond || (path->uncut && !c->stream && cut_packets(c, path).packets > 1))
		return false;
	/* of IPv6, fragments are another protocol to whom chooses their way */
	if (path->chosen && !c->stream && c->sent.family == AF_INET6 &&
	    cut_packets(c, path).packets > 1)
		return false;
	if (!c->stream)
		return cut_packets(c, path).largest <= path->mtu &&
		       (!is_padded(path) || cut_packets(c, path).packets == 1);
	for (size_t i = 0; i < path->packet_count; i++)
		if (path->packets[i].outer_header)
			return false;
	return path->own_mtu <= path->mtu;
}

/* Before there is a kernel that chooses: whichever way it will be. */
static bool find_path(const struct world *world, const struct conversation *conversation,
		      int sender, struct path *path)
{
	unsigned int ways = 0, end = 1;

	do {
		if (!path_find(world, conversation, sender, ways, path) ||
		    !can_be_told(conversation, path))
			return false;
		if (path->chosen && !world->choose)
			end = WAYS_END;
	} while (++ways < end);
	return true;
}

bool traffic_paths(const struct world *world, const struct conversation *conversation,
		   struct path paths[2])
{
	if (!find_path(world, conversation, 0, &paths[0]))
		return false;
	if (!paths[0].lost_at)
		return find_path(world, conversation, 1, &paths[1]);
	paths[1] = (struct path){0};
	return !conversation->stream;
}

static struct tally_end tally_end_of(const struct tuple *tuple, int end)
{
	struct tally_end ret = {.port = tuple->port[end]};

	device_address_bytes(tuple->address[end], tuple->family, ret.address);
	return ret;
}

/*
 * The line of a packet: of a conversation that the host translates, and that the agent joins, what
 * the client sent and whereto; else what the packet looks like where it is seen first.
 */
static void book_sight(struct tally *expected, const struct sight *sight, bool joined, int sender,
		       const struct tuple *original, uint64_t bytes, uint64_t packets)
{
	const struct tuple *tuple = joined ? original : &sight->tuple;
	struct tally_end from = tally_end_of(tuple, joined ? sender : 0);
	struct tally_end to = tally_end_of(tuple, joined ? !sender : 1);

	tally_add(expected, &from, &to, bytes, packets);
}

static uint64_t count_bytes(const struct packet *packet, const struct sent *sent)
{
	uint64_t size, padded;

	if (!packet->padded_mtu || !sent->packets)
		return sent->bytes + sent->packets * packet->outer_header;
	/* all are of one size, or could not be told */
	size = sent->bytes / sent->packets;
	padded = (size + WIREGUARD_UNIT - 1) / WIREGUARD_UNIT * WIREGUARD_UNIT;
	if (padded > packet->padded_mtu)
		padded = packet->padded_mtu;
	return sent->packets * (padded + packet->outer_header);
}

static void book_packet(struct tally *expected, const struct packet *packet,
			const struct conversation *conversation, int sender,
			const struct sent *sent, bool join)
{
	bool joined = join && !packet->outer_header && conversation_is_translated(conversation);

	for (size_t i = 0; i < packet->sight_count; i++) {
		const struct sight *sight = &packet->sights[i];

		if (!sight->device->monitored)
			continue;
		book_sight(expected, sight, joined, sender, &conversation->sent,
			   count_bytes(packet, sent), sent->packets);
		return;
	}
}

static void book(struct tally *expected, const struct conversation *conversation, int sender,
		 const struct path *path, const struct sent *sent, bool join)
{
	for (size_t i = 0; i < path->packet_count; i++)
		if (!path->packets[i].copy)
			book_packet(expected, &path->packets[i], conversation, sender, sent, join);
}

static socklen_t socket_address(const struct tuple *tuple, int end,
				struct sockaddr_storage *address)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	uint8_t bytes[16];

	device_address_bytes(tuple->address[end], tuple->family, bytes);
	memset(address, 0, sizeof(*address));
	if (tuple->family == AF_INET) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(tuple->port[end]);
		memcpy(&v4->sin_addr, bytes + 12, 4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(tuple->port[end]);
	memcpy(&v6->sin6_addr, bytes, 16);
	return sizeof(*v6);
}

static int open_socket(struct kernel *kernel, const struct device *owner, const struct tuple *tuple,
		       int end)
{
	bool v4 = tuple->family == AF_INET;
	int discover = v4 ? IP_PMTUDISC_DONT : IPV6_PMTUDISC_DONT;
	struct sockaddr_storage address;
	socklen_t size = socket_address(tuple, end, &address);
	int fd, err = kernel_enter(kernel, owner->space);

	if (err)
		return err;
	fd = socket(tuple->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || kernel_bind_to_vrf(fd, owner) ||
	    setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER,
		       &discover, sizeof(discover)) ||
	    bind(fd, (struct sockaddr *)&address, size)) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		fd = err;
	}
	return kernel_leave(kernel) ?: fd;
}

static int open_sockets(struct kernel *kernel, struct conversation *c)
{
	if (c->fd[0] < 0)
		c->fd[0] = open_socket(kernel, c->client, &c->sent, 0);
	if (c->fd[0] < 0)
		return c->fd[0];
	if (c->fd[1] < 0)
		c->fd[1] = open_socket(kernel, c->server, &c->arrives, 1);
	return c->fd[1] < 0 ? c->fd[1] : 0;
}

static int receive(int fd, unsigned int size, struct sockaddr_storage *from, socklen_t *from_size)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	static char data[65536];
	ssize_t got;

	if (poll(&ready, 1, WAIT_MS) != 1)
		return -ETIMEDOUT;
	*from_size = sizeof(*from);
	got = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)from, from_size);
	if (got < 0)
		return -errno;
	return got == (ssize_t)size ? 0 : -EBADMSG;
}

/* Until the dummy has sent so many packets. */
static int wait_lost(struct kernel *kernel, const struct device *dummy, uint64_t count)
{
	int64_t end_ns = clock_boottime_ns() + WAIT_MS * NSEC_PER_MSEC;
	const struct timespec pause = {.tv_nsec = NSEC_PER_MSEC / 10};
	uint64_t sent = 0;

	for (;;) {
		int err = kernel_count_sent(kernel, dummy, &sent);

		if (err || sent == count)
			return err;
		if (sent > count || clock_boottime_ns() > end_ns)
			return sent > count ? -EBADMSG : -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
}

static int rest(const struct traffic *traffic)
{
	return traffic->pause ? traffic->pause(traffic->pause_data) : 0;
}

static struct sent count_datagrams(const struct conversation *c, int sender,
				   const struct path *path)
{
	struct cut cut = cut_packets(c, path);

	return (struct sent){.packets = (uint64_t)c->count[sender] * cut.packets,
			     .bytes = (uint64_t)c->count[sender] * cut.bytes};
}

static int send_datagrams(const struct traffic *traffic, const struct conversation *c,
			  const struct path *paths, struct sent *sent)
{
	static const char data[65536];
	struct sockaddr_storage to[2], seen;
	socklen_t to_size[2], seen_size;

	to_size[0] = socket_address(&c->sent, 1, &to[0]);
	for (int sender = 0; sender < 2; sender++) {
		for (unsigned int i = 0; i < c->count[sender]; i++) {
			int err;

			if (sendto(c->fd[sender], data, c->size, 0, (struct sockaddr *)&to[sender],
				   to_size[sender]) < 0)
				return -errno;
			err = receive(c->fd[!sender], c->size, &seen, &seen_size) ?: rest(traffic);
			if (err)
				return err;
		}
		/* the server replies to whom it saw */
		if (!sender) {
			to[1] = seen;
			to_size[1] = seen_size;
		}
		sent[sender] = count_datagrams(c, sender, &paths[sender]);
	}
	return 0;
}

/* What the client sends is lost, and nobody replies. */
static int send_in_vain(const struct traffic *traffic, const struct conversation *c,
			const struct path *path, struct sent sent[2])
{
	static const char data[65536];
	struct sockaddr_storage to;
	socklen_t to_size = socket_address(&c->sent, 1, &to);
	uint64_t lost;
	int err = kernel_count_sent(traffic->kernel, path->lost_at, &lost);

	sent[0] = count_datagrams(c, 0, path);
	sent[1] = (struct sent){0};
	for (unsigned int i = 0; i < c->count[0] && !err; i++) {
		if (sendto(c->fd[0], data, c->size, 0, (struct sockaddr *)&to, to_size) < 0)
			return -errno;
		lost += cut_packets(c, path).packets;
		err = wait_lost(traffic->kernel, path->lost_at, lost) ?: rest(traffic);
	}
	return err;
}

static int send_conversation(const struct traffic *traffic, struct conversation *c,
			     const struct path *paths, struct sent *sent)
{
	struct sockaddr_storage from[2], to;
	socklen_t size = socket_address(&c->sent, 0, &from[0]);

	if (!c->stream)
		return open_sockets(traffic->kernel, c)
			       ?: (paths[0].lost_at ? send_in_vain(traffic, c, &paths[0], sent)
						    : send_datagrams(traffic, c, paths, sent));
	socket_address(&c->arrives, 1, &from[1]);
	socket_address(&c->sent, 1, &to);
	return stream_open(c, traffic->kernel, from, &to, size)
		       ?: stream_send(c, sent) ?: rest(traffic);
}

int traffic_send(struct traffic *traffic)
{
	struct world *world = traffic->world;

	for (size_t i = 0; i < world->conversation_count; i++) {
		struct conversation *c = &world->conversations[i];
		struct sent sent[2];
		struct path paths[2];
		int err;

		bool arrives = !c->ended && traffic_paths(world, c, paths);

		traffic->failed = c;
		err = kernel_choice_error(traffic->kernel);
		if (!err && arrives)
			err = send_conversation(traffic, c, paths, sent);
		if (err)
			return err;
		for (int sender = 0; sender < 2 && arrives; sender++)
			book(traffic->expected, c, sender, &paths[sender], &sent[sender],
			     traffic->join);
	}
	traffic->failed = NULL;
	return 0;
}

void traffic_close(struct world *world)
{
	for (size_t i = 0; i < world->conversation_count; i++) {
		struct conversation *c = &world->conversations[i];

		for (int end = 0; end < 2; end++) {
			if (c->fd[end] >= 0)
				close(c->fd[end]);
			c->fd[end] = -1;
		}
	}
}

static void print_tuple(const struct world *world, const struct tuple *tuple)
{
	char text[INET6_ADDRSTRLEN];

	for (int end = 0; end < 2; end++)
		printf("%s%s (%s):%u", end ? " -> " : "",
		       device_address(tuple->address[end], tuple->family, text, sizeof(text)),
		       world->space_names[tuple->address[end]->space], tuple->port[end]);
}

void traffic_print(const struct world *world, const struct conversation *c)
{
	struct path paths[2];

	printf("#   ");
	print_tuple(world, &c->sent);
	if (conversation_is_translated(c)) {
		printf(" arrives as ");
		print_tuple(world, &c->arrives);
	}
	printf("  %u there, %u back, of %u bytes%s\n", c->count[0], c->count[1], c->size,
	       c->stream ? " by TCP" : "");
	if (c->ended || !traffic_paths(world, c, paths)) {
		printf("#       no way now\n");
		return;
	}
	for (int sender = 0; sender < 2; sender++) {
		printf("#     %s:\n", sender ? "back" : "there");
		path_print(&paths[sender]);
	}
}
