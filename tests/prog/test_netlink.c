// SPDX-License-Identifier: GPL-2.0-only
/* The RTNETLINK monitor and tc against the running kernel, in network namespaces of their own. */
#include "lib/array.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "netlink/addr.h"
#include "netlink/link.h"
#include "netlink/rtnl.h"
#include "netlink/socket.h"
#include "netlink/tc.h"
#include "netlink/wireguard.h"
#include "tests/prog/skip.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_NS (20 * NSEC_PER_SEC)
#define MANY	    400
#define MAX_IFINDEX 8192
#define MAX_ADDRS   4096

/* What an owner would know of links and addresses, kept as the handlers tell. */
struct seen_link {
	struct link link; /* altnames copied */
	bool mentioned;	  /* since dump_begin */
};

struct seen_addr {
	struct addr addr;
	bool mentioned;
};

struct view {
	struct rtnl *rtnl;
	struct seen_link links[MAX_IFINDEX]; /* by ifindex; ifindex 0: there is none */
	struct seen_addr addrs[MAX_ADDRS];
	unsigned int addr_count;
	unsigned int begins, ends;
	unsigned int told; /* calls of the link handler */
	unsigned int gone; /* links that went */
	void (*on_begin)(struct view *view);
	void (*on_link)(struct view *view, const struct link *link);
};

static void forget_link(struct view *view, uint32_t ifindex)
{
	link_clean(&view->links[ifindex].link);
	memset(&view->links[ifindex], 0, sizeof(view->links[ifindex]));
}

/* How often no memory will be found: for a message, or by the owner. */
static unsigned int parse_failures, handler_failures;

static int fails_now(unsigned int *failures)
{
	if (!*failures)
		return 0;
	--*failures;
	return -ENOMEM;
}

static int on_link(void *data, const struct link *link)
{
	struct view *view = data;
	struct seen_link *seen;

	assert_true(link->ifindex >= 1 && link->ifindex <= MAX_IFINDEX - 1);
	seen = &view->links[link->ifindex];
	view->told++;
	if (link->gone) {
		view->gone++;
		forget_link(view, link->ifindex);
	} else {
		forget_link(view, link->ifindex);
		seen->link = *link;
		seen->link.altnames = calloc(link->altname_count + 1, LINK_ALTNAME_SIZE);
		assert_non_null(seen->link.altnames);
		if (link->altname_count)
			memcpy(seen->link.altnames, link->altnames,
			       link->altname_count * LINK_ALTNAME_SIZE);
		seen->mentioned = true;
	}
	if (view->on_link)
		view->on_link(view, link);
	return fails_now(&handler_failures);
}

static struct seen_addr *find_addr(struct view *view, uint32_t ifindex, const uint8_t local[16])
{
	unsigned int i;

	for (i = 0; i < view->addr_count; i++)
		if (view->addrs[i].addr.ifindex == ifindex &&
		    memcmp(view->addrs[i].addr.local, local, 16) == 0)
			return &view->addrs[i];
	return NULL;
}

static int on_addr(void *data, const struct addr *addr)
{
	struct view *view = data;
	struct seen_addr *seen = find_addr(view, addr->ifindex, addr->local);

	if (addr->gone) {
		if (seen)
			*seen = view->addrs[--view->addr_count];
		return 0;
	}
	if (!seen) {
		assert_true(view->addr_count < MAX_ADDRS);
		seen = &view->addrs[view->addr_count++];
	}
	*seen = (struct seen_addr){.addr = *addr, .mentioned = true};
	return fails_now(&handler_failures);
}

static void on_dump_begin(void *data)
{
	struct view *view = data;
	unsigned int i;

	for (i = 0; i < MAX_IFINDEX; i++)
		view->links[i].mentioned = false;
	for (i = 0; i < view->addr_count; i++)
		view->addrs[i].mentioned = false;
	view->begins++;
	if (view->on_begin)
		view->on_begin(view);
}

static void on_dump_end(void *data)
{
	struct view *view = data;
	unsigned int i;

	for (i = 0; i < MAX_IFINDEX; i++)
		if (!view->links[i].mentioned)
			forget_link(view, i);
	for (i = view->addr_count; i-- > 0;)
		if (!view->addrs[i].mentioned)
			view->addrs[i] = view->addrs[--view->addr_count];
	view->ends++;
}

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void run(const char *format, ...)
{
	char command[512];
	va_list args;
	int status;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	status = system(command);
	if (status != 0)
		fail_msg("'%s' ended with status %d", command, status);
}

/* ip -batch, many lines in the time of one. */
static FILE *batch_begin(void)
{
	FILE *batch = popen("ip -batch -", "w");

	assert_non_null(batch);
	return batch;
}

static void batch_end(FILE *batch)
{
	assert_int_equal(pclose(batch), 0);
}

static struct view *view_new(void)
{
	struct view *view = calloc(1, sizeof(*view));
	const struct rtnl_handlers handlers = {
		.link = on_link,
		.addr = on_addr,
		.dump_begin = on_dump_begin,
		.dump_end = on_dump_end,
		.data = view,
	};

	assert_non_null(view);
	assert_int_equal(rtnl_new(&view->rtnl, &handlers), 0);
	return view;
}

static void view_free(struct view *view)
{
	unsigned int i;

	for (i = 0; i < MAX_IFINDEX; i++)
		forget_link(view, i);
	rtnl_free(view->rtnl);
	free(view);
}

static int set_up_namespace(void **state)
{
	*state = NULL;
	return geteuid() == 0 ? unshare(CLONE_NEWNET) : 0;
}

static int set_up_view(void **state)
{
	if (set_up_namespace(state) < 0)
		return -1;
	if (geteuid() == 0)
		*state = view_new();
	return 0;
}

static int tear_down_view(void **state)
{
	if (*state)
		view_free(*state);
	return 0;
}

static const struct link *by_name(const struct view *view, const char *name)
{
	unsigned int i;

	for (i = 1; i < MAX_IFINDEX; i++)
		if (strcmp(view->links[i].link.name, name) == 0)
			return &view->links[i].link;
	return NULL;
}

static bool has_altname(const struct link *link, const char *altname)
{
	unsigned int i;

	for (i = 0; i < link->altname_count; i++)
		if (strcmp(link->altnames[i], altname) == 0)
			return true;
	return false;
}

