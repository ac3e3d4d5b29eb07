// SPDX-License-Identifier: GPL-2.0-only
/*
 * The conntrack monitor and the NAT table on the running kernel: a client, a router that translates
 * and a server, each in a network namespace that lives as long as the process that holds it.
 */
#include "netlink/conntrack.h"
#include "report/nat.h"
#include "tests/address.h"
#include "tests/prog/ctnetlink.h"
#include "tests/prog/skip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ENTRIES	      250000 /* of the measured table; every other one is translated */
#define ENTRIES_A_LOT 5000   /* overrun a small receive buffer */
#define PATIENCE_MS   5000

struct space {
	pid_t holder;
	int fd;
};

static struct space client, router, server;
static const struct client_ports ports = {32768, 65535};

static const char rules[] =
	"table inet flowtally_test {\n"
	"	chain raw {\n"
	"		type filter hook prerouting priority -300\n"
	"		iifname \"rc\" udp dport 7777 ct original zone set 7\n"
	"	}\n"
	"	chain pre {\n"
	"		type nat hook prerouting priority -100\n"
	"		iifname \"rc\" ip daddr 10.1.0.1 tcp dport 80 dnat ip to 10.2.0.2:8080\n"
	"	}\n"
	"	chain out {\n"
	"		type nat hook output priority -100\n"
	"		ip daddr 10.9.9.9 udp dport 99 dnat ip to 10.2.0.2:9000\n"
	"	}\n"
	"	chain post {\n"
	"		type nat hook postrouting priority 100\n"
	"		iifname \"rc\" oifname \"rs\" meta l4proto udp masquerade\n"
	"	}\n"
	"}\n";

static void enter(const struct space *space)
{
	assert_int_equal(setns(space->fd, CLONE_NEWNET), 0);
}

static void hold_space(int ready)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET) == 0 && write(ready, "", 1) == 1)
		for (;;)
			pause();
	_exit(1);
}

static bool space_new(struct space *space)
{
	char path[64], byte;
	int ready[2];
	bool ok;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	space->holder = fork();
	assert_true(space->holder >= 0);
	if (space->holder == 0)
		hold_space(ready[1]);
	close(ready[1]);
	ok = read(ready[0], &byte, 1) == 1;
	close(ready[0]);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)space->holder);
	space->fd = open(path, O_RDONLY | O_CLOEXEC);
	return ok && space->fd >= 0;
}

static void space_free(struct space *space)
{
	if (space->holder <= 0)
		return;
	close(space->fd);
	kill(space->holder, SIGKILL);
	waitpid(space->holder, NULL, 0);
}

__attribute__((format(printf, 2, 3))) static bool run(const struct space *space, const char *format,
						      ...)
{
	char command[512];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	enter(space);
	return system(command) == 0;
}

static bool load_rules(void)
{
	FILE *nft;

	enter(&router);
	nft = popen("nft -f -", "w");
	if (!nft)
		return false;
	fputs(rules, nft);
	return pclose(nft) == 0;
}

