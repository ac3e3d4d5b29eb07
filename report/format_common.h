/* SPDX-License-Identifier: GPL-2.0-only */
/* What the formats of a report share: addresses, times, names of interfaces. */
#ifndef FLOWTALLY_FORMAT_COMMON_H
#define FLOWTALLY_FORMAT_COMMON_H

#include <stddef.h>
#include <stdint.h>

struct buffer;
struct flow_key;
struct nat_end;

/*
 * Of what stands in every line, written where it belongs, not terminated; they return where it
 * ends. An address as in a key of that enum flow_family, IPv6 as RFC 5952; an end of a flow:
 * "192.0.2.1:80", "[2001:db8::1]:80".
 */
#define FORMAT_ADDRESS_SIZE 39 /* the longest one: IPv6 in full */
#define FORMAT_END_SIZE	    (FORMAT_ADDRESS_SIZE + 8)
char *format_address(char *to, uint8_t family, const uint8_t bytes[16]);
char *format_end(char *to, const struct flow_key *key, int end);
char *format_nat_end(char *to, uint8_t family, const struct nat_end *end);

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
