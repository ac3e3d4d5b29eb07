// SPDX-License-Identifier: GPL-2.0-only
#include "config/listen.h"
#include "lib/array.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static struct sockaddr_storage address;
static socklen_t size;

static void test_ipv4(void **state)
{
	const struct sockaddr_in *in = (struct sockaddr_in *)&address;

	(void)state;
	assert_true(listen_parse("127.0.0.1:9112", &address, &size));
	assert_int_equal(size, sizeof(*in));
	assert_int_equal(in->sin_family, AF_INET);
	assert_int_equal(in->sin_port, htons(9112));
	assert_int_equal(in->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
}

static void test_ipv6(void **state)
{
	const struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address;

	(void)state;
	assert_true(listen_parse("[::1]:65535", &address, &size));
	assert_int_equal(size, sizeof(*in6));
	assert_int_equal(in6->sin6_family, AF_INET6);
	assert_int_equal(in6->sin6_port, htons(65535));
	assert_memory_equal(&in6->sin6_addr, &in6addr_loopback, sizeof(in6addr_loopback));
}

static void test_wrong(void **state)
{
	static const char *const wrong[] = {
		"",
		":",
		":80",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:0",
		"127.0.0.1:65536",
		"127.0.0.1: 80",
		"127.0.0.1:80 ",
		"127.0.0:80",
		"localhost:80",
		"::1:80",
		"[::1]",
		"[::1:80",
		"[]:80",
		"[:80",
		"]:80",
		"[::1]x:80",
		"[127.0.0.1]:80",
		"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:80",
		"1111111111111111111111111111111111111111111111111111:80",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (listen_parse(wrong[i], &address, &size))
			fail_msg("'%s' is taken", wrong[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_wrong),
	};

	return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}