/* Dispatches whatever has come by now. */
static void dispatch_all(struct view *view)
{
	struct pollfd pollfd = {.fd = rtnl_fd(view->rtnl), .events = POLLIN};

	while (poll(&pollfd, 1, 0) > 0)
		assert_int_equal(rtnl_dispatch(view->rtnl), 0);
}

/* Dispatches until the condition holds, or fails. */
#define wait_for(view, condition)                                                        \
	do {                                                                             \
		int64_t deadline_ = clock_boottime_ns() + DEADLINE_NS;                   \
		struct pollfd pollfd_ = {.fd = rtnl_fd((view)->rtnl), .events = POLLIN}; \
                                                                                         \
		while (!(condition)) {                                                   \
			if (clock_boottime_ns() > deadline_)                             \
				fail_msg("never happened: %s", #condition);              \
			if (poll(&pollfd_, 1, 100) > 0)                                  \
				assert_int_equal(rtnl_dispatch((view)->rtnl), 0);        \
		}                                                                        \
	} while (0)

/* Whether the view is what the kernel says now: indices and names, no link more or less. */
static bool view_is_true(const struct view *view)
{
	struct if_nameindex *names = if_nameindex(), *name;
	unsigned int i, seen = 0, there = 0;
	bool same = true;

	assert_non_null(names);
	for (name = names; name->if_index; name++, there++)
		if (strcmp(view->links[name->if_index].link.name, name->if_name) != 0)
			same = false;
	for (i = 1; i < MAX_IFINDEX; i++)
		seen += view->links[i].link.ifindex != 0;
	if_freenameindex(names);
	return same && seen == there;
}

static bool has_addr(struct view *view, const char *name, const char *text)
{
	uint8_t local[16];

	assert_int_equal(inet_pton(AF_INET6, text, local), 1);
	return find_addr(view, if_nametoindex(name), local) != NULL;
}

/* Modules of tunnels put devices of their own into every new namespace. */
static int links_here(void)
{
	struct if_nameindex *links = if_nameindex();
	int count = 0;

	assert_non_null(links);
	while (links[count].if_index)
		count++;
	if_freenameindex(links);
	return count;
}

static void test_dump_tells_what_is_there(void **state)
{
	struct view *view = *state;
	const struct link *lo, *v0, *v1, *br;

	skip_unless_root();
	run("ip link add name v0 type veth peer name v1");
	run("ip link add name bridge0 type bridge");
	run("ip link set v0 master bridge0");
	run("ip link set lo up");
	/* a monitor that was not there when all this happened */
	view_free(view);
	*state = view = view_new();
	assert_int_equal(view->told, 0);
	assert_int_equal(rtnl_dump(view->rtnl), 0);
	assert_int_equal(view->begins, 1);
	assert_int_equal(view->ends, 1);
	assert_int_equal(view->told, links_here());
	assert_true(view_is_true(view));

	lo = by_name(view, "lo");
	v0 = by_name(view, "v0");
	v1 = by_name(view, "v1");
	br = by_name(view, "bridge0");
	assert_string_equal(link_kind(lo), "loopback");
	assert_string_equal(link_kind(v0), "veth");
	assert_string_equal(link_kind(br), "bridge");
	assert_int_equal(v0->lower, v1->ifindex);
	assert_int_equal(v1->lower, v0->ifindex);
	assert_false(v0->lower_in_other_netns);
	assert_int_equal(v0->master, br->ifindex);
	assert_int_equal(v1->master, 0);
	assert_true(v0->has_stats);
	assert_true(has_addr(view, "lo", "::ffff:127.0.0.1"));
	assert_true(has_addr(view, "lo", "::1"));
}

static void test_the_socket(void **state)
{
	struct view *view = *state;
	socklen_t length = sizeof(int);
	int size;

	skip_unless_root();
	assert_true(fcntl(rtnl_fd(view->rtnl), F_GETFD) & FD_CLOEXEC);
	assert_int_equal(getsockopt(rtnl_fd(view->rtnl), SOL_SOCKET, SO_RCVBUF, &size, &length), 0);
	assert_true(size >= 16 << 20);
	/* nothing to read: returns at once */
	assert_int_equal(rtnl_dispatch(view->rtnl), 0);
	assert_int_equal(view->told, 0);
}

static void test_links_come_change_and_go(void **state)
{
	struct view *view = *state;
	uint32_t ifindex;

	skip_unless_root();
	assert_int_equal(rtnl_dump(view->rtnl), 0);
	run("ip link add name v0 type veth peer name v1");
	wait_for(view, by_name(view, "v0") && by_name(view, "v1"));
	wait_for(view, by_name(view, "v0")->lower == by_name(view, "v1")->ifindex);
	/* the kernel tells of the second end before it has put the two together, and again when it
	 * goes up */
	run("ip link set v1 up");
	wait_for(view, by_name(view, "v1")->lower == by_name(view, "v0")->ifindex);
	assert_string_equal(by_name(view, "v0")->kind, "veth");
	assert_false(by_name(view, "v0")->flags & IFF_UP);
	ifindex = by_name(view, "v0")->ifindex;

	/* kernels before 6.2 do not rename a link that is up */
	run("ip link set v0 name renamed");
	wait_for(view, by_name(view, "renamed"));
	assert_null(by_name(view, "v0"));
	assert_int_equal(by_name(view, "renamed")->ifindex, ifindex);

	run("ip link set renamed up");
	wait_for(view, by_name(view, "renamed")->flags & IFF_UP);

	run("ip link property add dev renamed altname one altname a-name-longer-than-fifteen");
	wait_for(view, by_name(view, "renamed")->altname_count == 2);
	assert_true(has_altname(by_name(view, "renamed"), "one"));
	assert_true(has_altname(by_name(view, "renamed"), "a-name-longer-than-fifteen"));
	run("ip link property del dev renamed altname one");
	wait_for(view, by_name(view, "renamed")->altname_count == 1);
	assert_false(has_altname(by_name(view, "renamed"), "one"));

	run("ip link set renamed down");
	wait_for(view, !(by_name(view, "renamed")->flags & IFF_UP));
	run("ip link set renamed name \"$(printf '\\377\\042x')\"");
	wait_for(view, by_name(view, "\xff\"x"));

	assert_int_equal(view->gone, 0);
	run("ip link del v1");
	wait_for(view, view->gone == 2);
	assert_true(view_is_true(view));
	assert_int_equal(rtnl_overruns(view->rtnl), 0);
	assert_int_equal(view->begins, 1);
}

static void test_a_port_leaving_its_bridge_stays_a_link(void **state)
{
	struct view *view = *state;

	skip_unless_root();
	run("ip link add name bridge0 type bridge");
	run("ip link add name v0 type veth peer name v1");
	run("ip link set v0 master bridge0 up");
	run("ip link set bridge0 up");
	wait_for(view, by_name(view, "v0") && by_name(view, "v0")->master);
	assert_int_equal(by_name(view, "v0")->master, by_name(view, "bridge0")->ifindex);

	run("ip link set v0 nomaster");
	wait_for(view, !by_name(view, "v0")->master);
	dispatch_all(view);
	assert_int_equal(view->gone, 0);
	assert_non_null(by_name(view, "v0"));

	run("ip link set v0 master bridge0");
	wait_for(view, by_name(view, "v0")->master);
	run("ip link del bridge0");
	wait_for(view, view->gone == 1);
	wait_for(view, !by_name(view, "v0")->master);
	dispatch_all(view);
	assert_int_equal(view->gone, 1);
}

/* A process in a network namespace of its own, which lives until the descriptor is closed. */
static pid_t start_elsewhere(int *ret)
{
	int stay[2], ready[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe(stay), 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(stay[1]);
		if (unshare(CLONE_NEWNET) < 0 || write(ready[1], &byte, 1) != 1)
			_exit(1);
		_exit(read(stay[0], &byte, 1) == 0 ? 0 : 1);
	}
	close(stay[0]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*ret = stay[1];
	return pid;
}

static void end_elsewhere(pid_t pid, int stay)
{
	int status;

	close(stay);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_a_link_moved_to_another_namespace_is_gone(void **state)
{
	struct view *view = *state;
	pid_t elsewhere;
	int stay;

	skip_unless_root();
	elsewhere = start_elsewhere(&stay);
	run("ip link add name v0 type veth peer name v1");
	wait_for(view, by_name(view, "v0") && by_name(view, "v1"));
	run("ip link set v0 netns %d", elsewhere);
	wait_for(view, view->gone == 1);
	assert_null(by_name(view, "v0"));

	/* the kernel tells nothing of the end that stayed */
	assert_int_equal(rtnl_dump(view->rtnl), 0);
	assert_true(by_name(view, "v1")->lower_in_other_netns);
	assert_int_not_equal(by_name(view, "v1")->lower, 0);

	/* with the other namespace its end goes, and with that ours */
	end_elsewhere(elsewhere, stay);
	wait_for(view, view->gone == 2);
}

static void test_addresses(void **state)
{
	struct view *view = *state;

	skip_unless_root();
	run("ip link add name v0 type veth peer name v1");
	run("ip addr add 192.0.2.1/24 dev v0");
	wait_for(view, has_addr(view, "v0", "::ffff:192.0.2.1"));
	run("ip addr add 198.51.100.1 peer 198.51.100.2/32 dev v0");
	wait_for(view, has_addr(view, "v0", "::ffff:198.51.100.1"));
	assert_false(has_addr(view, "v0", "::ffff:198.51.100.2"));
	/* IPv6 addresses are told of when duplicate address detection is done, or skipped */
	run("ip link set v0 up");
	run("ip addr add 2001:db8::1/64 dev v0 nodad");
	wait_for(view, has_addr(view, "v0", "2001:db8::1"));

	run("ip addr del 192.0.2.1/24 dev v0");
	wait_for(view, !has_addr(view, "v0", "::ffff:192.0.2.1"));
	assert_true(has_addr(view, "v0", "::ffff:198.51.100.1"));
	run("ip addr del 2001:db8::1/64 dev v0");
	wait_for(view, !has_addr(view, "v0", "2001:db8::1"));

	assert_int_equal(rtnl_dump(view->rtnl), 0);
	assert_true(has_addr(view, "v0", "::ffff:198.51.100.1"));
	assert_false(has_addr(view, "v0", "::ffff:192.0.2.1"));
}

/* In bytes; the kernel has a minimum. */
static void set_receive_buffer(const struct view *view, int size)
{
	assert_int_equal(setsockopt(rtnl_fd(view->rtnl), SOL_SOCKET, SO_RCVBUF, &size,
				    sizeof(size)),
			 0);
}

/* More changes than a small receive buffer holds, while nobody reads. */
static void test_an_overrun_is_made_up_for(void **state)
{
	struct view *view = *state;
	FILE *batch;
	int i;

	skip_unless_root();
	assert_int_equal(rtnl_dump(view->rtnl), 0);
	set_receive_buffer(view, 1);
	batch = batch_begin();
	for (i = 0; i < MANY; i++)
		fprintf(batch, "link add name v%d type veth peer name w%d\n", i, i);
	for (i = 0; i < MANY; i += 2)
		fprintf(batch, "link set v%d name renamed%d\n", i, i);
	for (i = 0; i < MANY; i += 4)
		fprintf(batch, "link del w%d\n", i + 1);
	batch_end(batch);
	run("ip addr add 192.0.2.1/24 dev w0");

	assert_false(view_is_true(view));
	wait_for(view, rtnl_overruns(view->rtnl) > 0);
	wait_for(view, view_is_true(view));
	assert_true(has_addr(view, "w0", "::ffff:192.0.2.1"));
	assert_int_equal(view->ends, 2);

	/* and it listens on after it */
	run("ip link add name later type bridge");
	wait_for(view, by_name(view, "later"));
	run("ip link del w0");
	wait_for(view, view_is_true(view));
	assert_false(has_addr(view, "w0", "::ffff:192.0.2.1"));
}

/* The linker's name: --wrap=link_parse makes a call of link_parse() one of this. */
int __real_link_parse(struct link *link, const struct nlmsghdr *message);
int __wrap_link_parse(struct link *link, const struct nlmsghdr *message);
int __wrap_link_parse(struct link *link, const struct nlmsghdr *message)
{
	return fails_now(&parse_failures) ?: __real_link_parse(link, message);
}

/* It is lost as in an overrun. */
static void test_no_memory_for_a_message(void **state)
{
	struct view *view = *state;

	skip_unless_root();
	assert_int_equal(rtnl_dump(view->rtnl), 0);
	run("ip link add name v0 type veth peer name v1");
	parse_failures = 1;
	wait_for(view, !parse_failures);
	wait_for(view, view_is_true(view));
	assert_int_equal(view->ends, 2);
	assert_int_equal(rtnl_retry_ns(view->rtnl), 0);
}

/* Nor does the owner: it is told again. */
static void test_no_memory_for_the_handler(void **state)
{
	struct view *view = *state;

	skip_unless_root();
	assert_int_equal(rtnl_dump(view->rtnl), 0);
	run("ip link add name v0 type veth peer name v1");
	handler_failures = 1;
	wait_for(view, !handler_failures);
	wait_for(view, view_is_true(view));
	assert_int_equal(view->ends, 2);
	run("ip addr add 192.0.2.1/24 dev v0");
	handler_failures = 1;
	wait_for(view, !handler_failures);
	wait_for(view, view_is_true(view));
	assert_int_equal(view->ends, 3);
}

/* The dump that is to make up for it needs memory, too: it is tried again, though nothing comes. */
static void test_no_memory_for_the_dump(void **state)
{
	struct view *view = *state;
	int64_t end_ns = clock_boottime_ns() + DEADLINE_NS;

	skip_unless_root();
	assert_int_equal(rtnl_dump(view->rtnl), 0);
	run("ip link add name v0 type veth peer name v1");
	parse_failures = 2;
	wait_for(view, !parse_failures);
	assert_int_equal(view->ends, 1);
	assert_true(rtnl_retry_ns(view->rtnl) > 0);
	while (rtnl_retry_ns(view->rtnl) && clock_boottime_ns() < end_ns) {
		if (clock_boottime_ns() < rtnl_retry_ns(view->rtnl))
			poll(NULL, 0, 10);
		else
			assert_int_equal(rtnl_dispatch(view->rtnl), 0);
	}
	assert_int_equal(view->ends, 2);
	assert_true(view_is_true(view));
	run("ip link del v0");
	wait_for(view, view_is_true(view));
}

static bool interrupted;

ssize_t __real_netlink_receive(struct netlink *netlink, int flags, const struct nlmsghdr **ret);
ssize_t __wrap_netlink_receive(struct netlink *netlink, int flags, const struct nlmsghdr **ret);
ssize_t __wrap_netlink_receive(struct netlink *netlink, int flags, const struct nlmsghdr **ret)
{
	ssize_t size = __real_netlink_receive(netlink, flags, ret);

	if (interrupted && size >= (ssize_t)sizeof(**ret) && (*ret)->nlmsg_flags & NLM_F_MULTI) {
		((struct nlmsghdr *)(uintptr_t)*ret)->nlmsg_flags |= NLM_F_DUMP_INTR;
		interrupted = false;
	}
	return size;
}

/* The kernel may have left a link out, and nothing else tells so. */
static void test_an_interrupted_dump_is_begun_anew(void **state)
{
	struct view *view = *state;

	skip_unless_root();
	interrupted = true;
	assert_int_equal(rtnl_dump(view->rtnl), 0);
	assert_false(interrupted);
	assert_int_equal(view->begins, 2);
	assert_int_equal(view->ends, 1);
}

static void rename_an_early_link_once(struct view *view, const struct link *link)
{
	if (view->begins != 2 || link->ifindex < MANY / 2)
		return;
	view->on_link = NULL;
	run("ip link set v0 name late");
}

/* The kernel drops all that comes between an overrun and an empty queue, and tells of that once. */
static void test_a_change_right_after_an_overrun(void **state)
{
	struct view *view = *state;
	FILE *batch;
	int i;

	skip_unless_root();
	assert_int_equal(rtnl_dump(view->rtnl), 0);
	set_receive_buffer(view, 1);
	batch = batch_begin();
	for (i = 0; i < MANY / 2; i++)
		fprintf(batch, "link add name v%d type veth peer name w%d\n", i, i);
	batch_end(batch);

	view->on_link = rename_an_early_link_once;
	wait_for(view, rtnl_overruns(view->rtnl) > 0);
	wait_for(view, view_is_true(view));
	assert_null(view->on_link);
	assert_non_null(by_name(view, "late"));
}

static void delete_a_link_once(struct view *view, const struct link *link)
{
	(void)link;
	view->on_link = NULL;
	run("ip link del w%d", MANY / 2 - 1);
}

/* A dump of many links takes several datagrams; a link goes when the first one is read. */
static void test_a_link_goes_in_the_middle_of_a_dump(void **state)
{
	struct view *view = *state;
	FILE *batch;
	int i;

	skip_unless_root();
	batch = batch_begin();
	for (i = 0; i < MANY / 2; i++)
		fprintf(batch, "link add name v%d type veth peer name w%d\n", i, i);
	batch_end(batch);
	view_free(view);
	*state = view = view_new();

	view->on_link = delete_a_link_once;
	assert_int_equal(rtnl_dump(view->rtnl), 0);
	assert_true(view->begins > 1);
	assert_int_equal(view->ends, 1);
	assert_int_equal(view->gone, 2);
	assert_true(view_is_true(view));
}

/* Before the dump is asked for, so that the notification is in front of its answers. */
static void change_a_link(struct view *view)
{
	run("ip link set lo mtu %u", 60000 + view->begins);
}

static void test_links_that_never_rest(void **state)
{
	struct view *view = *state;

	skip_unless_root();
	view->on_begin = change_a_link;
	assert_int_equal(rtnl_dump(view->rtnl), -EAGAIN);
	assert_true(view->begins > 1);
	assert_int_equal(view->ends, 0);
	assert_non_null(by_name(view, "lo"));
	/* it wakes its owner up, who is not told of it as an error, as long as it takes */
	assert_int_equal(rtnl_dispatch(view->rtnl), 0);
	assert_int_equal(view->ends, 0);

	view->on_begin = NULL;
	wait_for(view, view->ends == 1);
	dispatch_all(view);
	assert_int_equal(view->ends, 1);
	assert_true(view_is_true(view));
}

static void change_mtu(int mtu)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_mtu = mtu};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, SIOCSIFMTU, &request), 0);
	close(fd);
}

