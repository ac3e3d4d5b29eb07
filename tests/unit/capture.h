/* SPDX-License-Identifier: GPL-2.0-only */
/* What is said on standard error, for tests that look at it. To be included behind cmocka.h. */
#ifndef FLOWTALLY_TESTS_CAPTURE_H
#define FLOWTALLY_TESTS_CAPTURE_H

#include <stdio.h>
#include <unistd.h>

struct capture {
	FILE *file;
	int kept; /* the descriptor that standard error was */
};

static inline struct capture capture_begin(void)
{
	struct capture capture = {.file = tmpfile(), .kept = dup(STDERR_FILENO)};

	assert_true(capture.file && capture.kept >= 0);
	assert_true(dup2(fileno(capture.file), STDERR_FILENO) >= 0);
	return capture;
}

/* Writes into said what was said since, cut to size - 1 bytes. */
static inline void capture_end(const struct capture *capture, char *said, size_t size)
{
	fflush(stderr);
	assert_true(dup2(capture->kept, STDERR_FILENO) >= 0);
	close(capture->kept);
	rewind(capture->file);
	said[fread(said, 1, size - 1, capture->file)] = 0;
	fclose(capture->file);
}

#endif
