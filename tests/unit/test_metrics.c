// SPDX-License-Identifier: GPL-2.0-only
#include "lib/array.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "metrics/exposition.h"
#include "metrics/metrics.h"
#include "report/report.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static struct metrics *metrics;
static struct buffer text;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(metrics_new(&metrics), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	metrics_free(metrics);
	buffer_free(&text);
	return 0;
}

static const char *text_of(const struct metrics_now *now, bool open)
{
	buffer_reset(&text);
	metrics_format(&text, metrics, now, open);
	buffer_char(&text, '\0');
	assert_int_equal(buffer_error(&text), 0);
	return text.data;
}

static const char *text_now(void)
{
	return text_of(&(struct metrics_now){0}, false);
}

/* The value of the series, which is there once. */
static uint64_t value_of(const char *all, const char *series)
{
	char line[256];
	const char *at;

	snprintf(line, sizeof(line), "\n%s ", series);
	at = strstr(all, line);
	if (!at)
		fail_msg("no %s", series);
	assert_null(strstr(at + 1, line));
	return strtoull(at + strlen(line), NULL, 10);
}

static size_t lines_with(const char *all, const char *part)
{
	size_t n = 0;

	for (const char *at = all; (at = strstr(at, part)); at++)
		n++;
	return n;
}

/* Two counts, in and out, of each interface; a flow of that size. */
static void add_report(const char *const *names, size_t count, uint64_t in, uint64_t out)
{
	struct report report = {
		.interfaces = calloc(count + 1, sizeof(*report.interfaces)),
		.interface_count = count,
		.flow_count = 1,
		.total = {.bytes = count * (in + out), .packets = 2 * count},
	};

	assert_non_null(report.interfaces);
	for (size_t i = 0; i < count; i++) {
		strcpy(report.interfaces[i].name, names[i]);
		report.interfaces[i].counted[0] = (struct flow_count){in, 1};
		report.interfaces[i].counted[1] = (struct flow_count){out, 1};
	}
	assert_int_equal(metrics_add_report(metrics, &report), 0);
	free(report.interfaces);
}

static void test_sums_of_reports(void **state)
{
	static const char *const both[] = {"eth0", "lo"}, *const lo[] = {"lo"};
	const char *all;

	(void)state;
	add_report(both, 2, 100, 7);
	add_report(lo, 1, 20, 3);
	all = text_now();
	assert_int_equal(
		value_of(all,
			 "flowtally_interface_bytes_total{interface=\"lo\",direction=\"receive\"}"),
		120);
	assert_int_equal(
		value_of(
			all,
			"flowtally_interface_bytes_total{interface=\"lo\",direction=\"transmit\"}"),
		10);
	/* not in the last report any more */
	assert_int_equal(value_of(all, "flowtally_interface_bytes_total{interface=\"eth0\","
				       "direction=\"receive\"}"),
			 100);
	assert_int_equal(value_of(all, "flowtally_interface_packets_total{interface=\"lo\","
				       "direction=\"transmit\"}"),
			 2);
	assert_int_equal(value_of(all, "flowtally_bytes_total"), 237);
	assert_int_equal(value_of(all, "flowtally_packets_total"), 6);
	assert_int_equal(value_of(all, "flowtally_flows_total"), 2);
	assert_int_equal(value_of(all, "flowtally_report_flows"), 1);
	assert_int_equal(value_of(all, "flowtally_reports_total"), 2);
	metrics_add_failure(metrics);
	assert_int_equal(value_of(text_now(), "flowtally_report_failures_total"), 1);
}