static void change_again(struct view *view, const struct link *link)
{
	(void)link;
	change_mtu((int)(50000 + view->told % 1000));
}

/* The queue that is to be empty before a dump is filled as fast as it is read. */
static void test_a_queue_that_is_never_empty(void **state)
{
	struct view *view = *state;

	skip_unless_root();
	view->on_link = change_again;
	change_mtu(49999);
	alarm(60); /* for ever would be longer */
	assert_int_equal(rtnl_dump(view->rtnl), -EAGAIN);
	alarm(0);
	assert_int_equal(view->begins, 0);

	view->on_link = NULL;
	wait_for(view, view->ends == 1);
	assert_true(view_is_true(view));
}

static void change_many_links(void)
{
	FILE *batch;
	int i, round;

	for (round = 0; round < 40; round++) {
		batch = popen("ip -batch -", "w");
		if (!batch)
			_exit(1);
		for (i = 0; i < 20; i++) {
			fprintf(batch, "link add name s%dx%d type veth peer name t%dx%d\n", round,
				i, round, i);
			if (i % 2)
				fprintf(batch, "link set s%dx%d name u%dx%d\n", round, i, round, i);
			if (i % 3 == 0)
				fprintf(batch, "link del t%dx%d\n", round, i);
		}
		if (pclose(batch) != 0)
			_exit(1);
	}
	_exit(0);
}