static bool set_up_network(void)
{
	return run(&router, "ip link add rc type veth peer name c0 netns %d", client.holder) &&
	       run(&router, "ip link add rs type veth peer name s0 netns %d", server.holder) &&
	       run(&router, "ip addr add 10.1.0.1/24 dev rc && ip addr add 10.2.0.1/24 dev rs") &&
	       run(&router, "ip addr add fd00:1::1/64 dev rc nodad && "
			    "ip addr add fd00:2::1/64 dev rs nodad") &&
	       run(&router, "ip link set lo up && ip link set rc up && ip link set rs up") &&
	       run(&router, "ip route add 10.9.9.0/24 dev rs") &&
	       run(&router, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1") &&
	       run(&client, "ip addr add 10.1.0.2/24 dev c0 && "
			    "ip addr add fd00:1::2/64 dev c0 nodad && ip link set c0 up") &&
	       run(&client, "ip route add default via 10.1.0.1 && "
			    "ip route add default via fd00:1::1") &&
	       run(&server, "ip addr add 10.2.0.2/24 dev s0 && "
			    "ip addr add fd00:2::2/64 dev s0 nodad && ip link set s0 up") &&
	       run(&server, "ip route add fd00:1::/64 via fd00:2::1 && "
			    "ip route add 10.1.0.0/24 via 10.2.0.1");
}

static const char *missing; /* why the tests cannot run here */

static int set_up(void **state)
{
	(void)state;
	if (!space_new(&client) || !space_new(&router) || !space_new(&server))
		missing = "no network namespaces (need root)";
	else if (!set_up_network())
		missing = "no veth devices or no ip command";
	else if (!load_rules())
		missing = "the kernel or nft cannot translate addresses";
	else if (conntrack_present() < 0)
		missing = conntrack_error(-ENOENT);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	space_free(&client);
	space_free(&router);
	space_free(&server);
	return 0;
}

/* What the monitor said, last things last; and the table that it feeds. */
struct watcher {
	struct conntrack *conntrack;
	struct nat_table *table;
	struct conntrack_entry last;
	unsigned int here, gone, begun, ended;
	void (*on_entry)(const struct conntrack_entry *entry);
};

static void on_entry(void *data, const struct conntrack_entry *entry)
{
	struct watcher *watcher = data;

	watcher->last = *entry;
	if (entry->gone)
		watcher->gone++;
	else
		watcher->here++;
	assert_int_equal(nat_table_update(watcher->table, entry), 0);
	if (watcher->on_entry)
		watcher->on_entry(entry);
}

static void on_dump_begin(void *data)
{
	struct watcher *watcher = data;

	watcher->begun++;
	nat_table_dump_begin(watcher->table);
}

static void on_dump_end(void *data, bool whole)
{
	struct watcher *watcher = data;

	watcher->ended++;
	nat_table_dump_end(watcher->table, whole);
}

static void watcher_init(struct watcher *watcher)
{
	struct conntrack_handlers handlers = {
		.entry = on_entry,
		.dump_begin = on_dump_begin,
		.dump_end = on_dump_end,
		.data = watcher,
	};

	memset(watcher, 0, sizeof(*watcher));
	assert_int_equal(nat_table_new(&watcher->table), 0);
	assert_int_equal(conntrack_new(&watcher->conntrack, &ports, &handlers), 0);
}

static void watcher_clean(struct watcher *watcher)
{
	conntrack_free(watcher->conntrack);
	nat_table_free(watcher->table);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Dispatches until *counter is at least that. */
static void await(struct watcher *watcher, const unsigned int *counter, unsigned int least)
{
	int64_t deadline = now_ms() + PATIENCE_MS;
	struct pollfd pollfd = {.fd = conntrack_fd(watcher->conntrack), .events = POLLIN};

	while (*counter < least && now_ms() < deadline) {
		poll(&pollfd, 1, 20);
		assert_int_equal(conntrack_dispatch(watcher->conntrack), 0);
	}
	assert_true(*counter >= least);
}

/* A queue is emptied for a while only, and the rest left for later, as the agent has it. */
static void dump_in_the_end(struct watcher *watcher)
{
	int64_t deadline = now_ms() + PATIENCE_MS;
	int err = conntrack_dump(watcher->conntrack);

	while (err == -EAGAIN && now_ms() < deadline)
		err = conntrack_dump(watcher->conntrack);
	assert_int_equal(err, 0);
}

static bool conntrack_is_readable(const struct watcher *watcher)
{
	struct pollfd pollfd = {.fd = conntrack_fd(watcher->conntrack), .events = POLLIN};

	return poll(&pollfd, 1, 0) == 1;
}

/* An endpoint, "10.1.0.2" or "fd00:1::2". */
static socklen_t endpoint(struct sockaddr_storage *storage, const char *addr, uint16_t port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)storage;

	memset(storage, 0, sizeof(*storage));
	if (inet_pton(AF_INET, addr, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return sizeof(*v4);
	}
	assert_int_equal(inet_pton(AF_INET6, addr, &v6->sin6_addr), 1);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	return sizeof(*v6);
}

static int bound_socket(const struct space *space, int type, const char *addr, uint16_t port)
{
	struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
	struct sockaddr_storage at;
	socklen_t size = endpoint(&at, addr, port);
	int fd, on = 1;

	enter(space);
	fd = socket(at.ss_family, type | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
	enter(&router);
	return fd;
}

static void connect_to(int fd, const char *addr, uint16_t port)
{
	struct sockaddr_storage to;
	socklen_t size = endpoint(&to, addr, port);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, size), 0);
}

/* One datagram there, one back. */
static void talk_udp(int from, int to)
{
	struct sockaddr_storage peer;
	socklen_t size = sizeof(peer);
	char byte;

	assert_int_equal(send(from, "?", 1, 0), 1);
	assert_int_equal(recvfrom(to, &byte, 1, 0, (struct sockaddr *)&peer, &size), 1);
	assert_int_equal(sendto(to, "!", 1, 0, (struct sockaddr *)&peer, size), 1);
	assert_int_equal(recv(from, &byte, 1, 0), 1);
}

/* An end of a conversation. */
struct end {
	const struct space *space;
	const char *addr;
	uint16_t port;
};

/* The same between two ends. asked: where the first one takes the other to be. */
static void converse(const struct end *client_end, const struct end *server_end,
		     const struct end *asked)
{
	int from = bound_socket(client_end->space, SOCK_DGRAM, client_end->addr, client_end->port);
	int to = bound_socket(server_end->space, SOCK_DGRAM, server_end->addr, server_end->port);

	connect_to(from, asked->addr, asked->port);
	talk_udp(from, to);
	close(from);
	close(to);
}

static void talk_udp_masqueraded(uint16_t port)
{
	const struct end from = {&client, "10.1.0.2", port}, to = {&server, "10.2.0.2", 9000};

	converse(&from, &to, &to);
}

static void assert_tuple(const struct conntrack_tuple *tuple, const char *source,
			 uint16_t source_port, const char *destination, uint16_t destination_port)
{
	assert_address(tuple->source, source);
	assert_address(tuple->destination, destination);
	assert_int_equal(ntohs(tuple->source_port), source_port);
	assert_int_equal(ntohs(tuple->destination_port), destination_port);
}

static struct flow_key key_between(const uint8_t a[16], __be16 a_port, const uint8_t b[16],
				   __be16 b_port, const struct conntrack_entry *entry)
{
	struct flow_key key = {.protocol = entry->protocol,
			       .family = entry->family == AF_INET ? FLOW_IPV4 : FLOW_IPV6};
	int order = memcmp(a, b, 16);
	int at = order > 0 || (order == 0 && memcmp(&a_port, &b_port, 2) > 0);

	memcpy(key.addr[at].bytes, a, 16);
	memcpy(key.addr[!at].bytes, b, 16);
	key.port[at] = a_port;
	key.port[!at] = b_port;
	return key;
}

/* The keys of both directions lead to the conversation under its original direction. */
static bool joins(const struct nat_table *table, const struct conntrack_entry *entry)
{
	const struct conntrack_tuple *tuple = &entry->original, *reply = &entry->reply;
	struct flow_key original = key_between(tuple->source, tuple->source_port,
					       tuple->destination, tuple->destination_port, entry);
	struct flow_key translated =
		key_between(reply->source, reply->source_port, reply->destination,
			    reply->destination_port, entry);
	struct nat_conversation found;

	if (!nat_table_find(table, &original, &found) ||
	    memcmp(&found.original, &original, sizeof(original)))
		return false;
	return nat_table_find(table, &translated, &found) &&
	       !memcmp(&found.original, &original, sizeof(original)) &&
	       !memcmp(found.original.addr[found.client].bytes, tuple->source, 16);
}

static void delete_all_entries(void)
{
	enter(&router);
	assert_int_equal(ctnetlink_delete_all(), 0);
}

/* Begins a test at the router, or skips it. */
static void watch_router(struct watcher *watcher)
{
	skip_if(missing);
	enter(&router);
	watcher_init(watcher);
}

static void stop_watching(struct watcher *watcher)
{
	watcher_clean(watcher);
	delete_all_entries();
}

static void create_entries(uint32_t count, bool all_translated)
{
	const struct ctnetlink_crowd crowd = {.count = count,
					      .from_port = CTNETLINK_FROM_PORT,
					      .to_port = CTNETLINK_PORT,
					      .translated = all_translated ? 1 : 2};

	enter(&router);
	assert_int_equal(ctnetlink_create(&crowd), 0);
}

static long read_sysctl(const char *name)
{
	char path[128], text[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/net/netfilter/%s", name);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	return atol(text);
}

static void test_does_not_start_tracking(void **state)
{
	struct watcher watcher;
	int from, to;

	(void)state;
	skip_if(missing);
	enter(&client);
	watcher_init(&watcher);
	assert_int_equal(conntrack_dump(watcher.conntrack), 0);
	from = bound_socket(&client, SOCK_DGRAM, "10.1.0.2", 3000);
	to = bound_socket(&client, SOCK_DGRAM, "10.1.0.2", 3001);
	run(&client, "ip link set lo up");
	connect_to(from, "10.1.0.2", 3001);
	talk_udp(from, to);
	close(from);
	close(to);
	enter(&client);
	assert_int_equal(conntrack_dispatch(watcher.conntrack), 0);
	assert_int_equal(read_sysctl("nf_conntrack_count"), 0);
	assert_int_equal(watcher.here, 0);
	watcher_clean(&watcher);
}

static void test_udp_masqueraded(void **state)
{
	struct watcher watcher, later;

	(void)state;
	watch_router(&watcher);
	talk_udp_masqueraded(4000);
	await(&watcher, &watcher.here, 1);
	assert_int_equal(watcher.here, 1);
	assert_true(watcher.last.status & IPS_SRC_NAT);
	assert_int_equal(watcher.last.protocol, IPPROTO_UDP);
	assert_tuple(&watcher.last.original, "10.1.0.2", 4000, "10.2.0.2", 9000);
	assert_tuple(&watcher.last.reply, "10.2.0.2", 9000, "10.2.0.1", 4000);
	assert_true(joins(watcher.table, &watcher.last));

	/* one who came later learns the same from a dump */
	watcher_init(&later);
	assert_int_equal(conntrack_dump(later.conntrack), 0);
	assert_int_equal(later.here, 1);
	assert_int_equal(later.begun, 1);
	assert_int_equal(later.ended, 1);
	assert_memory_equal(&later.last.original, &watcher.last.original,
			    sizeof(later.last.original));
	assert_memory_equal(&later.last.reply, &watcher.last.reply, sizeof(later.last.reply));
	assert_int_equal(later.last.id, watcher.last.id);
	assert_true(joins(later.table, &watcher.last));
	watcher_clean(&later);
	stop_watching(&watcher);
}

static void test_udp_masqueraded_v6(void **state)
{
	const struct end from = {&client, "fd00:1::2", 4000}, to = {&server, "fd00:2::2", 9000};
	struct watcher watcher;

	(void)state;
	watch_router(&watcher);
	converse(&from, &to, &to);
	await(&watcher, &watcher.here, 1);
	assert_int_equal(watcher.last.family, AF_INET6);
	assert_tuple(&watcher.last.original, "fd00:1::2", 4000, "fd00:2::2", 9000);
	assert_tuple(&watcher.last.reply, "fd00:2::2", 9000, "fd00:2::1", 4000);
	assert_true(joins(watcher.table, &watcher.last));
	stop_watching(&watcher);
}

static void test_tcp_dnat(void **state)
{
	struct watcher watcher;
	int from, to, accepted;
	char byte;

	(void)state;
	watch_router(&watcher);
	from = bound_socket(&client, SOCK_STREAM, "10.1.0.2", 4001);
	to = bound_socket(&server, SOCK_STREAM, "10.2.0.2", 8080);
	assert_int_equal(listen(to, 1), 0);
	connect_to(from, "10.1.0.1", 80);
	accepted = accept(to, NULL, NULL);
	assert_true(accepted >= 0);
	assert_int_equal(send(from, "?", 1, 0), 1);
	assert_int_equal(recv(accepted, &byte, 1, 0), 1);
	close(from);
	close(accepted);
	close(to);

	await(&watcher, &watcher.here, 1);
	assert_true(watcher.last.status & IPS_DST_NAT);
	assert_int_equal(watcher.last.protocol, IPPROTO_TCP);
	assert_tuple(&watcher.last.original, "10.1.0.2", 4001, "10.1.0.1", 80);
	assert_tuple(&watcher.last.reply, "10.2.0.2", 8080, "10.1.0.2", 4001);
	assert_true(joins(watcher.table, &watcher.last));

	/* the second question of a dump: translated at the destination only */
	watcher.here = 0;
	assert_int_equal(conntrack_dump(watcher.conntrack), 0);
	assert_int_equal(watcher.here, 1);
	stop_watching(&watcher);
}

/* The router's own conversation: the server never sees the address that was asked for. */
static void test_dnat_of_own(void **state)
{
	const struct end from = {&router, "10.2.0.1", 4002}, to = {&server, "10.2.0.2", 9000};
	const struct end asked = {.addr = "10.9.9.9", .port = 99};
	struct watcher watcher;

	(void)state;
	watch_router(&watcher);
	converse(&from, &to, &asked);
	await(&watcher, &watcher.here, 1);
	assert_tuple(&watcher.last.original, "10.2.0.1", 4002, "10.9.9.9", 99);
	assert_tuple(&watcher.last.reply, "10.2.0.2", 9000, "10.2.0.1", 4002);
	assert_true(joins(watcher.table, &watcher.last));
	stop_watching(&watcher);
}

static void test_zone(void **state)
{
	const struct end from = {&client, "10.1.0.2", 4003}, to = {&server, "10.2.0.2", 7777};
	struct watcher watcher;

	(void)state;
	watch_router(&watcher);
	converse(&from, &to, &to);
	await(&watcher, &watcher.here, 1);
	assert_int_equal(watcher.last.zone[0], 7);
	assert_int_equal(watcher.last.zone[1], 0);
	assert_true(joins(watcher.table, &watcher.last));
	stop_watching(&watcher);
}

/* Tracked, but not translated, and the ports tell the client: the kernel keeps them from the
 * socket. */
static void test_untranslated_stay_out(void **state)
{
	const struct end from = {&client, "10.1.0.2", 40004}, to = {&router, "10.1.0.1", 9000};
	struct watcher watcher;
	char byte;

	(void)state;
	watch_router(&watcher);
	converse(&from, &to, &to);
	assert_true(read_sysctl("nf_conntrack_count") > 0);
	delete_all_entries();
	assert_int_equal(recv(conntrack_fd(watcher.conntrack), &byte, 1, MSG_DONTWAIT | MSG_PEEK),
			 -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(conntrack_dump(watcher.conntrack), 0);
	assert_int_equal(watcher.here + watcher.gone, 0);
	watcher_clean(&watcher);
}

/* Events and dumps pass the same ones. */
static void test_ports_that_do_not_tell(void **state)
{
	static const struct {
		uint16_t from, to;
		bool passes;
	} cases[] = {
		{40000, 443, false},  {32768, 32767, false}, {65535, 1, false},
		{700, 50000, true},   {32767, 32768, true},  {1, 65535, true},
		{40000, 50000, true}, {65535, 32768, true},  {700, 443, true},
		{32767, 1, true},
	};

	(void)state;
	skip_if(missing);
	enter(&router);
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		uint16_t from = cases[i / 2].from, to = cases[i / 2].to;
		unsigned int passes = cases[i / 2].passes;
		struct watcher watcher, later;

		watcher_init(&watcher);
		assert_int_equal(ctnetlink_create_plain(i % 2 ? IPPROTO_TCP : IPPROTO_UDP, from,
							to),
				 0);
		watcher_init(&later);
		assert_int_equal(conntrack_dump(later.conntrack), 0);
		assert_int_equal(later.here, passes);
		watcher_clean(&later);
		delete_all_entries();
		while (conntrack_is_readable(&watcher))
			assert_int_equal(conntrack_dispatch(watcher.conntrack), 0);
		assert_int_equal(watcher.here, passes);
		assert_int_equal(watcher.gone, passes);
		if (passes) {
			assert_int_equal(ntohs(watcher.last.original.source_port), from);
			assert_int_equal(ntohs(watcher.last.original.destination_port), to);
		}
		watcher_clean(&watcher);
	}
}

/* By IPVS: the reply says that it is translated, the status does not. */
static void test_translated_unmarked(void **state)
{
	static const struct {
		struct ctnetlink_altered entry;
		unsigned int passes;
	} cases[] = {
		{{"10.1.0.2", "10.9.0.1", "10.9.0.1", "10.1.0.2", 443, 443}, 0},
		{{"10.1.0.2", "10.9.0.1", "10.2.0.2", "10.1.0.2", 443, 443}, 1},
		{{"10.1.0.2", "10.9.0.1", "10.9.0.1", "10.1.0.2", 443, 8443}, 1},
		{{"10.2.0.2", "10.1.0.2", "10.1.0.2", "10.9.0.1", 443, 443}, 1},
		{{"fd00:1::2", "fd00:9::1", "fd00:9::1", "fd00:1::2", 443, 443}, 0},
		{{"fd00:1::2", "fd00:9::1", "fd00:2::1", "fd00:1::2", 443, 443}, 1},
		{{"fd00:1::2", "fd00:9::1", "fd00:9::2", "fd00:1::2", 443, 443}, 1},
		{{"fd00:1::2", "fd00:9::1", "fd00:9::1", "fd00:1::2", 443, 8443}, 1},
		{{"fd00:2::2", "fd00:1::2", "fd00:1::2", "fd00:9::1", 443, 443}, 1},
	};

	(void)state;
	skip_if(missing);
	enter(&router);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned int passes = cases[i].passes;
		struct watcher watcher, later;

		watcher_init(&watcher);
		assert_int_equal(ctnetlink_create_altered(&cases[i].entry, 40000), 0);
		watcher_init(&later);
		assert_int_equal(conntrack_dump(later.conntrack), 0);
		assert_int_equal(later.here, passes);
		/* a dump of what the status says is translated does not have it */
		assert_int_equal(conntrack_dump(later.conntrack), 0);
		assert_int_equal(nat_table_count(later.table), passes);
		while (conntrack_is_readable(&watcher))
			assert_int_equal(conntrack_dispatch(watcher.conntrack), 0);
		assert_int_equal(watcher.here, passes);
		if (passes) {
			assert_int_equal(watcher.last.status & IPS_NAT_MASK, 0);
			assert_true(joins(watcher.table, &watcher.last));
			nat_table_next_interval(later.table);
			nat_table_next_interval(later.table);
			assert_true(joins(later.table, &watcher.last));
		}
		delete_all_entries();
		while (conntrack_is_readable(&watcher))
			assert_int_equal(conntrack_dispatch(watcher.conntrack), 0);
		assert_int_equal(watcher.gone, passes);
		watcher_clean(&later);
		watcher_clean(&watcher);
	}
}

/* Which end of the key the table has for the client: the source, if it is right. */
static bool knows_client(const struct nat_table *table, const struct conntrack_entry *entry)
{
	const struct conntrack_tuple *tuple = &entry->original;
	struct flow_key key = key_between(tuple->source, tuple->source_port, tuple->destination,
					  tuple->destination_port, entry);
	struct nat_conversation found;
	int end = nat_table_client(table, &key);

	assert_false(nat_table_find(table, &key, &found));
	return end >= 0 && !memcmp(key.addr[end].bytes, tuple->source, 16) &&
	       key.port[end] == tuple->source_port;
}

/* From a low port to one that the ports' rule would take for a client's. */
static void test_client_of_untranslated(void **state)
{
	const struct end from = {&client, "fd00:1::2", 700}, to = {&router, "fd00:1::1", 50001};
	struct watcher watcher, later;

	(void)state;
	watch_router(&watcher);
	converse(&from, &to, &to);
	await(&watcher, &watcher.here, 1);
	assert_int_equal(watcher.last.status & IPS_NAT_MASK, 0);
	assert_tuple(&watcher.last.original, "fd00:1::2", 700, "fd00:1::1", 50001);
	assert_true(knows_client(watcher.table, &watcher.last));
	assert_int_equal(nat_table_count(watcher.table), 0);

	/* one who came later learns it from its first dump, and keeps it when only the translated
	 * ones are read */
	watcher_init(&later);
	assert_int_equal(conntrack_dump(later.conntrack), 0);
	assert_int_equal(conntrack_dump(later.conntrack), 0);
	assert_int_equal(later.ended, 2);
	/* kernels before 5.15 tell all of them each time */
	assert_true(later.here >= 1 && later.here <= 3);
	for (int i = 0; i < 2; i++) {
		nat_table_next_interval(later.table);
		assert_true(knows_client(later.table, &watcher.last));
	}
	delete_all_entries();
	await(&later, &later.gone, 1);
	nat_table_next_interval(later.table);
	assert_true(knows_client(later.table, &watcher.last));
	nat_table_next_interval(later.table);
	assert_false(knows_client(later.table, &watcher.last));
	watcher_clean(&later);
	watcher_clean(&watcher);
}

static void test_client_of_pings(void **state)
{
	struct watcher watcher;

	(void)state;
	watch_router(&watcher);
	assert_true(run(&client, "ping -q -c 1 10.1.0.1 >/dev/null"));
	assert_true(run(&client, "ping -q -c 1 10.1.0.1 >/dev/null"));
	enter(&router);
	await(&watcher, &watcher.here, 2);
	assert_int_equal(watcher.last.protocol, IPPROTO_ICMP);
	assert_true(knows_client(watcher.table, &watcher.last));
	assert_int_equal(nat_table_plain(watcher.table), 1);
	stop_watching(&watcher);
}

static void test_short_lived(void **state)
{
	struct conntrack_entry entry;
	struct watcher watcher;

	(void)state;
	watch_router(&watcher);
	if (!conntrack_has_events()) {
		watcher_clean(&watcher);
		skip_because("the kernel does not tell of conntrack entries that come and go");
	}
	talk_udp_masqueraded(4005);
	delete_all_entries();
	/* as a report does: all that has come, then a dump, which has nothing of it any more */
	assert_int_equal(conntrack_catch_up(watcher.conntrack), 0);
	assert_int_equal(watcher.ended, 1);
	assert_int_equal(watcher.here, 1);
	assert_int_equal(watcher.gone, 1);
	entry = watcher.last;
	assert_true(joins(watcher.table, &entry));
	nat_table_next_interval(watcher.table);
	assert_true(joins(watcher.table, &entry));
	nat_table_next_interval(watcher.table);
	assert_false(joins(watcher.table, &entry));
	watcher_clean(&watcher);
}

/* Entries from before us: with nf_conntrack_events = 2 the kernel does not tell when they go. */
static void test_dump_finds_the_gone(void **state)
{
	struct watcher watcher;

	(void)state;
	skip_if(missing);
	talk_udp_masqueraded(4006);
	enter(&router);
	watcher_init(&watcher);
	assert_int_equal(conntrack_dump(watcher.conntrack), 0);
	assert_int_equal(nat_table_count(watcher.table), 1);
	delete_all_entries();
	assert_int_equal(conntrack_dump(watcher.conntrack), 0);
	nat_table_next_interval(watcher.table);
	nat_table_next_interval(watcher.table);
	assert_int_equal(nat_table_count(watcher.table), 0);
	watcher_clean(&watcher);
}

static void test_overrun(void **state)
{
	struct watcher watcher;
	int small = 1;

	(void)state;
	watch_router(&watcher);
	assert_int_equal(conntrack_dump(watcher.conntrack), 0);
	assert_int_equal(setsockopt(conntrack_fd(watcher.conntrack), SOL_SOCKET, SO_RCVBUFFORCE,
				    &small, sizeof(small)),
			 0);
	create_entries(ENTRIES_A_LOT, true);
	await(&watcher, &watcher.ended, 2);
	assert_true(conntrack_overruns(watcher.conntrack) >= 1);
	assert_int_equal(nat_table_count(watcher.table), ENTRIES_A_LOT);
	assert_true(joins(watcher.table, &watcher.last));
	stop_watching(&watcher);
}

/* What comes goes, and what goes comes again. */
static void change_again(const struct conntrack_entry *entry)
{
	if (entry->gone)
		create_entries(1, true);
	else
		delete_all_entries();
}

/* The queue that is to be empty before a dump is filled as fast as it is read. */
static void test_queue_that_is_never_empty(void **state)
{
	struct watcher watcher;

	(void)state;
	skip_if(missing);
	enter(&router);
	delete_all_entries();
	watcher_init(&watcher);
	watcher.on_entry = change_again;
	create_entries(1, true);
	alarm(60); /* for ever would be longer */
	assert_int_equal(conntrack_dump(watcher.conntrack), -EAGAIN);
	alarm(0);
	assert_int_equal(watcher.begun, 0);
	/* its owner is not told of it as an error */
	assert_int_equal(conntrack_dispatch(watcher.conntrack), 0);

	watcher.on_entry = NULL;
	assert_int_equal(conntrack_dump(watcher.conntrack), 0);
	assert_int_equal(watcher.ended, 1);
	stop_watching(&watcher);
}

static void test_without_privilege(void **state)
{
	struct conntrack_handlers none = {0};
	struct conntrack *conntrack = NULL;
	int status;
	pid_t child;

	(void)state;
	skip_if(missing);
	enter(&router);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (setresuid(65534, 65534, 65534) < 0)
			_exit(1);
		_exit(conntrack_new(&conntrack, &ports, &none) == -EPERM && !conntrack ? 0 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static double cpu_ms(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

static void count_entry(void *data, const struct conntrack_entry *entry)
{
	(void)entry;
	++*(unsigned int *)data;
}

static void do_nothing(void *data)
{
	(void)data;
}

static void end_nothing(void *data, bool whole)
{
	(void)data;
	(void)whole;
}

static double measure_bare_dump(unsigned int *count)
{
	struct conntrack_handlers handlers = {.entry = count_entry,
					      .dump_begin = do_nothing,
					      .dump_end = end_nothing,
					      .data = count};
	struct conntrack *conntrack;
	double begin;

	assert_int_equal(conntrack_new(&conntrack, &ports, &handlers), 0);
	begin = cpu_ms();
	assert_int_equal(conntrack_dump(conntrack), 0);
	conntrack_free(conntrack);
	return cpu_ms() - begin;
}

static double measure_finds(const struct nat_table *table, uint32_t count)
{
	struct flow_key key = {.protocol = IPPROTO_UDP, .family = FLOW_IPV4};
	double begin = cpu_ms();
	struct nat_conversation found;
	uint32_t addr[2] = {0, htonl(0xc6336407)};
	uint32_t hits = 0;

	for (int i = 0; i < 2; i++)
		key.addr[i].bytes[10] = key.addr[i].bytes[11] = 0xff;
	key.port[0] = htons(CTNETLINK_FROM_PORT);
	key.port[1] = htons(CTNETLINK_PORT);
	for (uint32_t number = 0; number < count; number++) {
		addr[0] = htonl(0x0a800000 + number);
		memcpy(key.addr[0].bytes + 12, &addr[0], 4);
		memcpy(key.addr[1].bytes + 12, &addr[1], 4);
		hits += nat_table_find(table, &key, &found);
	}
	assert_int_equal(hits, count / 2);
	return cpu_ms() - begin;
}

static long resident_kib(void)
{
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*d %ld", &pages), 1);
	fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void test_large_table(void **state)
{
	uint32_t count = ENTRIES;
	unsigned int translated = 0;
	struct watcher watcher;
	double begin, first, again, next;
	unsigned int dumps;
	long before, resident, max;

	(void)state;
	skip_if(missing);
	enter(&router);
	max = read_sysctl("nf_conntrack_max");
	if (max < ENTRIES + 1000) {
		count = (max - max / 10) & ~1;
		print_message("only %u entries: nf_conntrack_max is %ld\n", count, max);
	}
	create_entries(count, false);

	print_message("%u entries, %u translated; dump alone: %.0f ms CPU\n", count, count / 2,
		      measure_bare_dump(&translated));
	assert_int_equal(translated, count / 2);
	watcher_init(&watcher);
	before = resident_kib();
	begin = cpu_ms();
	assert_int_equal(conntrack_dump(watcher.conntrack), 0);
	first = cpu_ms() - begin;
	resident = resident_kib() - before;
	assert_int_equal(nat_table_count(watcher.table), count / 2);
	begin = cpu_ms();
	assert_int_equal(conntrack_dump(watcher.conntrack), 0);
	again = cpu_ms() - begin;
	/* reports in quick succession do not dump each time */
	dumps = watcher.begun;
	for (int i = 0; i < 10; i++)
		assert_int_equal(conntrack_catch_up(watcher.conntrack), 0);
	assert_int_equal(watcher.begun, dumps);
	begin = cpu_ms();
	nat_table_next_interval(watcher.table);
	next = cpu_ms() - begin;
	print_message("dump into an empty table: %.0f ms CPU, %ld KiB; again: %.0f ms; "
		      "%u finds: %.0f ms; next interval: %.1f ms\n",
		      first, resident, again, count, measure_finds(watcher.table, count), next);
	assert_int_equal(conntrack_overruns(watcher.conntrack), 0);
	delete_all_entries();
	dump_in_the_end(&watcher);
	nat_table_next_interval(watcher.table);
	nat_table_next_interval(watcher.table);
	assert_int_equal(nat_table_count(watcher.table), 0);
	print_message("after all have left: %ld KiB\n", resident_kib() - before);
	watcher_clean(&watcher);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_does_not_start_tracking),
		cmocka_unit_test(test_udp_masqueraded),
		cmocka_unit_test(test_udp_masqueraded_v6),
		cmocka_unit_test(test_tcp_dnat),
		cmocka_unit_test(test_dnat_of_own),
		cmocka_unit_test(test_zone),
		cmocka_unit_test(test_untranslated_stay_out),
		cmocka_unit_test(test_ports_that_do_not_tell),
		cmocka_unit_test(test_translated_unmarked),
		cmocka_unit_test(test_client_of_untranslated),
		cmocka_unit_test(test_client_of_pings),
		cmocka_unit_test(test_short_lived),
		cmocka_unit_test(test_dump_finds_the_gone),
		cmocka_unit_test(test_overrun),
		cmocka_unit_test(test_queue_that_is_never_empty),
		cmocka_unit_test(test_without_privilege),
		cmocka_unit_test(test_large_table),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
