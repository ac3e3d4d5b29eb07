// SPDX-License-Identifier: GPL-2.0-only
#include "lib/buffer.h"
#include "lib/decimal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_FIRST 4096
#define BUFFER_KEPT  ((size_t)1 << 20) /* however little of it was used */

void buffer_free(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){0};
}

void buffer_reset(struct buffer *b)
{
	/* one report with a scan in it must not cost its memory for ever */
	if (b->capacity > BUFFER_KEPT && b->size < b->capacity / 16)
		buffer_free(b);
	b->size = 0;
	b->error = 0;
}

int buffer_error(const struct buffer *b)
{
	return b->error;
}

char *buffer_reserve(struct buffer *b, size_t size)
{
	size_t capacity = b->capacity ? b->capacity : BUFFER_FIRST;
	char *data;

	if (b->error)
		return NULL;
	while (capacity - b->size < size)
		capacity *= 2;
	if (capacity != b->capacity) {
		data = realloc(b->data, capacity);
		if (!data) {
			b->error = -ENOMEM;
			return NULL;
		}
		b->data = data;
		b->capacity = capacity;
	}
	return b->data + b->size;
}

void buffer_end(struct buffer *b, const char *end)
{
	b->size = (size_t)(end - b->data);
}

void buffer_append(struct buffer *b, const void *data, size_t size)
{
	char *end = buffer_reserve(b, size);

	if (!end || !size)
		return;
	memcpy(end, data, size);
	b->size += size;
}

void buffer_str(struct buffer *b, const char *str)
{
	buffer_append(b, str, strlen(str));
}

void buffer_char(struct buffer *b, char c)
{
	buffer_append(b, &c, 1);
}

void buffer_u64(struct buffer *b, uint64_t number)
{
	char *to = buffer_reserve(b, DECIMAL_SIZE);

	if (to)
		buffer_end(b, decimal_put(to, number));
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
	va_list args, again;
	char *end;
	int size;

	va_start(args, format);
	va_copy(again, args);
	size = vsnprintf(NULL, 0, format, args);
	if (size < 0 && !b->error)
		b->error = -errno;
	/* vsnprintf also writes a terminator, which the next append overwrites */
	end = size < 0 ? NULL : buffer_reserve(b, (size_t)size + 1);
	if (end) {
		vsnprintf(end, (size_t)size + 1, format, again);
		b->size += size;
	}
	va_end(again);
	va_end(args);
}