/* Dumps over and over while links come, go and are renamed; in the end the view is the truth. */
static void test_dumps_while_links_change(void **state)
{
	struct view *view = *state;
	int r, status;
	pid_t pid;

	skip_unless_root();
	set_receive_buffer(view, 20000);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		change_many_links();
	while (waitpid(pid, &status, WNOHANG) == 0) {
		r = rtnl_dump(view->rtnl);
		assert_true(r == 0 || r == -EAGAIN);
		assert_int_equal(rtnl_dispatch(view->rtnl), 0);
	}
	assert_int_equal(status, 0);
	wait_for(view, view_is_true(view));
	assert_true(view->told > MANY / 10);
}

static void test_a_link_with_many_names(void **state)
{
	struct view *view = *state;
	FILE *batch;
	int i;

	skip_unless_root();
	run("ip link add name v0 type veth peer name v1");
	/* of a link that is down the kernel does not tell this */
	run("ip link set v0 up");
	batch = batch_begin();
	for (i = 0; i < MANY; i++)
		fprintf(batch, "link property add dev v0 altname %0120d\n", i);
	batch_end(batch);
	wait_for(view, by_name(view, "v0") && by_name(view, "v0")->altname_count == MANY);

	view_free(view);
	*state = view = view_new();
	assert_int_equal(rtnl_dump(view->rtnl), 0);
	assert_int_equal(by_name(view, "v0")->altname_count, MANY);
	assert_int_equal(view->ends, 1);
	assert_int_equal(rtnl_overruns(view->rtnl), 0);
}

