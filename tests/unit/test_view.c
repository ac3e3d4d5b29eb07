// SPDX-License-Identifier: GPL-2.0-only
/* Answers of the agent as people see them. */
#include "control/text.h"
#include "control/view.h"
#include "lib/array.h"
#include "lib/buffer.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static struct buffer out;

static int setup(void **state)
{
	(void)state;
	out = (struct buffer){0};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buffer_free(&out);
	return 0;
}

static json_t *parse(const char *text)
{
	json_error_t error;
	json_t *object = json_loads(text, 0, &error);

	if (!object)
		fail_msg("%s at %d", error.text, error.position);
	return object;
}

static void assert_out(const char *expected)
{
	assert_int_equal(buffer_error(&out), 0);
	buffer_char(&out, 0);
	assert_string_equal(out.data, expected);
}

static const char status_text[] =
	"{\"version\":\"0.1.0\",\"pid\":812,\"health\":\"degraded\",\"problems\":[\"eth5: cannot "
	"attach: No\\u001b[2J memory\"],\"uptime\":7500.5,\"config\":{\"file\":null,\"interval\":"
	"60,\"format\":\"text\"},\"attach\":{\"mode\":\"auto\",\"tcx\":2,\"clsact\":1},"
	"\"interfaces\":{\"present\":5,\"wanted\":4,\"monitored\":3},\"interval\":{\"seconds\":"
	"12.34,\"next_report\":47.66,\"flows\":12,\"network\":{\"bytes\":2048,\"packets\":20},"
	"\"summed\":{\"flows\":3,\"network\":{\"bytes\":24,\"packets\":3}},"
	"\"unattributed\":{\"non_ip\":{\"bytes\":28,\"packets\":1}}},\"totals\":{\"reports\":125,"
	"\"flows\":900,\"network\":{\"bytes\":1048576,\"packets\":2000},\"summed\":{\"flows\":7,"
	"\"network\":{\"bytes\":1000,\"packets\":9}},\"unattributed\":{"
	"\"non_ip\":{\"bytes\":56,\"packets\":2},\"malformed\":{\"bytes\":0,\"packets\":0},"
	"\"map_full\":{\"bytes\":1500,\"packets\":1}}},\"maps\":{\"limit\":65536,\"fullest\":{"
	"\"interface\":\"e th\",\"entries\":300}},\"losses\":{\"maps_unread\":0,"
	"\"link_overruns\":2,\"connection_overruns\":0},\"coverage\":{\"percent\":99.5,"
	"\"interface\":\"e th\",\"unknown\":1,\"ended\":{\"missed\":{\"packets\":3}},"
	"\"repairs\":2},\"nat\":{\"joining\":true,"
	"\"conversations\":7},\"output\":{\"name\":\"standard output\",\"broken\":true,\"error\":"
	"\"No space left on device\"},\"cost\":{\"cpu\":{\"user\":0.5,\"system\":0.25},"
	"\"memory\":{\"resident\":5242880,\"kernel\":1048576},\"hook_ns\":41.6}}";

static void test_status(void **state)
{
	json_t *status = parse(status_text);

	(void)state;
	view_status(&out, status);
	assert_false(view_is_healthy(status));
	json_decref(status);
	assert_out("flowtally 0.1.0, pid 812, up 2 h 5 min: degraded\n"
		   "! problem      eth5: cannot attach: No\\x1B[2J memory\n"
		   "configuration  built-in defaults, every 60 s as text\n"
		   "interfaces     3 of 5 monitored, 4 wanted (tcx 2, clsact 1, mode auto)\n"
		   "this interval  12 flows, 2.0 KiB in 20 packets in 12.3 s; next report in 47.7 "
		   "s\n"
		   "reported       125 reports, 900 flows, 1.0 MiB in 2000 packets\n"
		   "max_flows      10 flows beyond it, 1.0 KiB in 12 packets, are known as sums "
		   "only\n"
		   "unattributed   non_ip 84 B in 3 packets, map_full 1.5 KiB in 1 packets\n"
		   "coverage       99.50 % on e\\x20th, the worst; 1 interfaces not compared; "
		   "interfaces that ended missed 3 packets; 2 repairs\n"
		   "flow maps      fullest e\\x20th, 300 of 65536 entries\n"
		   "lost           0 maps unread; notifications overran 2 times (links), 0 times "
		   "(connections)\n"
		   "NAT            joining, 7 translated conversations\n"
		   "output         standard output: broken: No space left on device\n"
		   "own cost       0.75 s CPU (0.01 %), memory 5.0 MiB and 1.0 MiB in the kernel, "
		   "42 ns a packet and hook\n");
}

