/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests that cannot be made here. */
#ifndef FLOWTALLY_TESTS_SKIP_H
#define FLOWTALLY_TESTS_SKIP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

/* Says why and skips the test. */
static inline void skip_because(const char *reason)
{
	print_message("%s\n", reason);
	skip();
}

/* reason: NULL: there is none. */
static inline void skip_if(const char *reason)
{
	if (reason)
		skip_because(reason);
}

static inline void skip_unless_root(void)
{
	skip_if(geteuid() ? "not root" : NULL);
}

#endif