static void test_forged_messages_are_dropped(void **state)
{
	_Alignas(struct nlmsghdr) char buffer[256];
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct view *view = *state;
	struct sockaddr_nl to;
	socklen_t length = sizeof(to);
	struct ifinfomsg *info;
	int fd;

	skip_unless_root();
	message->nlmsg_type = RTM_NEWLINK;
	info = mnl_nlmsg_put_extra_header(message, sizeof(*info));
	info->ifi_index = 99;
	mnl_attr_put_strz(message, IFLA_IFNAME, "forged");
	assert_int_equal(getsockname(rtnl_fd(view->rtnl), (struct sockaddr *)&to, &length), 0);
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	assert_true(fd >= 0);
	assert_int_equal(sendto(fd, message, message->nlmsg_len, 0, (struct sockaddr *)&to, length),
			 message->nlmsg_len);
	close(fd);
	run("ip link add name real type bridge");
	wait_for(view, by_name(view, "real"));
	assert_null(by_name(view, "forged"));
}

static int add_clsact(struct tc *tc, uint32_t ifindex)
{
	struct tc_change change = {.kind = TC_CLSACT_ADD, .ifindex = ifindex};

	tc_change(tc, &change, 1);
	return change.result;
}

static int add_filter(struct tc *tc, uint32_t ifindex, enum tc_hook hook, uint16_t priority,
		      uint32_t handle, int program_fd, const char *name)
{
	struct tc_change change = {
		.kind = TC_FILTER_ADD,
		.ifindex = ifindex,
		.hook = hook,
		.priority = priority,
		.handle = handle,
		.program_fd = program_fd,
		.name = name,
	};

	tc_change(tc, &change, 1);
	return change.result;
}

static int load_program(void)
{
	const struct bpf_insn instructions[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_UNSPEC},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd;

	fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "nothing", "GPL", instructions, 2, NULL);
	assert_true(fd >= 0);
	return fd;
}

static uint32_t program_id(int fd)
{
	struct bpf_prog_info info = {0};
	uint32_t length = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &length), 0);
	return info.id;
}

struct listing {
	unsigned int count;
	struct tc_filter filters[32];
	uint32_t ifindices[32];
};

static void list_filter(void *data, const struct tc_filter *filter)
{
	struct listing *listing = data;

	assert_true(listing->count < 32);
	listing->filters[listing->count++] = *filter;
}

static void list_link(void *data, uint32_t ifindex)
{
	struct listing *listing = data;

	assert_true(listing->count < 32);
	listing->ifindices[listing->count++] = ifindex;
}

static unsigned int count_kind(const struct listing *listing, const char *kind)
{
	unsigned int i, n = 0;

	for (i = 0; i < listing->count; i++)
		n += strcmp(listing->filters[i].kind, kind) == 0;
	return n;
}

static const struct tc_filter *find_filter(const struct listing *listing, enum tc_hook hook,
					   uint16_t priority, uint32_t handle)
{
	const struct tc_filter *filter, *found = NULL;

	for (filter = listing->filters; filter < listing->filters + listing->count; filter++) {
		if (filter->hook != hook || filter->priority != priority ||
		    filter->handle != handle)
			continue;
		assert_null(found); /* none is told twice */
		found = filter;
	}
	return found;
}

static struct listing list_filters(struct tc *tc, uint32_t ifindex)
{
	struct listing listing = {0};

	assert_int_equal(tc_filter_each(tc, ifindex, list_filter, &listing), 0);
	return listing;
}

