/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A growing run of bytes that a report is written into. The first failure to grow sticks: later
 * calls do nothing, and buffer_error() tells once at the end, so that formats need not check every
 * append.
 */
#ifndef FLOWTALLY_BUFFER_H
#define FLOWTALLY_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
	char *data; /* owned; not terminated */
	size_t size;
	size_t capacity;
	int error; /* 0, -ENOMEM, or what vsnprintf(3) objected to */
};

/* A zeroed struct buffer is empty. buffer_free() makes it so again. */
void buffer_free(struct buffer *b);
/* Forgets the content, keeps the memory, unless that is far more than was used. */
void buffer_reset(struct buffer *b);
int buffer_error(const struct buffer *b);

/*
 * For hot paths: room for size more bytes at the end, to be written in place; buffer_end() says
 * where they end. NULL: no memory, which buffer_error() tells.
 */
char *buffer_reserve(struct buffer *b, size_t size);
void buffer_end(struct buffer *b, const char *end);

void buffer_append(struct buffer *b, const void *data, size_t size);
void buffer_str(struct buffer *b, const char *str);
void buffer_char(struct buffer *b, char c);
/* Decimal, no padding. */
void buffer_u64(struct buffer *b, uint64_t number);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
