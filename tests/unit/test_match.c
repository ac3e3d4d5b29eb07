// SPDX-License-Identifier: GPL-2.0-only
#include "config/match.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char veth_altnames[][32] = {"uplink", "enp3s0 of rack 4"};
static const struct match_subject veth = {
	.ifindex = 17,
	.name = "veth12",
	.kind = "veth",
	.altnames = veth_altnames[0],
	.altname_size = sizeof(veth_altnames[0]),
	.altname_count = COUNT(veth_altnames),
};
static const struct match_subject lo = {.ifindex = 1, .name = "lo", .kind = "loopback"};
static const struct match_subject eth0 = {.ifindex = 2, .name = "eth0", .kind = "physical"};
static const struct match_subject alias = {.ifindex = 3, .name = "eth0:1", .kind = "physical"};

static bool matches(const char *pattern, const struct match_subject *subject)
{
	struct match_list list = {0};
	bool found;

	assert_int_equal(match_list_add(&list, pattern), 0);
	found = match_list_find(&list, subject) != NULL;
	match_list_clean(&list);
	return found;
}

static void test_globs_look_at_the_name(void **state)
{
	(void)state;
	assert_true(matches("*", &lo));
	assert_true(matches("veth*", &veth));
	assert_true(matches("veth1?", &veth));
	assert_true(matches("veth[0-9][0-9]", &veth));
	assert_true(matches("[!l]*", &veth));
	assert_false(matches("[!l]*", &lo));
	assert_true(matches("[^l]*", &veth));
	assert_true(matches("[[:alpha:]]*12", &veth));
	assert_true(matches("\\veth12", &veth));
	assert_false(matches("veth", &veth));
	assert_false(matches("veth1", &veth));
	assert_false(matches("VETH*", &veth));
}

static void test_globs_look_at_every_altname(void **state)
{
	(void)state;
	assert_true(matches("uplink", &veth));
	assert_true(matches("*rack?4", &veth));
	assert_false(matches("uplink", &eth0));
}

static void test_kinds(void **state)
{
	(void)state;
	assert_true(matches("kind:veth", &veth));
	assert_true(matches("kind:v*", &veth));
	assert_true(matches("kind:*", &lo));
	assert_true(matches("kind:physical", &eth0));
	assert_true(matches("kind:loopback", &lo));
	assert_false(matches("kind:physical", &lo));
	assert_false(matches("kind:veth12", &veth));
	/* a name is no kind */
	assert_false(matches("veth", &veth));
}

static void test_indices(void **state)
{
	(void)state;
	assert_true(matches("index:17", &veth));
	assert_true(matches("index:017", &veth));
	assert_false(matches("index:1", &veth));
	assert_false(matches("index:171", &veth));
}

static void test_other_prefixes_are_globs(void **state)
{
	(void)state;
	assert_true(matches("eth0:1", &alias));
	assert_true(matches("eth0:*", &alias));
	assert_null(match_check("kinf:veth"));
	assert_false(matches("kinf:veth", &veth));
}

