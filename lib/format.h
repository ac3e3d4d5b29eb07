/* SPDX-License-Identifier: GPL-2.0-only */
/* Times, sizes and names for people and pipelines. They append; an error is the buffer's. */
#ifndef FLOWTALLY_LIB_FORMAT_H
#define FLOWTALLY_LIB_FORMAT_H

#include <stddef.h>
#include <stdint.h>

struct buffer;

/* UTC, cut off, not rounded: "2026-11-22T10:00:00Z", "2026-11-22T10:00:00.000Z" */
void format_time_seconds(struct buffer *out, int64_t ns);
void format_time_milliseconds(struct buffer *out, int64_t ns);

/* Its name, or its number. */
void format_protocol_or_number(struct buffer *out, uint8_t protocol);

/* "999 B", "1.0 KiB": three digits or so, powers of 1024. */
void format_size(struct buffer *out, uint64_t bytes);

/* An interface's name for a line of text: bytes that are no printable character as \xNN. */
void format_name(struct buffer *out, const char *name);
/* The same for several words: blanks stay. */
void format_words(struct buffer *out, const char *text);

/* Columns of a terminal, as far as one character is one column. */
size_t format_width(const char *text, size_t size);
/* Blanks. */
void format_pad(struct buffer *out, size_t n);

#endif
