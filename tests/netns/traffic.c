// SPDX-License-Identifier: GPL-2.0-only
/*
 * Traffic of which the stories know every byte. One process holds the sockets of both ends, each
 * made in its own network namespace, and sends no more than what it has seen arrive: nothing is
 * lost, no end has to wait until the other is ready.
 *
 *   traffic udp [-n COUNT] [-s SIZE] [-r REPLIES] [-v VIA] FROM_NS SOURCE TO_NS DESTINATION
 *   traffic tcp [-n BYTES] [-r BYTES_BACK] [-v VIA] FROM_NS SOURCE TO_NS DESTINATION
 *   traffic frames [-n TIMES] NS INTERFACE HEX...
 *   traffic offload NS INTERFACE on|off
 *   traffic flush NS
 *
 * SOURCE and DESTINATION are ADDRESS:PORT or [ADDRESS]:PORT; VIA is the address that the sender
 * uses where NAT leads to DESTINATION. A namespace may be NS@DEVICE: its socket is bound to that
 * device, as those of a VRF are. tcp prints "bytes=N packets=N": IP bytes and wire packets of
 * both directions. flush makes the namespace forget its tracked connections. $NETNS_PREFIX stands
 * before the name of every namespace, and $PATIENCE is a factor for deadlines.
 */
#include "lib/array.h"
#include "tests/netns/enter.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define UDP_WINDOW 16 /* datagrams under way: less than any queue on the path holds */
#define TCP_CHUNK  65536

struct options {
	uint64_t count;
	uint64_t size;
	uint64_t replies;
	const char *via;
};

struct end {
	struct sockaddr_storage addr;
	socklen_t size;
};

static uint64_t parse_number(const char *text)
{
	char *end;
	uint64_t number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || end == text || *end)
		errx(1, "'%s' is not a number", text);
	return number;
}

/* How long anything may take, $PATIENCE times as long on a slow machine. */
static int wait_ms(void)
{
	const char *patience = getenv("PATIENCE");

	return 10000 * (patience ? (int)parse_number(patience) : 1);
}

static struct end parse_end(const char *text)
{
	char host[INET6_ADDRSTRLEN + 2];
	const char *colon = strrchr(text, ':');
	struct end end = {0};
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&end.addr;
	struct sockaddr_in *in = (struct sockaddr_in *)&end.addr;
	in_port_t port;

	if (!colon || (size_t)(colon - text) >= sizeof(host))
		errx(1, "'%s' is not ADDRESS:PORT", text);
	memcpy(host, text, colon - text);
	host[colon - text] = '\0';
	port = htons((uint16_t)parse_number(colon + 1));
	if (host[0] == '[') {
		host[strcspn(host, "]")] = '\0';
		in6->sin6_family = AF_INET6;
		in6->sin6_port = port;
		end.size = sizeof(*in6);
		if (inet_pton(AF_INET6, host + 1, &in6->sin6_addr) != 1)
			errx(1, "'%s' is not an IPv6 address", host + 1);
	} else {
		in->sin_family = AF_INET;
		in->sin_port = port;
		end.size = sizeof(*in);
		if (inet_pton(AF_INET, host, &in->sin_addr) != 1)
			errx(1, "'%s' is not an IPv4 address", host);
	}
	return end;
}

static int socket_in(const char *ns, int domain, int type, int protocol)
{
	int fd;

	enter(ns);
	fd = socket(domain, type | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		err(1, "socket in %s", ns);
	return fd;
}

/* A socket in ns that is bound to the address text says. */
static int bound_socket(const char *ns, const char *text, int type)
{
	struct end end = parse_end(text);
	int fd = socket_in(ns, end.addr.ss_family, type, 0);
	const char *device = strchr(ns, '@');

	if (device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device + 1, strlen(device + 1)))
		err(1, "bind to %s", ns);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) ||
	    bind(fd, (struct sockaddr *)&end.addr, end.size))
		err(1, "bind %s in %s", text, ns);
	return fd;
}

