// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every allocation of the pure code fails once, the first, the second, ...: each time -ENOMEM is
 * what the caller hears, nothing leaks (with SANITIZE=1), and the next try succeeds with what was
 * there. The Makefile links this test so that the tree's calls of the allocator come here.
 */
#include "config/config.h"
#include "control/view.h"
#include "lib/buffer.h"
#include "metrics/metrics.h"
#include "netlink/conntrack_entry.h"
#include "netlink/link.h"
#include "report/filtered.h"
#include "report/format.h"
#include "report/phase.h"
#include "report/rates.h"
#include "report/tunnel.h"
#include "supervisor/checkpoint.h"
#include "tests/unit/stack.h"

#include <errno.h>
#include <jansson.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
// clang-format off
#include <stdio.h>
#include <cmocka.h>
// clang-format on

#define FLOWS 300 /* enough for every table to grow */

static long allocations_left = -1; /* before the one that fails; -1: none does */
static bool has_failed;

static bool fails_now(void)
{
	if (allocations_left < 0)
		return false;
	if (allocations_left-- > 0)
		return false;
	has_failed = true;
	errno = ENOMEM;
	return true;
}

/* The linker's names: --wrap=malloc makes a call of malloc one of __wrap_malloc. */
#define WRAP(type, name, parameters, arguments)                      \
	type __real_##name parameters;                               \
	type __wrap_##name parameters;                               \
	type __wrap_##name parameters                                \
	{                                                            \
		return fails_now() ? NULL : __real_##name arguments; \
	}

WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, (void *p, size_t size), (p, size))
WRAP(void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size))
WRAP(char *, strdup, (const char *text), (text))
WRAP(char *, strndup, (const char *text, size_t size), (text, size))

/* Does something and takes it back again. 0 or a negative errno. */
typedef int (*attempt)(void);

/* check: what must hold after each failure; may be NULL. */
static void fail_each(attempt try, void (*check)(void))
{
	long n = 0;
	int err;

	do {
		has_failed = false;
		allocations_left = n++;
		err = try();
		allocations_left = -1;
		if (err != (has_failed ? -ENOMEM : 0))
			fail_msg("allocation %ld: %d, with a failure: %d", n, err, has_failed);
		if (check)
			check();
	} while (has_failed);
	/* a try without an allocation would try nothing */
	assert_true(n > 1);
}

static void say_nothing(void *data, const char *message)
{
	(void)data;
	(void)message;
}

static int config_fd;

static int try_config(void)
{
	struct config config = {0};
	char path[32];
	int err;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", config_fd);
	err = config_load(&config, path, say_nothing, NULL);
	config_clean(&config);
	return err;
}

static void test_config(void **state)
{
	static const char text[] =
		"[interfaces]\ninclude = eth* veth*\n[report]\noutput = /x\n[flows]\n"
		"only = net:10.0.0.0/8 port:53-54 proto:udp interface:br0 or net:fd00::/8\n"
		"ignore = interface:lo\n[metrics]\nlisten = 127.0.0.1:9112\n";

	(void)state;
	config_fd = memfd_create("config", MFD_CLOEXEC);
	assert_int_equal(write(config_fd, text, sizeof(text) - 1), sizeof(text) - 1);
	fail_each(try_config, NULL);
	close(config_fd);
}

static _Alignas(struct nlmsghdr) char message[1024];

static int try_link(void)
{
	struct link link;
	int err = link_parse(&link, (struct nlmsghdr *)message);

	link_clean(&link);
	return err;
}

static void test_link(void **state)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(message);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(header, sizeof(*info));
	struct nlattr *names;

	(void)state;
	header->nlmsg_type = RTM_NEWLINK;
	info->ifi_index = 7;
	mnl_attr_put_strz(header, IFLA_IFNAME, "eth0");
	names = mnl_attr_nest_start(header, IFLA_PROP_LIST);
	mnl_attr_put_strz(header, IFLA_ALT_IFNAME, "enp1s0");
	mnl_attr_put_strz(header, IFLA_ALT_IFNAME, "uplink");
	mnl_attr_nest_end(header, names);
	fail_each(try_link, NULL);
}