static struct listing list_clsacts(struct tc *tc)
{
	struct listing listing = {0};

	assert_int_equal(tc_clsact_each(tc, list_link, &listing), 0);
	return listing;
}

static int set_up_tc(void **state)
{
	struct tc *tc;

	if (set_up_namespace(state) < 0)
		return -1;
	if (geteuid() != 0)
		return 0;
	run("ip link add name v0 type veth peer name v1");
	assert_int_equal(tc_new(&tc), 0);
	*state = tc;
	return 0;
}

static int tear_down_tc(void **state)
{
	tc_free(*state);
	return 0;
}

static void test_clsact(void **state)
{
	struct listing listing;
	struct tc *tc = *state;
	uint32_t v0, v1;

	skip_unless_root();
	v0 = if_nametoindex("v0");
	v1 = if_nametoindex("v1");
	assert_int_equal(list_clsacts(tc).count, 0);
	assert_int_equal(tc_clsact_delete(tc, v0), -ENOENT);
	assert_int_equal(add_clsact(tc, v0), 0);
	assert_int_equal(add_clsact(tc, v0), -EEXIST);
	run("tc qdisc show dev v0 | grep -q clsact");
	listing = list_clsacts(tc);
	assert_int_equal(listing.count, 1);
	assert_int_equal(listing.ifindices[0], v0);

	/* an ingress qdisc is not one */
	run("tc qdisc add dev v1 ingress");
	assert_int_equal(list_clsacts(tc).count, 1);
	assert_int_equal(add_clsact(tc, v1), -EBUSY);
	assert_int_equal(tc_clsact_delete(tc, v1), -EINVAL);
	run("tc qdisc show dev v1 | grep -q ingress");

	assert_int_equal(tc_clsact_delete(tc, v0), 0);
	assert_int_equal(list_clsacts(tc).count, 0);
	assert_int_equal(tc_clsact_delete(tc, v0), -EINVAL);
}

static void test_many_clsacts(void **state)
{
	bool expected[MAX_IFINDEX] = {false};
	struct listing listing;
	struct tc *tc = *state;
	FILE *batch;
	uint32_t i;

	skip_unless_root();
	batch = batch_begin();
	for (i = 0; i < 15; i++)
		fprintf(batch, "link add name a%u type veth peer name b%u\n", i, i);
	batch_end(batch);
	for (i = 0; i < 15; i++) {
		char name[IF_NAMESIZE];

		snprintf(name, sizeof(name), "%c%u", i % 2 ? 'a' : 'b', i);
		expected[if_nametoindex(name)] = true;
		assert_int_equal(add_clsact(tc, if_nametoindex(name)), 0);
	}
	listing = list_clsacts(tc);
	assert_int_equal(listing.count, 15);
	for (i = 0; i < listing.count; i++) {
		assert_true(expected[listing.ifindices[i]]);
		expected[listing.ifindices[i]] = false;
	}
}

static void test_no_such_link(void **state)
{
	struct tc *tc = *state;
	int fd;

	skip_unless_root();
	fd = load_program();
	assert_int_equal(add_clsact(tc, 9999), -ENODEV);
	assert_int_equal(tc_clsact_delete(tc, 9999), -ENODEV);
	assert_int_equal(add_filter(tc, 9999, TC_HOOK_INGRESS, 1, 1, fd, "x"), -ENODEV);
	assert_int_equal(tc_filter_delete(tc, 9999, TC_HOOK_INGRESS, 1, 1), -ENODEV);
	assert_int_equal(list_filters(tc, 9999).count, 0);
	close(fd);
}

static void test_no_clsact(void **state)
{
	struct tc *tc = *state;
	uint32_t v0, v1;
	int fd;

	skip_unless_root();
	fd = load_program();
	v0 = if_nametoindex("v0");
	v1 = if_nametoindex("v1");
	assert_int_equal(add_filter(tc, v0, TC_HOOK_INGRESS, 1, 1, fd, "x"), -EINVAL);
	assert_int_equal(tc_filter_delete(tc, v0, TC_HOOK_INGRESS, 1, 1), -EINVAL);
	assert_int_equal(list_filters(tc, v0).count, 0);
	/* the kernel lists these for either hook */
	run("tc qdisc add dev v1 ingress");
	run("tc filter add dev v1 ingress protocol ip prio 3 u32 match u32 0 0");
	assert_int_equal(list_filters(tc, v1).count, 0);
	close(fd);
}

static void test_filters(void **state)
{
	const struct tc_filter *filter;
	struct listing listing;
	struct tc *tc = *state;
	uint32_t v0;
	int fd;

	skip_unless_root();
	fd = load_program();
	v0 = if_nametoindex("v0");
	assert_int_equal(add_clsact(tc, v0), 0);
	assert_int_equal(list_filters(tc, v0).count, 0);
	assert_int_equal(add_filter(tc, v0, TC_HOOK_INGRESS, 7, 0xf10, fd, "mine"), 0);
	assert_int_equal(add_filter(tc, v0, TC_HOOK_INGRESS, 7, 0xf10, fd, "mine"), -EEXIST);
	assert_int_equal(add_filter(tc, v0, TC_HOOK_EGRESS, 65535, 0xf11, fd, "mine too"), 0);
	run("tc filter show dev v0 ingress | grep -q 'pref 7 bpf.*handle 0xf10 mine "
	    "direct-action'");
	run("tc filter show dev v0 egress | grep -q 'protocol all pref 65535 bpf'");

	listing = list_filters(tc, v0);
	assert_int_equal(listing.count, 2);
	filter = find_filter(&listing, TC_HOOK_INGRESS, 7, 0xf10);
	assert_non_null(filter);
	assert_int_equal(filter->chain, 0);
	assert_int_equal(filter->program_id, program_id(fd));
	assert_string_equal(filter->kind, "bpf");
	assert_string_equal(filter->name, "mine");
	filter = find_filter(&listing, TC_HOOK_EGRESS, 65535, 0xf11);
	assert_non_null(filter);
	assert_string_equal(filter->name, "mine too");

	/* another handle, another priority, the other hook */
	assert_int_equal(tc_filter_delete(tc, v0, TC_HOOK_INGRESS, 7, 0xf11), -ENOENT);
	assert_int_equal(tc_filter_delete(tc, v0, TC_HOOK_INGRESS, 8, 0xf10), -ENOENT);
	assert_int_equal(tc_filter_delete(tc, v0, TC_HOOK_EGRESS, 7, 0xf10), -ENOENT);
	/* what would mean all of them */
	assert_int_equal(tc_filter_delete(tc, v0, TC_HOOK_INGRESS, 7, 0), -EINVAL);
	assert_int_equal(tc_filter_delete(tc, v0, TC_HOOK_INGRESS, 0, 0xf10), -EINVAL);
	assert_int_equal(list_filters(tc, v0).count, 2);

	assert_int_equal(tc_filter_delete(tc, v0, TC_HOOK_INGRESS, 7, 0xf10), 0);
	assert_int_equal(tc_filter_delete(tc, v0, TC_HOOK_INGRESS, 7, 0xf10), -ENOENT);
	assert_int_equal(list_filters(tc, v0).count, 1);

	/* no program */
	assert_int_equal(add_filter(tc, v0, TC_HOOK_INGRESS, 7, 1, -1, "x"), -EBADF);
	close(fd);
}

