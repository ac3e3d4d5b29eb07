/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the targets of libFuzzer share (llvm.org/docs/LibFuzzer.html). Each fuzz_*.c is one target:
 * it gives the bytes to the functions that the agent gives them to, and requires of what comes out
 * whatever their headers promise.
 */
#ifndef FLOWTALLY_TESTS_FUZZ_H
#define FLOWTALLY_TESTS_FUZZ_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise that is not kept is a finding. */
#define fuzz_require(condition)                                                                 \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                \
		}                                                                               \
	} while (0)

/*
 * Ends libFuzzer, by its signal for that, after FUZZ_CPU_SECONDS of this process's CPU time; its
 * -max_total_time would count what others take of the machine, too.
 */
static void __attribute__((constructor)) fuzz_limit_time(void)
{
	const char *seconds = getenv("FUZZ_CPU_SECONDS");
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec end = {.it_value.tv_sec = seconds ? atol(seconds) : 0};
	timer_t timer;

	fuzz_require(!timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer));
	fuzz_require(!timer_settime(timer, 0, &end, NULL));
}

/* The bytes as a string, which ends at the first NUL. The caller frees it. */
static inline char *fuzz_string(const uint8_t *data, size_t size)
{
	char *string = strndup((const char *)data, size);

	fuzz_require(string);
	return string;
}

/* C0, DEL and C1 steer terminals; so do marks that turn the direction of text. */
static inline bool fuzz_is_steering(wchar_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/*
 * Counts lines, each of which must end and not steer a terminal. Decoded by the C library, whose
 * UTF-8 is not ours: the target has to setlocale(LC_CTYPE, "C.UTF-8").
 */
static inline size_t fuzz_count_harmless_lines(const char *text, size_t size)
{
	mbstate_t state = {0};
	size_t lines = 0;

	fuzz_require(!size || text[size - 1] == '\n');
	for (size_t at = 0, length; at < size; at += length) {
		wchar_t c;

		length = mbrtowc(&c, text + at, size - at, &state);
		fuzz_require(length > 0 && length <= size - at && c <= 0x10ffff);
		fuzz_require(c == '\n' || !fuzz_is_steering(c));
		lines += c == '\n';
	}
	return lines;
}

#endif