/* What a report says beside its flows. */
static void test_what_is_in_no_line(void **state)
{
	struct report_unattributed unattributed[] = {
		{.reason = "non_ip", .count = {42, 1}},
		{.reason = "map_full", .count = {300, 3}},
		{.reason = "map_full", .count = {100, 1}},
		{.reason = "before_attach", .count = {5, 5}},
		{.reason = "malformed", .count = {20, 2}},
	};
	struct report_sum tunnels[] = {{.count = {1000, 10}}, {.count = {500, 5}}};
	struct report report = {
		.flow_count = 2,
		.total = {.bytes = 10, .packets = 2},
		.filtered = {.flows = 3, .count = {90, 9}},
		.tunnels = tunnels,
		.tunnel_count = ARRAY_SIZE(tunnels),
		.unattributed = unattributed,
		.unattributed_count = ARRAY_SIZE(unattributed),
	};
	const char *all;

	(void)state;
	assert_int_equal(metrics_add_report(metrics, &report), 0);
	all = text_now();
	assert_int_equal(value_of(all, "flowtally_bytes_total"), 100);
	assert_int_equal(value_of(all, "flowtally_packets_total"), 11);
	assert_int_equal(value_of(all, "flowtally_report_flows"), 5);
	assert_int_equal(value_of(all, "flowtally_tunnel_outer_bytes_total"), 1500);
	assert_int_equal(value_of(all, "flowtally_tunnel_outer_packets_total"), 15);
	assert_int_equal(value_of(all, "flowtally_unattributed_bytes_total{reason=\"map_full\"}"),
			 400);
	assert_int_equal(value_of(all, "flowtally_unattributed_packets_total{reason=\"map_full\"}"),
			 4);
	assert_int_equal(value_of(all, "flowtally_unattributed_bytes_total{reason=\"non_ip\"}"),
			 42);
	assert_int_equal(value_of(all,
				  "flowtally_unattributed_packets_total{reason=\"before_attach\"}"),
			 5);
	assert_int_equal(value_of(all, "flowtally_unattributed_bytes_total{reason=\"malformed\"}"),
			 20);
}

/* A host whose containers come and go for ever. Sums never fall, and nothing is forgotten. */
static void test_interfaces_that_went_are_bounded(void **state)
{
	uint64_t before = 0;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		static char name[16], other[16];
		const char *const names[] = {"eth0", name, other};
		const char *all;
		size_t series;

		snprintf(name, sizeof(name), "veth%d", i);
		snprintf(other, sizeof(other), "w%d", i % 7);
		add_report(names, 3, 10, 0);
		if (i % 100 != 99)
			continue;
		all = text_now();
		series = lines_with(all, "flowtally_interface_bytes_total{");
		/* and eth0, two names of this report, /gone; both directions */
		assert_true(series >= 1 && series <= 2 * (METRICS_GONE_MAX + 4));
		assert_int_equal(value_of(all, "flowtally_interface_bytes_total{interface=\"eth0\","
					       "direction=\"receive\"}"),
				 (i + 1) * 10);
		assert_int_equal(value_of(all, "flowtally_bytes_total"), (i + 1) * 30);
		assert_true(value_of(all, "flowtally_interface_bytes_total{interface=\"/gone\","
					  "direction=\"receive\"}") >= before);
		before = value_of(all, "flowtally_interface_bytes_total{interface=\"/gone\","
				       "direction=\"receive\"}");
	}
	/* 2000 names, one of them in the last report, METRICS_GONE_MAX others kept; six more of the
	 * seven w are always among those */
	assert_int_equal(before, 10 * (2000 - 1 - (METRICS_GONE_MAX - 6)));
}

/* All of one interval go at once, more than may stay. */
static void test_many_go_at_once(void **state)
{
	static char names[2 * METRICS_GONE_MAX][16];
	const char *list[2 * METRICS_GONE_MAX], *const eth0[] = {"eth0"};
	const char *all;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(names[i], sizeof(names[i]), "v%zu", i);
		list[i] = names[i];
	}
	add_report(list, ARRAY_SIZE(list), 1, 0);
	all = text_now();
	/* those of the last report have their series, however many they are */
	assert_int_equal(lines_with(all, "flowtally_interface_bytes_total{"),
			 2 * (ARRAY_SIZE(list) + 1));
	add_report(eth0, 1, 1, 0);
	all = text_now();
	assert_int_equal(lines_with(all, "flowtally_interface_bytes_total{"), 4);
	assert_int_equal(value_of(all, "flowtally_interface_bytes_total{interface=\"/gone\","
				       "direction=\"receive\"}"),
			 ARRAY_SIZE(list));
}