static void test_filter_names(void **state)
{
	char name[65];
	struct listing listing;
	struct tc *tc = *state;
	uint32_t v0;
	int fd;

	skip_unless_root();
	fd = load_program();
	v0 = if_nametoindex("v0");
	memset(name, 'n', sizeof(name) - 1);
	name[64] = '\0';
	assert_int_equal(add_clsact(tc, v0), 0);
	assert_int_equal(add_filter(tc, v0, TC_HOOK_INGRESS, 7, 1, fd, name), -ENAMETOOLONG);
	assert_int_equal(add_filter(tc, v0, TC_HOOK_INGRESS, 7, 1, fd, name + 1), 0);
	listing = list_filters(tc, v0);
	assert_int_equal(listing.count, 1);
	assert_string_equal(listing.filters[0].name, name + 1);
	close(fd);
}

static void count_filter(void *data, const struct tc_filter *filter)
{
	(void)filter;
	++*(unsigned int *)data;
}

static unsigned int count_filters(struct tc *tc, uint32_t ifindex)
{
	unsigned int count = 0;

	assert_int_equal(tc_filter_each(tc, ifindex, count_filter, &count), 0);
	return count;
}

/* Each has its own result, in more than one datagram, wherever the bad ones are. */
static void test_changes_together(void **state)
{
	struct tc_change changes[200] = {0};
	struct tc *tc = *state;
	uint32_t v0;
	int fd;

	skip_unless_root();
	fd = load_program();
	v0 = if_nametoindex("v0");
	changes[0] = (struct tc_change){.kind = TC_CLSACT_ADD, .ifindex = v0};
	for (uint32_t i = 1; i < ARRAY_SIZE(changes); i++)
		changes[i] = (struct tc_change){.kind = TC_FILTER_ADD,
						.ifindex = i % 50 == 9 ? 0x7fffffff : v0,
						.hook = TC_HOOK_EGRESS,
						.priority = 7,
						.handle = i % 70 == 1 ? 1 : i,
						.program_fd = fd,
						.name = "mine"};
	tc_change(tc, changes, ARRAY_SIZE(changes));
	for (uint32_t i = 0; i < ARRAY_SIZE(changes); i++) {
		if (i % 50 == 9)
			assert_int_equal(changes[i].result, -ENODEV);
		else
			assert_int_equal(changes[i].result, i % 70 == 1 && i > 1 ? -EEXIST : 0);
	}
	assert_int_equal(count_filters(tc, v0), 199 - 4 - 2);

	/* what the kernel must not be asked leaves the others alone */
	for (uint32_t i = 1; i < ARRAY_SIZE(changes); i++) {
		changes[i].kind = TC_FILTER_DELETE;
		if (i == 80)
			changes[i].handle = 0;
	}
	changes[0].kind = TC_CLSACT_ADD;
	tc_change(tc, changes, ARRAY_SIZE(changes));
	assert_int_equal(changes[0].result, -EEXIST);
	assert_int_equal(changes[79].result, 0);
	assert_int_equal(changes[80].result, -EINVAL);
	assert_int_equal(changes[81].result, 0);
	assert_int_equal(count_filters(tc, v0), 1);
	close(fd);
}

/* A BPF filter of somebody else, whose name is as long as the kernel takes it. */
static void add_filter_with_long_name(uint32_t ifindex, int program_fd)
{
	_Alignas(struct nlmsghdr) char buffer[512], answer[512];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct mnl_socket *mnl = mnl_socket_open(NETLINK_ROUTE);
	struct nlattr *options;
	struct tcmsg *info;
	char name[256];
	ssize_t size;

	assert_non_null(mnl);
	memset(name, 'x', 255);
	name[255] = '\0';
	request->nlmsg_type = RTM_NEWTFILTER;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
	info = mnl_nlmsg_put_extra_header(request, sizeof(*info));
	info->tcm_ifindex = ifindex;
	info->tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
	info->tcm_info = TC_H_MAKE(30 << 16, htons(ETH_P_ALL));
	mnl_attr_put_strz(request, TCA_KIND, "bpf");
	options = mnl_attr_nest_start(request, TCA_OPTIONS);
	mnl_attr_put_u32(request, TCA_BPF_FD, program_fd);
	mnl_attr_put_strz(request, TCA_BPF_NAME, name);
	mnl_attr_nest_end(request, options);
	assert_int_equal(mnl_socket_sendto(mnl, request, request->nlmsg_len), request->nlmsg_len);
	size = mnl_socket_recvfrom(mnl, answer, sizeof(answer));
	assert_true(mnl_cb_run(answer, size, 0, 0, NULL, NULL) == MNL_CB_STOP);
	mnl_socket_close(mnl);
}