/* No text of an answer steers the terminal, whatever member it is in. */
static void test_status_of_a_stranger(void **state)
{
	json_t *status = parse(
		"{\"version\":\"\\u001b1\",\"health\":\"\\u001b2\",\"config\":{\"file\":"
		"\"\\u001b3\","
		"\"format\":\"\\u001b4\"},\"attach\":{\"mode\":\"\\u001b5\"},\"maps\":{\"fullest\":"
		"{\"interface\":\"\\u001b6\"}},\"nat\":{\"reason\":\"\\u001b7\"},\"output\":{"
		"\"name\":"
		"\"\\u001b8\",\"error\":\"\\u001b9\"},\"totals\":{\"unattributed\":{\"\\u001bA\":"
		"{\"packets\":1}}}}");

	(void)state;
	view_status(&out, status);
	json_decref(status);
	assert_int_equal(buffer_error(&out), 0);
	assert_null(memchr(out.data, '\x1b', out.size));
	buffer_char(&out, 0);
	for (const char *mark = "123456789A"; *mark; mark++) {
		const char shown[] = {'\\', 'x', '1', 'B', *mark, 0};

		assert_non_null(strstr(out.data, shown));
	}
}

static void test_numbers_of_a_stranger(void **state)
{
	json_t *flows =
		parse("{\"flows\":[{\"source\":{\"rate\":1e300},\"destination\":{\"rate\":"
		      "-1e300},\"network\":{\"bytes\":1}},{\"network\":{\"bytes\":1e300}}]}");

	(void)state;
	assert_int_equal(control_whole(-1e300), 0);
	assert_int_equal(control_whole(0.9), 0);
	assert_int_equal(control_whole(0x1p63), 1ULL << 63);
	assert_int_equal(control_whole(0x1p64), UINT64_MAX);
	control_put_time(&out, 1e300);
	buffer_char(&out, '\n');
	view_flows(&out, flows, false, 0);
	json_decref(flows);
	assert_int_equal(buffer_error(&out), 0);
	buffer_char(&out, 0);
	assert_non_null(strstr(out.data, "213503982334601 d 7 h\n"));
	assert_non_null(strstr(out.data, "16.0 EiB"));
	/* one that is larger than the largest has no longer bar */
	assert_non_null(strstr(out.data, " ##########\n"));
	assert_null(strstr(out.data, "###########"));
}

