// SPDX-License-Identifier: GPL-2.0-only
/* Whatever the kernel says, a person is told what it is about. */
#include "supervisor/explain.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static void assert_program(int err, const char *words)
{
	struct utsname kernel;
	char text[512];

	explain_program(err, text, sizeof(text));
	assert_int_equal(uname(&kernel), 0);
	assert_non_null(strstr(text, kernel.release));
	if (!strstr(text, words))
		fail_msg("'%s' is not in '%s'", words, text);
}

static void test_program(void **state)
{
	(void)state;
	assert_program(-EPERM, geteuid() ? "as root" : "lockdown");
	assert_program(-EPERM, "CAP_BPF");
	assert_program(-EACCES, "CAP_PERFMON");
	assert_program(-ENOSYS, "CONFIG_BPF_SYSCALL");
	assert_program(-EINVAL, "5.10");
	assert_program(-EMFILE, "RLIMIT_NOFILE");
	assert_program(-ENOMEM, "RLIMIT_MEMLOCK");
	assert_program(-EIO, strerror(EIO));
}

static void test_attach(void **state)
{
	(void)state;
	assert_non_null(strstr(explain_attach(-EBUSY), "tc qdisc del"));
	assert_non_null(strstr(explain_attach(-ENOTUNIQ), "block"));
	assert_non_null(strstr(explain_attach(-EOPNOTSUPP), "6.6"));
	assert_non_null(strstr(explain_attach(-EPERM), "CAP_NET_ADMIN"));
	assert_non_null(strstr(explain_attach(-ENOENT), "cls_bpf"));
	assert_non_null(strstr(explain_attach(-EPROTONOSUPPORT), "cls_bpf"));
	assert_non_null(strstr(explain_attach(-EMFILE), "RLIMIT_NOFILE"));
	assert_non_null(strstr(explain_attach(-ENOSPC), "exclude"));
	assert_string_equal(explain_attach(-EIO), strerror(EIO));
}

static void test_output(void **state)
{
	(void)state;
	assert_non_null(strstr(explain_output(-ENXIO), "nobody reads"));
	assert_non_null(strstr(explain_output(-EISDIR), "directory"));
	assert_non_null(strstr(explain_output(-EBADF), "closed"));
	assert_non_null(strstr(explain_output(-EAGAIN), "reader"));
	assert_non_null(strstr(explain_output(-ETIMEDOUT), "reader"));
	assert_non_null(strstr(explain_output(-EPIPE), "nobody reads"));
	assert_string_equal(explain_output(-ENOENT), strerror(ENOENT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_program),
		cmocka_unit_test(test_attach),
		cmocka_unit_test(test_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