static void test_filters_of_others_stay(void **state)
{
	struct listing listing;
	struct tc *tc = *state;
	unsigned int i;
	uint32_t v0;
	int fd;

	skip_unless_root();
	fd = load_program();
	v0 = if_nametoindex("v0");
	run("tc qdisc add dev v0 clsact");
	run("tc filter add dev v0 ingress protocol ip prio 9 u32 match u32 0 0");
	run("tc filter add dev v0 ingress protocol all prio 10 u32 match u32 0 0");
	run("tc filter add dev v0 ingress protocol ip chain 5 prio 11 u32 match u32 0 0");
	add_filter_with_long_name(v0, fd);

	/* their priorities are theirs, whatever the protocol */
	assert_int_equal(add_filter(tc, v0, TC_HOOK_INGRESS, 9, 1, fd, "mine"), -EINVAL);
	assert_int_equal(add_filter(tc, v0, TC_HOOK_INGRESS, 10, 1, fd, "mine"), -EINVAL);
	assert_int_equal(add_filter(tc, v0, TC_HOOK_INGRESS, 1, 1, fd, "mine"), 0);
	assert_int_equal(add_filter(tc, v0, TC_HOOK_INGRESS, 1, 2, fd, "mine"), 0);

	listing = list_filters(tc, v0);
	assert_int_equal(count_kind(&listing, "bpf"), 3);
	assert_non_null(find_filter(&listing, TC_HOOK_INGRESS, 1, 1));
	assert_non_null(find_filter(&listing, TC_HOOK_INGRESS, 1, 2));
	/* and none of their hash tables */
	assert_int_equal(count_kind(&listing, "u32"), 3);
	for (i = 0; i < listing.count; i++) {
		if (listing.filters[i].priority == 11)
			assert_int_equal(listing.filters[i].chain, 5);
		if (listing.filters[i].priority == 30)
			assert_int_equal(strspn(listing.filters[i].name, "x"), 63);
	}
	assert_non_null(find_filter(&listing, TC_HOOK_INGRESS, 9, 0x80000800));
	assert_non_null(find_filter(&listing, TC_HOOK_INGRESS, 10, 0x80100800));

	/* the handle of a u32 filter is not a handle of ours */
	assert_int_equal(tc_filter_delete(tc, v0, TC_HOOK_INGRESS, 10, 0x80100800), -EINVAL);
	assert_int_equal(tc_filter_delete(tc, v0, TC_HOOK_INGRESS, 9, 0x80000800), -EINVAL);
	assert_int_equal(tc_filter_delete(tc, v0, TC_HOOK_INGRESS, 1, 1), 0);
	assert_int_equal(tc_filter_delete(tc, v0, TC_HOOK_INGRESS, 1, 2), 0);
	listing = list_filters(tc, v0);
	assert_int_equal(count_kind(&listing, "bpf"), 1);
	assert_non_null(find_filter(&listing, TC_HOOK_INGRESS, 9, 0x80000800));
	assert_non_null(find_filter(&listing, TC_HOOK_INGRESS, 10, 0x80100800));
	close(fd);
}

struct sweep {
	struct tc *tc;
	uint32_t ifindex;
};

static void delete_filter(void *data, const struct tc_filter *filter)
{
	struct sweep *sweep = data;

	assert_int_equal(tc_filter_delete(sweep->tc, sweep->ifindex, filter->hook, filter->priority,
					  filter->handle),
			 0);
}

static void delete_clsact(void *data, uint32_t ifindex)
{
	struct sweep *sweep = data;

	sweep->ifindex = ifindex;
	assert_int_equal(tc_filter_each(sweep->tc, ifindex, delete_filter, sweep), 0);
	assert_int_equal(tc_clsact_delete(sweep->tc, ifindex), 0);
}

/* More filters than one datagram of a dump holds, and all of it through the handle that lists. */
static void test_callbacks_may_use_the_handle(void **state)
{
	struct sweep sweep = {.tc = *state};
	uint32_t handle, v0;
	int fd;

	skip_unless_root();
	fd = load_program();
	v0 = if_nametoindex("v0");
	assert_int_equal(add_clsact(sweep.tc, v0), 0);
	for (handle = 1; handle <= MANY; handle++)
		assert_int_equal(add_filter(sweep.tc, v0, TC_HOOK_EGRESS, 7, handle, fd, "mine"),
				 0);
	assert_int_equal(tc_clsact_each(sweep.tc, delete_clsact, &sweep), 0);
	assert_int_equal(sweep.ifindex, v0);
	assert_int_equal(list_clsacts(sweep.tc).count, 0);
	close(fd);
}

/* lo is none of WireGuard. */
static void test_no_wireguard_device(void **state)
{
	__be16 port = 7;
	int r;

	(void)state;
	skip_unless_root();
	r = wireguard_get_port(1, &port);
	if (r == -ENOENT)
		skip_because("the kernel has no WireGuard");
	assert_int_equal(r, -EOPNOTSUPP);
	assert_int_equal(wireguard_get_port(0x7fffffff, &port), -ENODEV);
	assert_int_equal(port, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define VIEW_TEST(test) cmocka_unit_test_setup_teardown(test, set_up_view, tear_down_view)
		VIEW_TEST(test_the_socket),
		VIEW_TEST(test_dump_tells_what_is_there),
		VIEW_TEST(test_links_come_change_and_go),
		VIEW_TEST(test_a_port_leaving_its_bridge_stays_a_link),
		VIEW_TEST(test_a_link_moved_to_another_namespace_is_gone),
		VIEW_TEST(test_addresses),
		VIEW_TEST(test_an_overrun_is_made_up_for),
		VIEW_TEST(test_a_change_right_after_an_overrun),
		VIEW_TEST(test_no_memory_for_a_message),
		VIEW_TEST(test_no_memory_for_the_handler),
		VIEW_TEST(test_no_memory_for_the_dump),
		VIEW_TEST(test_an_interrupted_dump_is_begun_anew),
		VIEW_TEST(test_a_link_goes_in_the_middle_of_a_dump),
		VIEW_TEST(test_links_that_never_rest),
		VIEW_TEST(test_a_queue_that_is_never_empty),
		VIEW_TEST(test_dumps_while_links_change),
		VIEW_TEST(test_a_link_with_many_names),
		VIEW_TEST(test_forged_messages_are_dropped),
#define TC_TEST(test) cmocka_unit_test_setup_teardown(test, set_up_tc, tear_down_tc)
		TC_TEST(test_clsact),
		TC_TEST(test_many_clsacts),
		TC_TEST(test_no_such_link),
		TC_TEST(test_no_clsact),
		TC_TEST(test_filters),
		TC_TEST(test_filter_names),
		TC_TEST(test_changes_together),
		TC_TEST(test_filters_of_others_stay),
		TC_TEST(test_callbacks_may_use_the_handle),
		cmocka_unit_test(test_no_wireguard_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