static void test_durations(void **state)
{
	static const char bucket[] =
		"flowtally_report_stage_duration_seconds_bucket{stage=\"merge\",le=\"%s\"}";
	static const struct {
		const char *bound;
		uint64_t count;
	} cases[] = {{"0.001", 2}, {"0.0025", 3}, {"0.005", 3},
		     {"1.0", 4},   {"10.0", 4},	  {"+Inf", 5}};
	const char *all;

	(void)state;
	metrics_add_duration(metrics, METRICS_MERGE, 0);
	metrics_add_duration(metrics, METRICS_MERGE, 1000000);
	metrics_add_duration(metrics, METRICS_MERGE, 1000001);
	metrics_add_duration(metrics, METRICS_MERGE, 700 * NSEC_PER_MSEC);
	metrics_add_duration(metrics, METRICS_MERGE, 3600 * NSEC_PER_SEC);
	all = text_now();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char series[128];

		snprintf(series, sizeof(series), bucket, cases[i].bound);
		assert_int_equal(value_of(all, series), cases[i].count);
	}
	assert_non_null(strstr(all, "\nflowtally_report_stage_duration_seconds_sum"
				    "{stage=\"merge\"} 3600.702000001\n"));
	assert_int_equal(value_of(all,
				  "flowtally_report_stage_duration_seconds_count{stage=\"merge\"}"),
			 5);
	assert_int_equal(value_of(all,
				  "flowtally_report_stage_duration_seconds_count{stage=\"drain\"}"),
			 0);
}

static void test_what_is_looked_up(void **state)
{
	/* two of one name, as may seem to be in a moment of renaming */
	struct metrics_map maps[] = {{"veth1", 7}, {"eth0", 5}, {"veth1", 1}};
	const struct metrics_now now = {
		.links = 4,
		.wanted = 3,
		.monitored = 2,
		.attached_tcx = 9,
		.attached_clsact = 8,
		.attach_failures = 6,
		.detached = 11,
		.overruns = 12,
		.early_swaps = 13,
		.map_entries = 65536,
		.maps = maps,
		.map_count = ARRAY_SIZE(maps),
	};
	const char *all = text_of(&now, false);

	(void)state;
	assert_int_equal(value_of(all, "flowtally_interfaces{state=\"present\"}"), 4);
	assert_int_equal(value_of(all, "flowtally_interfaces{state=\"wanted\"}"), 3);
	assert_int_equal(value_of(all, "flowtally_interfaces{state=\"monitored\"}"), 2);
	assert_int_equal(value_of(all, "flowtally_attaches_total{mode=\"tcx\"}"), 9);
	assert_int_equal(value_of(all, "flowtally_attaches_total{mode=\"clsact\"}"), 8);
	assert_int_equal(value_of(all, "flowtally_attach_failures_total"), 6);
	assert_int_equal(value_of(all, "flowtally_detaches_total"), 11);
	assert_int_equal(value_of(all, "flowtally_netlink_overruns_total"), 12);
	assert_int_equal(value_of(all, "flowtally_map_early_swaps_total"), 13);
	assert_int_equal(value_of(all, "flowtally_map_flows_limit"), 65536);
	assert_int_equal(value_of(all, "flowtally_map_flows{interface=\"eth0\"}"), 5);
	assert_int_equal(value_of(all, "flowtally_map_flows{interface=\"veth1\"}"), 8);
}

static void test_names_are_quoted(void **state)
{
	static const char *const names[] = {"a\"b", "a\\b", "x\xff", "x\xfe", "\xc3\xbc"};
	const char *all;

	(void)state;
	add_report(names, ARRAY_SIZE(names), 1, 0);
	all = text_now();
	assert_non_null(strstr(all, "{interface=\"a\\\"b\","));
	assert_non_null(strstr(all, "{interface=\"a\\\\x5Cb\","));
	assert_non_null(strstr(all, "{interface=\"x\\\\xFF\","));
	assert_non_null(strstr(all, "{interface=\"x\\\\xFE\","));
	assert_non_null(strstr(all, "{interface=\"\xc3\xbc\","));
}

/* A strict reader of both syntaxes */

static bool is_name(const char *name, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!islower((unsigned char)name[i]) && name[i] != '_' &&
		    !(i && isdigit((unsigned char)name[i])))
			return false;
	return size;
}