/* One datagram must come within the deadline; who sent it goes to *from. */
static void receive(int fd, uint64_t size, struct end *from)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	static char data[65536];
	ssize_t got;

	if (poll(&ready, 1, wait_ms()) != 1)
		errx(1, "a datagram is lost");
	from->size = sizeof(from->addr);
	got = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from->addr, &from->size);
	if (got < 0 || (uint64_t)got != size)
		errx(1, "received %zd bytes, not %llu", got, (unsigned long long)size);
}

static void run_udp(const struct options *options, char **ends)
{
	struct end target = parse_end(options->via ? options->via : ends[3]);
	int from = bound_socket(ends[0], ends[1], SOCK_DGRAM);
	int to = bound_socket(ends[2], ends[3], SOCK_DGRAM);
	uint64_t size = options->size, i, received = 0;
	static char data[65536];
	struct end seen;

	if (size > sizeof(data))
		errx(1, "a datagram cannot hold %llu bytes", (unsigned long long)size);
	for (i = 0; i < options->count; i++) {
		if (sendto(from, data, size, 0, (struct sockaddr *)&target.addr, target.size) < 0)
			err(1, "send");
		for (; i + 1 - received >= UDP_WINDOW; received++)
			receive(to, size, &seen);
	}
	for (; received < options->count; received++)
		receive(to, size, &seen);
	for (i = 0; i < options->replies; i++) {
		struct end replier;

		/* to where the datagrams came from, as seen behind a NAT */
		if (sendto(to, data, size, 0, (struct sockaddr *)&seen.addr, seen.size) < 0)
			err(1, "reply");
		receive(from, size, &replier);
	}
	close(from);
	close(to);
}

/* What one end of a connection still has to send and to receive. */
struct tcp_end {
	int fd;
	uint64_t unsent;
	uint64_t unreceived;
	bool shut;
	bool ended;
};

static void tcp_end_send(struct tcp_end *end)
{
	static const char data[TCP_CHUNK];
	ssize_t sent;

	if (end->unsent) {
		sent = send(end->fd, data, end->unsent < TCP_CHUNK ? end->unsent : TCP_CHUNK,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN)
			err(1, "send");
		if (sent > 0)
			end->unsent -= sent;
	}
	if (!end->unsent && !end->shut) {
		shutdown(end->fd, SHUT_WR);
		end->shut = true;
	}
}

static void tcp_end_receive(struct tcp_end *end)
{
	static char data[TCP_CHUNK];
	ssize_t got = recv(end->fd, data, sizeof(data), MSG_DONTWAIT);

	if (got < 0 && errno != EAGAIN)
		err(1, "receive");
	if (!got)
		end->ended = true;
	if (got > 0 && (uint64_t)got > end->unreceived)
		errx(1, "more bytes than were sent");
	if (got > 0)
		end->unreceived -= got;
}

static struct tcp_info tcp_end_info(const struct tcp_end *end)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	if (getsockopt(end->fd, IPPROTO_TCP, TCP_INFO, &info, &size) ||
	    size < offsetof(struct tcp_info, tcpi_bytes_sent) + sizeof(info.tcpi_bytes_sent))
		err(1, "TCP_INFO");
	return info;
}

/* Both ends have sent and acknowledged everything, their FIN included. */
static void tcp_wait_closed(const struct tcp_end *ends)
{
	int tries, limit = wait_ms();

	for (tries = 0; tries < limit; tries++) {
		/* TCP_CLOSE of linux/tcp.h's state machine; a socket in TIME_WAIT shows it too */
		if (tcp_end_info(&ends[0]).tcpi_state == 7 &&
		    tcp_end_info(&ends[1]).tcpi_state == 7)
			return;
		usleep(1000);
	}
	errx(1, "the connection does not close");
}

/* How many segments a namespace has sent by TCP, as /proc/net/snmp has it: a line of names, one of
 * numbers. No socket counts what requests and TIME_WAIT send. */