static struct buffer encoded;

static int try_checkpoint(void)
{
	struct checkpoint checkpoint = {0};
	int err = checkpoint_decode(&checkpoint, encoded.data, encoded.size);

	checkpoint_clean(&checkpoint);
	return err;
}

static void test_checkpoint(void **state)
{
	static struct topology_reference reference = {.id = 3, .hook = HOOK_EGRESS};
	static struct checkpoint_phase phase = {.id = 1,
						.role.hook[HOOK_EGRESS] = {.references = &reference,
									   .reference_count = 1}};
	static uint64_t map = 7;
	struct generation earlier = {.number = 1, .layout = *layout_own()};
	const struct checkpoint checkpoint = {.generation = {.number = 2, .layout = *layout_own()},
					      .last_id = 1,
					      .earlier = &earlier,
					      .earlier_count = 1,
					      .report = {.maps = {&map, 1},
							 .phases = &phase,
							 .phase_count = 1},
					      .done_maps = {&map, 1},
					      .phases = &phase,
					      .phase_count = 1};

	(void)state;
	checkpoint_encode(&checkpoint, &encoded);
	assert_int_equal(buffer_error(&encoded), 0);
	fail_each(try_checkpoint, NULL);
	buffer_free(&encoded);
}

static struct stack stack;
static struct nat_table *nat;
static struct tunnel_set *tunnels;
static struct report report;
static struct merge *merge;

static void number_end(struct flow_key *key, int end, uint32_t number)
{
	key->addr[end].bytes[14] = (uint8_t)(number >> 8);
	key->addr[end].bytes[15] = (uint8_t)number;
}

static struct conntrack_entry entry_of(const struct flow_key *key, uint32_t number)
{
	struct conntrack_entry entry = {.protocol = key->protocol,
					.family = AF_INET,
					.status = IPS_SRC_NAT,
					.id = number + 1};

	memcpy(entry.original.source, key->addr[0].bytes, 16);
	memcpy(entry.original.destination, key->addr[1].bytes, 16);
	entry.original.source_port = key->port[0];
	entry.original.destination_port = key->port[1];
	memcpy(entry.reply.source, key->addr[1].bytes, 16);
	memcpy(entry.reply.destination, key->addr[0].bytes, 16);
	entry.reply.destination[12] = 203;
	entry.reply.source_port = key->port[1];
	entry.reply.destination_port = htons((uint16_t)(number + 1));
	return entry;
}

/* Many flows over a bridge of which a part is watched, some of them translated, one a tunnel. */
static void make_host(void)
{
	struct flow_key key = stack_key("10.0.0.1", 40000, "198.51.100.1", 443);
	struct link_tunnel outer = {.protocols = {IPPROTO_GRE}};

	stack_init(&stack);
	assert_int_equal(nat_table_new(&nat), 0);
	assert_int_equal(tunnel_set_new(&tunnels), 0);
	stack_add(&stack, "br0", "bridge");
	stack_add(&stack, "eth0", "physical");
	stack_add(&stack, "eth1", "physical");
	stack_port(&stack, "eth0", "br0");
	stack_port(&stack, "eth1", "br0");
	stack_exclude(&stack, "eth1");
	stack_over(&stack, "mv0", "macvlan", "eth0");
	stack_resolve(&stack);
	for (uint32_t n = 0; n < FLOWS; n++) {
		struct conntrack_entry entry;

		number_end(&key, 0, n);
		stack_in(&stack, "eth0", &key, 0, n + 1);
		stack_in(&stack, "br0", &key, 0, n + 1);
		stack_in(&stack, "mv0", &key, 0, 1);
		entry = entry_of(&key, n);
		if (n % 2)
			assert_int_equal(nat_table_update(nat, &entry), 0);
	}
	assert_int_equal(tunnel_set_add(tunnels, stack.links[1].id, &outer), 0);
	key.protocol = IPPROTO_GRE;
	key.port[0] = key.port[1] = 0;
	stack_out(&stack, "br0", NULL, &key, 0, 1);
	stack.nat = nat;
	stack.tunnels = tunnels;
	stack_report(&stack, &report);
}