/* Behind the labels at p, or NULL. */
static const char *read_labels(const char *p)
{
	if (*p != '{')
		return p;
	do {
		const char *equals = strchr(++p, '=');

		if (!equals || !is_name(p, (size_t)(equals - p)) || equals[1] != '"')
			return NULL;
		for (p = equals + 2; *p != '"'; p++) {
			if (*p == '\\' && !strchr("\\\"n", *++p))
				return NULL;
			if (!*p || *p == '\n')
				return NULL;
		}
		p++;
	} while (*p == ',');
	return *p == '}' ? p + 1 : NULL;
}

struct family {
	char name[128];
	char type[16];
};

static bool is_of_family(const struct family *family, const char *name, size_t size, bool open)
{
	static const char *const none[] = {"", NULL}, *const total[] = {"_total", NULL};
	static const char *const histogram[] = {"_bucket", "_sum", "_count", NULL};
	const char *const *suffixes = !strcmp(family->type, "histogram")	 ? histogram
				      : open && !strcmp(family->type, "counter") ? total
										 : none;
	size_t base = strlen(family->name);

	for (; *suffixes; suffixes++)
		if (size == base + strlen(*suffixes) && !strncmp(name, family->name, base) &&
		    !strncmp(name + base, *suffixes, strlen(*suffixes)))
			return true;
	return false;
}

static void check_line(struct family *family, const char *line, bool open)
{
	size_t size = strcspn(line, "{ ");
	const char *value = read_labels(line + size);
	char *end;

	if (sscanf(line, "# HELP %127s", family->name) == 1) {
		family->type[0] = '\0';
		return;
	}
	if (*line == '#') {
		char name[128];

		assert_int_equal(sscanf(line, "# TYPE %127s %15s", name, family->type), 2);
		assert_string_equal(name, family->name);
		assert_int_equal(!strcmp(family->type, "counter") && !open,
				 strlen(name) > 6 && !strcmp(name + strlen(name) - 6, "_total"));
		return;
	}
	assert_true(is_of_family(family, line, size, open));
	if (!value || *value != ' ')
		fail_msg("bad sample: %s", line);
	assert_true(isdigit((unsigned char)value[1]));
	(void)strtod(value + 1, &end);
	assert_string_equal(end, "");
}

static void check_syntax(const char *all, bool open)
{
	_free_ char *copy = strdup(all);
	struct family family = {0};
	size_t size = strlen(copy);

	if (open) {
		assert_true(size > 6 && !strcmp(copy + size - 6, "# EOF\n"));
		copy[size - 6] = '\0';
	}
	assert_null(strstr(copy, "# EOF"));
	for (char *line = strtok(copy, "\n"); line; line = strtok(NULL, "\n")) {
		char series[256];

		check_line(&family, line, open);
		if (*line == '#')
			continue;
		/* each series once */
		snprintf(series, sizeof(series), "%.*s", (int)(strrchr(line, ' ') - line), line);
		(void)value_of(all, series);
	}
	/* no metric twice either */
	for (const char *at = all; (at = strstr(at, "# TYPE ")); at++) {
		char head[160];

		snprintf(head, sizeof(head), "# TYPE %.*s ", (int)strcspn(at + 7, " "), at + 7);
		assert_int_equal(lines_with(all, head), 1);
	}
}

static void test_syntax(void **state)
{
	static const char *const names[] = {"a\"b", "br0", "eth0", "x\xff y"};
	struct metrics_map maps[] = {{"a\"b", 7}, {"eth0", 5}};
	const struct metrics_now now = {.maps = maps, .map_count = ARRAY_SIZE(maps)};

	(void)state;
	check_syntax(text_of(&(struct metrics_now){0}, false), false);
	add_report(names, ARRAY_SIZE(names), 100, 50);
	metrics_add_duration(metrics, METRICS_WRITE, 1234567);
	check_syntax(text_of(&now, false), false);
	check_syntax(text_of(&now, true), true);
	assert_non_null(
		strstr(text.data, "# TYPE flowtally_bytes counter\nflowtally_bytes_total "));
	assert_non_null(strstr(text_of(&now, false),
			       "# TYPE flowtally_bytes_total counter\nflowtally_bytes_total "));
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_sums_of_reports),
		test(test_what_is_in_no_line),
		test(test_interfaces_that_went_are_bounded),
		test(test_many_go_at_once),
		test(test_durations),
		test(test_what_is_looked_up),
		test(test_names_are_quoted),
		test(test_syntax),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