static void test_interfaces(void **state)
{
	json_t *answer = parse(
		"{\"interfaces\":[{\"index\":1,\"name\":\"lo\",\"kind\":\"loopback\",\"state\":"
		"\"monitored\",\"attach\":{\"mode\":\"tcx\",\"ingress\":{\"position\":1,\"count\":"
		"1},"
		"\"egress\":{\"position\":2,\"count\":3}},\"coverage\":{\"percent\":100.0},"
		"\"interval\":{\"flows\":2,\"in\":{"
		"\"bytes\":"
		"100,\"packets\":1},\"out\":{\"bytes\":2048,\"packets\":2}},\"total\":{\"in\":{"
		"\"bytes\":1000},\"out\":{\"bytes\":4096},\"unattributed\":{\"non_ip\":{\"bytes\":"
		"28,"
		"\"packets\":1},\"malformed\":{\"bytes\":0,\"packets\":0}}},\"map\":{\"entries\":1,"
		"\"limit\":200}},{\"index\":12,\"name\":\"a b\\u001b\",\"kind\":\"veth\",\"state\":"
		"\"failed\",\"reason\":\"cannot attach: No memory\"}]}");

	(void)state;
	view_interfaces(&out, answer);
	assert_false(view_all_attached(answer));
	json_decref(answer);
	assert_out("INDEX  NAME        KIND      ATTACHED                  FLOWS     IN      OUT  "
		   "MAP  TOTAL IN  TOTAL OUT  COVERAGE  UNATTRIBUTED\n"
		   "    1  lo          loopback  tcx 1/1 2/3                   2  100 B  2.0 KiB  "
		   "1 %    1000 B    4.0 KiB     100 %  non_ip 28 B\n"
		   "   12  a\\x20b\\x1B  veth      cannot attach: No memory\n");
}

static void test_flows(void **state)
{
	json_t *answer = parse(
		"{\"interval\":{\"start\":\"2026-11-22T10:00:00.000Z\",\"seconds\":12.5,\"summed\":"
		"{\"flows\":4,\"network\":{\"bytes\":2048}}},\"sort\":"
		"\"bytes\",\"matched\":3,\"network\":{\"bytes\":3172,\"packets\":32},\"rate\":{"
		"\"sent\":2048.7,\"received\":10},\"flows\":[{\"source\":{\"ip\":\"192.0.2.1\","
		"\"port\":40000,\"bytes\":3000,\"rate\":2048.7},\"destination\":{\"ip\":"
		"\"2001:db8::1\",\"port\":443,\"bytes\":72,\"rate\":0},\"network\":{\"transport\":"
		"\"tcp\",\"bytes\":3072,\"packets\":30},\"flowtally\":{\"interfaces\":[\"br0\","
		"\"e\\u001b0\"]}},{\"source\":{\"ip\":\"192.0.2.1\",\"port\":0},\"destination\":{"
		"\"ip\":\"192.0.2.2\",\"port\":0},\"network\":{\"transport\":null,\"iana_number\":"
		"\"200\",\"bytes\":100,\"packets\":2}}]}");

	(void)state;
	view_flows(&out, answer, false, 0);
	assert_out(
		"3 flows by bytes; now 2.0 KiB/s -> and 10 B/s <-; 3.1 KiB in 32 packets, 12.5 s "
		"since 2026-11-22T10:00:00.000Z; beyond max_flows 4, 2.0 KiB\n"
		"PROTO  LEFT             RIGHT                 ->/s  <-/s    BYTES  PACKETS  "
		"SHARE       INTERFACES\n"
		"tcp    192.0.2.1:40000  [2001:db8::1]:443  2.0 KiB   0 B  3.0 KiB       30  "
		"##########  br0>e\\x1B0\n"
		"200    192.0.2.1:0      192.0.2.2:0            0 B   0 B    100 B        2  "
		"#\n");
	/* bytes stay on a narrow screen, and so do ports */
	buffer_reset(&out);
	view_flows(&out, answer, false, 63);
	buffer_append(&out, "", 1);
	assert_non_null(
		strstr(out.data,
		       "\nPROTO  LEFT             RIGHT               ->/s  <-/s    BYTES "));
	assert_non_null(
		strstr(out.data,
		       "\ntcp    192.0.2.1:40000  [2001:d~:1]:443  2.0 KiB   0 B  3.0 KiB "));
	json_decref(answer);
}

/* A bar has ten places for the largest, which is the first. */
static size_t bar_of_second_flow(const json_t *answer)
{
	const char *line;

	buffer_reset(&out);
	view_flows(&out, answer, false, 0);
	buffer_append(&out, "", 1);
	line = strstr(out.data, "udp");
	assert_non_null(line);
	line = strchr(line, '#');
	assert_non_null(line);
	return strspn(line, "#");
}