static void clean_host(void)
{
	report_clean(&report);
	tunnel_set_free(tunnels);
	nat_table_free(nat);
	stack_clean(&stack);
}

static int report_of(const struct merge *from, struct report *made)
{
	struct merge_interface interfaces[STACK_MAX];
	const struct merge_ends ends = {.nat = nat, .locals = stack.locals, .tunnels = tunnels};
	size_t count = 0;

	for (size_t i = 0; i < stack.count; i++)
		if (stack.links[i].id)
			interfaces[count++] = (struct merge_interface){.id = stack.links[i].id,
								       .life = 1 + i / 2,
								       .ifindex = 1 + (uint32_t)i,
								       .name = stack.names[i],
								       .role = &stack.roles[i]};
	return merge_report((struct merge *)from, interfaces, count, &ends, made);
}

static int try_report(void)
{
	struct report made = {0};
	int err = report_of(stack.merge, &made);

	report_clean(&made);
	return err;
}

/* What could not be reported is all there for the next report. */
static void check_nothing_is_lost(void)
{
	struct report again = {0};

	assert_int_equal(report_of(stack.merge, &again), 0);
	assert_int_equal(again.flow_count, report.flow_count);
	assert_int_equal(again.total.bytes, report.total.bytes);
	assert_int_equal(again.total.packets, report.total.packets);
	report_clean(&again);
}

static void test_report(void **state)
{
	(void)state;
	make_host();
	fail_each(try_report, check_nothing_is_lost);
	clean_host();
}

/* A merge from its beginning, with a second interval. */
static int try_merge(void)
{
	struct flow_key key = stack_key("10.0.0.1", 40000, "198.51.100.1", 443);
	const struct flow_value value = {.count[0][FLOW_INGRESS] = {.bytes = 100, .packets = 1}};
	struct merge *copy = NULL;
	struct report made = {0};
	int err = merge_new(&merge);

	for (uint32_t n = 0; n < FLOWS && !err; n++) {
		number_end(&key, 0, n);
		err = merge_add(merge, stack.links[1].id, &key, &value, 1);
	}
	if (!err)
		err = merge_copy(&copy, merge);
	if (!err)
		err = report_of(copy, &made);
	if (!err) {
		merge_next_interval(copy);
		err = merge_add(copy, stack.links[1].id, &key, &value, 1);
	}
	report_clean(&made);
	merge_free(copy);
	merge_free(merge);
	merge = NULL;
	return err;
}

static void test_merge(void **state)
{
	(void)state;
	make_host();
	fail_each(try_merge, NULL);
	clean_host();
}

/* What a later agent goes on with. */
static int try_merge_bytes(void)
{
	struct flow_key key = stack_key("10.0.0.1", 40000, "198.51.100.1", 443);
	const struct flow_value value = {.count[0][FLOW_INGRESS] = {.bytes = 100, .packets = 1}};
	struct buffer bytes = {0};
	struct merge *later = NULL;
	int err = merge_new(&merge);

	if (!err)
		err = merge_add(merge, stack.links[1].id, &key, &value, 1);
	if (!err) {
		merge_encode(merge, &bytes);
		err = buffer_error(&bytes);
	}
	if (!err)
		err = merge_new(&later);
	if (!err) {
		err = merge_decode(later, bytes.data, bytes.size);
		assert_int_equal(merge_flow_count(later), err ? 0 : 1);
	}
	buffer_free(&bytes);
	merge_free(later);
	merge_free(merge);
	merge = NULL;
	return err;
}

static void test_merge_bytes(void **state)
{
	(void)state;
	make_host();
	fail_each(try_merge_bytes, NULL);
	clean_host();
}

static int try_looks(void)
{
	static const char *const names[] = {"br0", "eth0"};
	struct filter only = {0}, none = {0};
	struct report made = {0};
	struct rates rates = {0};
	int err;

	err = filter_add_protocol(&only, 6);
	if (!err)
		err = filter_add_interface(&only, names[1]);
	if (!err)
		err = report_of(stack.merge, &made);
	if (!err)
		err = phase_join(&made);
	if (!err)
		err = report_filter(&made, &only, &none);
	if (!err)
		err = rates_note(&rates, &made);
	rates_clean(&rates);
	report_clean(&made);
	filter_clean(&only);
	return err;
}