static uint64_t segments_sent(const char *ns)
{
	char names[1024], numbers[1024], *name, *number, *at[2] = {NULL, NULL};
	FILE *file;

	enter(ns);
	file = fopen("/proc/thread-self/net/snmp", "re");
	if (!file)
		err(1, "/proc/net/snmp");
	do
		if (!fgets(names, sizeof(names), file) || !fgets(numbers, sizeof(numbers), file))
			errx(1, "/proc/net/snmp has no counters of TCP");
	while (strncmp(names, "Tcp: ", 5) != 0);
	fclose(file);
	name = strtok_r(names, " \n", &at[0]);
	number = strtok_r(numbers, " \n", &at[1]);
	while (name && number && strcmp(name, "OutSegs") != 0) {
		name = strtok_r(NULL, " \n", &at[0]);
		number = strtok_r(NULL, " \n", &at[1]);
	}
	if (!name || !number)
		errx(1, "/proc/net/snmp has no OutSegs");
	return strtoull(number, NULL, 10);
}

static uint64_t segments_sent_by_both(char **args)
{
	size_t length = strcspn(args[0], "@");
	bool one = length == strcspn(args[2], "@") && !strncmp(args[0], args[2], length);

	return segments_sent(args[0]) + (one ? 0 : segments_sent(args[2]));
}

/*
 * The kernel's own count of the wire packets. The namespaces have timestamps on and SACK off
 * (lib.sh), so every TCP header has 32 bytes, and 40 on the two SYNs.
 */
static void tcp_print_truth(const struct tcp_end *ends, sa_family_t family, uint64_t packets)
{
	struct tcp_info a = tcp_end_info(&ends[0]), b = tcp_end_info(&ends[1]);
	uint64_t header = (family == AF_INET6 ? 40 : 20) + 32;

	if (!(a.tcpi_options & TCPI_OPT_TIMESTAMPS) || (a.tcpi_options & TCPI_OPT_SACK))
		errx(1, "the namespaces have other TCP options than this program reckons with");
	printf("bytes=%llu packets=%llu\n",
	       (unsigned long long)(a.tcpi_bytes_sent + b.tcpi_bytes_sent + packets * header + 16),
	       (unsigned long long)packets);
}

static void run_tcp(const struct options *options, char **args)
{
	struct end target = parse_end(options->via ? options->via : args[3]);
	int from = bound_socket(args[0], args[1], SOCK_STREAM);
	int listener = bound_socket(args[2], args[3], SOCK_STREAM);
	struct pollfd ready = {.fd = listener, .events = POLLIN};
	uint64_t before = segments_sent_by_both(args);
	struct tcp_end ends[2] = {
		{.fd = from, .unsent = options->count, .unreceived = options->replies},
		{.unsent = options->replies, .unreceived = options->count},
	};

	if (listen(listener, 1) || connect(from, (struct sockaddr *)&target.addr, target.size))
		err(1, "connect");
	if (poll(&ready, 1, wait_ms()) != 1)
		errx(1, "no connection arrives");
	ends[1].fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (ends[1].fd < 0)
		err(1, "accept");

	while (!ends[0].ended || !ends[1].ended) {
		struct pollfd events[2];
		int i;

		for (i = 0; i < 2; i++) {
			tcp_end_send(&ends[i]);
			events[i].fd = ends[i].ended ? -1 : ends[i].fd;
			events[i].events = POLLIN | (ends[i].unsent ? POLLOUT : 0);
		}
		if (poll(events, 2, wait_ms()) < 1)
			errx(1, "the connection hangs");
		for (i = 0; i < 2; i++)
			if (!ends[i].ended)
				tcp_end_receive(&ends[i]);
	}
	if (ends[0].unreceived || ends[1].unreceived)
		errx(1, "the connection ended early");
	tcp_wait_closed(ends);
	tcp_print_truth(ends, target.addr.ss_family, segments_sent_by_both(args) - before);
	close(from);
	close(ends[1].fd);
	close(listener);
}