static void test_bars_show_what_is_sorted_by(void **state)
{
	static const struct {
		const char *sort;
		size_t places;
	} cases[] = {{"bytes", 5}, {"packets", 3}, {"rate", 4}, {"sent", 8}, {"received", 2}};
	json_t *answer = parse(
		"{\"flows\":[{\"source\":{\"bytes\":1000,\"rate\":50},\"destination\":{\"bytes\":"
		"1000,\"rate\":50},\"network\":{\"bytes\":2000,\"packets\":100}},{\"source\":{"
		"\"bytes\":800,\"rate\":10},\"destination\":{\"bytes\":200,\"rate\":30},"
		"\"network\":{\"bytes\":1000,\"packets\":30,\"transport\":\"udp\"}}]}");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_object_set_new(answer, "sort", json_string(cases[i].sort));
		assert_int_equal(bar_of_second_flow(answer), cases[i].places);
	}
	json_decref(answer);
}

/* An agent of another version, or something else altogether. */
static void test_answers_that_lack_all(void **state)
{
	static const char *const answers[] = {
		"{}",
		"[]",
		"{\"interval\":[],\"problems\":{}}",
		("{\"pid\":-1,\"problems\":[1,null],"
		 "\"interfaces\":[1,{},{\"attach\":1,\"interval\":[]}]}"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		json_t *answer = parse(answers[i]);

		view_status(&out, answer);
		view_interfaces(&out, answer);
		view_flows(&out, answer, true, 0);
		assert_false(view_is_healthy(answer));
		json_decref(answer);
	}
	assert_int_equal(buffer_error(&out), 0);
}

static void test_strings_are_valid(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {{"", ""},
		     {"eth0", "eth0"},
		     {"\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
		     {"a\xc3\xa4\xc3", "a\xc3\xa4\xef\xbf\xbd"},
		     {"\"\\\n", "\"\\\n"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *string = control_string(cases[i].text);

		assert_string_equal(json_string_value(string), cases[i].expected);
		json_decref(string);
	}
}

static void test_paths(void **state)
{
	json_t *object = parse("{\"a\":{\"b\":{\"c\":5},\"r\":1.5},\"s\":\"x\"}");

	(void)state;
	assert_int_equal(control_u64(object, "a.b.c"), 5);
	assert_true(control_real(object, "a.r") == 1.5);
	assert_true(control_real(object, "a.b.c") == 5);
	assert_string_equal(control_text(object, "s"), "x");
	assert_int_equal(control_u64(object, "a.b.x"), 0);
	assert_int_equal(control_u64(object, "a.b.c.d"), 0);
	assert_string_equal(control_text(object, "a.b.c"), "");
	assert_null(control_at(object, "a_key_that_is_longer_than_any_of_ours"));
	json_decref(object);
}

static void test_times(void **state)
{
	static const struct {
		double seconds;
		const char *text;
	} cases[] = {{-1, "0 s"},	  {0.9, "0 s"},
		     {59.9, "59 s"},	  {60, "1 min"},
		     {75, "1 min 15 s"},  {3600, "1 h"},
		     {7260, "2 h 1 min"}, {86400 * 12 + 3, "12 d"},
		     {90000, "1 d 1 h"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		buffer_reset(&out);
		control_put_time(&out, cases[i].seconds);
		assert_out(cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_numbers_of_a_stranger, setup, teardown),
		cmocka_unit_test_setup_teardown(test_status_of_a_stranger, setup, teardown),
		cmocka_unit_test_setup_teardown(test_status, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interfaces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bars_show_what_is_sorted_by, setup, teardown),
		cmocka_unit_test_setup_teardown(test_answers_that_lack_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strings_are_valid, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_times, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