static void test_check_accepts(void **state)
{
	static const char *const good[] = {
		"*",	       "a",	   "[]]",
		"[!]]",	       "[^]]",	   "[]a]",
		"\\[",	       "[[]",	   "[a[]",
		"[[:alpha:]]", "[[:x]",	   "[[.-.]]",
		"[[=a=]]",     "[\\]]",	   "a]",
		"]",	       "\\\\",	   "[a]b[c]",
		"index:1",     "kind:[a]", "index:2147483647",
		"kind:*",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		if (match_check(good[i]))
			fail_msg("'%s': %s", good[i], match_check(good[i]));
}

static void test_check_refuses(void **state)
{
	static const char *const index = "index: wants a number from 1 to 2147483647";
	static const char *const bracket = "bad glob: '[' without ']'";
	static const char *const backslash = "bad glob: '\\' at the end";
	static const char *const blank = "has a blank in it";
	const struct {
		const char *pattern, *message;
	} bad[] = {
		{"", "empty"},
		{"kind:", "kind: wants a glob"},
		{"index:", index},
		{"index:0", index},
		{"index:-1", index},
		{"index:+1", index},
		{"index:1a", index},
		{"index:0x1", index},
		{"index:*", index},
		{"index:2147483648", index},
		{"index:4294967297", index},
		{"index:18446744073709551617", index},
		{"index:99999999999999999999999999", index},
		{"index: 1", blank},
		{" ", blank},
		{"eth0 ", blank},
		{"eth0\n", blank},
		{"e\tth0", blank},
		{"[", bracket},
		{"[]", bracket},
		{"[!]", bracket},
		{"[!", bracket},
		{"eth[0-9", bracket},
		{"[a]b[c", bracket},
		{"[[:alpha:]", bracket},
		{"[\\]", bracket},
		{"[\\", bracket},
		{"kind:[", bracket},
		{"\\", backslash},
		{"eth\\", backslash},
		{"\\\\\\", backslash},
		{"kind:v\\", backslash},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		const char *message = match_check(bad[i].pattern);

		if (!message)
			fail_msg("'%s' was accepted", bad[i].pattern);
		assert_string_equal(message, bad[i].message);
	}
}

static void test_add_refuses_and_keeps_the_list(void **state)
{
	struct match_list list = {0};

	(void)state;
	assert_int_equal(match_list_add(&list, "lo"), 0);
	assert_int_equal(match_list_add(&list, "eth["), -EINVAL);
	assert_int_equal(match_list_add(&list, ""), -EINVAL);
	assert_int_equal(list.count, 1);
	assert_string_equal(list.patterns[0], "lo");
	match_list_clean(&list);
	assert_int_equal(list.count, 0);
	assert_null(list.patterns);
	match_list_clean(&list);
}

static void test_find_gives_the_first_match(void **state)
{
	struct match_list list = {0};

	(void)state;
	assert_null(match_list_find(&list, &veth));
	assert_int_equal(match_list_add(&list, "lo"), 0);
	assert_int_equal(match_list_add(&list, "kind:veth"), 0);
	assert_int_equal(match_list_add(&list, "veth*"), 0);
	assert_ptr_equal(match_list_find(&list, &veth), list.patterns[1]);
	assert_ptr_equal(match_list_find(&list, &lo), list.patterns[0]);
	assert_null(match_list_find(&list, &eth0));
	match_list_clean(&list);
}

static void test_long_list(void **state)
{
	struct match_list list = {0};
	char pattern[32];

	(void)state;
	for (unsigned int i = 1; i <= 5000; i++) {
		snprintf(pattern, sizeof(pattern), "index:%u", i + 100);
		assert_int_equal(match_list_add(&list, pattern), 0);
	}
	assert_null(match_list_find(&list, &veth));
	assert_int_equal(match_list_add(&list, "index:17"), 0);
	assert_ptr_equal(match_list_find(&list, &veth), list.patterns[5000]);
	match_list_clean(&list);
}

/* Whatever is accepted can be matched, and no accepted index pattern is a glob. */
static void test_random_patterns(void **state)
{
	static const char letters[] = "[]!^-\\*?:.=aeth0kind index";
	char pattern[13];
	struct match_list list;

	(void)state;
	srand(1);
	for (int round = 0; round < 20000; round++) {
		size_t size = (size_t)rand() % sizeof(pattern);

		for (size_t i = 0; i < size; i++)
			pattern[i] = letters[(size_t)rand() % (sizeof(letters) - 1)];
		pattern[size] = '\0';
		list = (struct match_list){0};
		assert_int_equal(match_list_add(&list, pattern),
				 match_check(pattern) ? -EINVAL : 0);
		match_list_find(&list, &veth);
		match_list_clean(&list);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_globs_look_at_the_name),
		cmocka_unit_test(test_globs_look_at_every_altname),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_indices),
		cmocka_unit_test(test_other_prefixes_are_globs),
		cmocka_unit_test(test_check_accepts),
		cmocka_unit_test(test_check_refuses),
		cmocka_unit_test(test_add_refuses_and_keeps_the_list),
		cmocka_unit_test(test_find_gives_the_first_match),
		cmocka_unit_test(test_long_list),
		cmocka_unit_test(test_random_patterns),
	};

	return cmocka_run_group_tests_name("match", tests, NULL, NULL);
}