static size_t parse_hex(const char *text, uint8_t *bytes, size_t room)
{
	size_t size = strlen(text) / 2, i;

	if (size > room || strspn(text, "0123456789abcdefABCDEF") != size * 2)
		errx(1, "'%.40s' is not a frame in hexadecimal", text);
	for (i = 0; i < size; i++)
		sscanf(text + 2 * i, "%2hhx", &bytes[i]);
	return size;
}

/* Frames as they are, Ethernet header first, out of an interface. */
static void run_frames(const struct options *options, char **args, int frames)
{
	int fd = socket_in(args[0], AF_PACKET, SOCK_RAW, 0);
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex(args[1]),
		.sll_halen = ETH_ALEN,
	};
	static uint8_t bytes[65536];
	size_t size;
	uint64_t i;
	int n;

	if (!to.sll_ifindex)
		errx(1, "%s has no interface %s", args[0], args[1]);
	for (n = 0; n < frames; n++) {
		size = parse_hex(args[2 + n], bytes, sizeof(bytes));
		if (size < ETH_HLEN)
			errx(1, "a frame is shorter than its Ethernet header");
		memcpy(&to.sll_protocol, bytes + 2 * ETH_ALEN, sizeof(to.sll_protocol));
		for (i = 0; i < options->count; i++)
			if (sendto(fd, bytes, size, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
				err(1, "%s", args[1]);
	}
	close(fd);
}

/* Segmentation in the stack and coalescing at the receiver, as `ethtool -K` switches them. */
static void run_offload(char **args)
{
	static const uint32_t commands[] = {ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO};
	int fd = socket_in(args[0], AF_INET, SOCK_DGRAM, 0);
	struct ethtool_value value = {.data = !strcmp(args[2], "on")};
	struct ifreq request = {.ifr_data = (char *)&value};
	size_t i;

	if (!value.data && strcmp(args[2], "off"))
		errx(1, "'%s' is neither on nor off", args[2]);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", args[1]);
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		value.cmd = commands[i];
		if (ioctl(fd, SIOCETHTOOL, &request))
			err(1, "%s", args[1]);
	}
	close(fd);
}

/* As `conntrack -F` does. */
static void run_flush(char **args)
{
	int fd = socket_in(args[0], AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
	struct {
		struct nlmsghdr header;
		struct nfgenmsg family;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			   .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		.family = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0},
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr result;
	} reply = {0};

	if (send(fd, &request, sizeof(request), 0) < 0 ||
	    recv(fd, &reply, sizeof(reply), 0) < (ssize_t)sizeof(reply))
		err(1, "flush in %s", args[0]);
	if (reply.header.nlmsg_type != NLMSG_ERROR || reply.result.error)
		errx(1, "flush in %s: %s", args[0], strerror(-reply.result.error));
	close(fd);
}

int main(int argc, char **argv)
{
	struct options options = {.count = 1, .size = 100};
	const char *verb = argc > 1 ? argv[1] : "";
	int option, left;

	if (argc > 1) {
		argc--;
		argv++;
	}
	while ((option = getopt(argc, argv, "+n:s:r:v:")) != -1) {
		switch (option) {
		case 'n':
			options.count = parse_number(optarg);
			break;
		case 's':
			options.size = parse_number(optarg);
			break;
		case 'r':
			options.replies = parse_number(optarg);
			break;
		case 'v':
			options.via = optarg;
			break;
		default:
			return 1;
		}
	}
	argv += optind;
	left = argc - optind;
	if (!strcmp(verb, "udp") && left == 4)
		run_udp(&options, argv);
	else if (!strcmp(verb, "tcp") && left == 4)
		run_tcp(&options, argv);
	else if (!strcmp(verb, "frames") && left >= 3)
		run_frames(&options, argv, left - 2);
	else if (!strcmp(verb, "offload") && left == 3)
		run_offload(argv);
	else if (!strcmp(verb, "flush") && left == 1)
		run_flush(argv);
	else
		errx(1, "usage: see the top of traffic.c");
	return 0;
}