static void test_looks(void **state)
{
	(void)state;
	make_host();
	fail_each(try_looks, check_nothing_is_lost);
	clean_host();
}

static int try_roles(void)
{
	struct topology_role roles[STACK_MAX], copy;
	int err = topology_resolve(stack.links, stack.count, roles);

	if (err)
		return err;
	err = topology_role_copy(&copy, &roles[1]);
	if (!err)
		topology_role_clean(&copy);
	for (size_t i = 0; i < stack.count; i++)
		topology_role_clean(&roles[i]);
	return err;
}

static void test_roles(void **state)
{
	(void)state;
	make_host();
	fail_each(try_roles, NULL);
	clean_host();
}

static int try_tables(void)
{
	struct flow_key key = stack_key("10.0.0.1", 40000, "198.51.100.1", 443);
	struct link_tunnel outer = {.protocols = {IPPROTO_GRE}};
	struct local_set *locals = NULL;
	struct tunnel_set *set = NULL;
	struct nat_table *table = NULL;
	int err = nat_table_new(&table);

	if (!err)
		err = local_set_new(&locals);
	if (!err)
		err = tunnel_set_new(&set);
	for (uint32_t n = 0; n < FLOWS && !err; n++) {
		struct conntrack_entry entry;

		number_end(&key, 0, n);
		entry = entry_of(&key, n);
		err = nat_table_update(table, &entry);
		if (!err)
			err = local_set_add(locals, 1 + n % 3, key.addr[0].bytes);
		if (!err)
			err = tunnel_set_add(set, n + 1, &outer);
	}
	tunnel_set_free(set);
	local_set_free(locals);
	nat_table_free(table);
	return err;
}

static void test_tables(void **state)
{
	(void)state;
	fail_each(try_tables, NULL);
}

static void (*format)(struct buffer *out, const struct report *report);

static int try_format(void)
{
	struct buffer out = {0};
	int err;

	format(&out, &report);
	err = buffer_error(&out);
	buffer_free(&out);
	return err;
}

static void test_formats(void **state)
{
	(void)state;
	make_host();
	report_limit(&report, 10);
	format = format_text;
	fail_each(try_format, NULL);
	format = format_table;
	fail_each(try_format, NULL);
	format = format_json;
	fail_each(try_format, NULL);
	clean_host();
}

static int try_metrics(void)
{
	const struct metrics_now now = {0};
	struct metrics *metrics = NULL;
	struct buffer out = {0};
	int err = metrics_new(&metrics);

	if (!err)
		err = metrics_add_report(metrics, &report);
	if (!err) {
		metrics_format(&out, metrics, &now, true);
		err = buffer_error(&out);
	}
	buffer_free(&out);
	metrics_free(metrics);
	return err;
}

static void test_metrics(void **state)
{
	(void)state;
	make_host();
	fail_each(try_metrics, NULL);
	clean_host();
}

static json_t *answer;

static int try_views(void)
{
	struct buffer out = {0};
	int err;

	view_status(&out, answer);
	view_interfaces(&out, answer);
	view_flows(&out, answer, false, 0);
	err = buffer_error(&out);
	buffer_free(&out);
	return err;
}

static void test_views(void **state)
{
	(void)state;
	answer = json_loads(
		"{\"problems\":[\"one\"],\"interfaces\":[{\"name\":\"eth0\"}],\"flows\":[{}]}", 0,
		NULL);
	assert_non_null(answer);
	fail_each(try_views, NULL);
	json_decref(answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config),	   cmocka_unit_test(test_link),
		cmocka_unit_test(test_checkpoint), cmocka_unit_test(test_report),
		cmocka_unit_test(test_merge),	   cmocka_unit_test(test_merge_bytes),
		cmocka_unit_test(test_looks),	   cmocka_unit_test(test_roles),
		cmocka_unit_test(test_tables),	   cmocka_unit_test(test_formats),
		cmocka_unit_test(test_metrics),	   cmocka_unit_test(test_views),
	};

	return cmocka_run_group_tests_name("no_memory", tests, NULL, NULL);
}
