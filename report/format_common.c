// SPDX-License-Identifier: GPL-2.0-only
#include "report/format_common.h"

#include "bpf/flow_types.h"
#include "lib/address.h"
#include "lib/buffer.h"
#include "lib/clock.h"
#include "lib/number.h"
#include "lib/protocol.h"
#include "lib/utf8.h"
#include "report/nat.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

static char *put_decimal(char *to, uint8_t number)
{
	if (number >= 100)
		*to++ = (char)('0' + number / 100);
	if (number >= 10)
		*to++ = (char)('0' + number / 10 % 10);
	*to++ = (char)('0' + number % 10);
	return to;
}

static char *put_ipv4(char *to, const uint8_t bytes[4])
{
	for (int i = 0; i < 4; i++) {
		if (i)
			*to++ = '.';
		to = put_decimal(to, bytes[i]);
	}
	return to;
}

static char *put_hex(char *to, uint16_t number)
{
	static const char digits[] = "0123456789abcdef";

	for (int shift = 12; shift >= 0; shift -= 4)
		if (number >> shift || !shift)
			*to++ = digits[number >> shift & 0xf];
	return to;
}

/* The longest run of two or more zero groups, the first of equals (RFC 5952, 4.2). */
static int find_zeros(const uint16_t group[8], int *length)
{
	int best = -1;

	*length = 1;
	for (int first = 0, end; first < 8; first = end + 1) {
		for (end = first; end < 8 && !group[end];)
			end++;
		if (end - first > *length) {
			best = first;
			*length = end - first;
		}
	}
	return best;
}

static char *put_ipv6(char *to, const uint8_t bytes[16])
{
	uint16_t group[8];
	int zeros, length;

	if (address_is_ipv4(bytes)) {
		/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): put_ipv4() goes on */
		memcpy(to, "::ffff:", 7); /* RFC 5952, 5 */
		return put_ipv4(to + 7, bytes + ADDRESS_IPV4_AT);
	}
	for (int i = 0; i < 8; i++)
		group[i] = (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
	zeros = find_zeros(group, &length);
	for (int i = 0; i < 8; i++) {
		if (i == zeros) {
			*to++ = ':';
			i += length - 1;
			if (i == 7)
				*to++ = ':';
			continue;
		}
		if (i)
			*to++ = ':';
		to = put_hex(to, group[i]);
	}
	return to;
}

char *format_address(char *to, uint8_t family, const uint8_t bytes[16])
{
	return family == FLOW_IPV4 ? put_ipv4(to, bytes + ADDRESS_IPV4_AT) : put_ipv6(to, bytes);
}

static char *put_end(char *to, uint8_t family, const uint8_t bytes[16], __be16 port)
{
	bool brackets = family == FLOW_IPV6;

	if (brackets)
		*to++ = '[';
	to = format_address(to, family, bytes);
	if (brackets)
		*to++ = ']';
	*to++ = ':';
	return number_put(to, ntohs(port));
}

char *format_end(char *to, const struct flow_key *key, int end)
{
	return put_end(to, key->family, key->addr[end].bytes, key->port[end]);
}

char *format_nat_end(char *to, uint8_t family, const struct nat_end *end)
{
	return put_end(to, family, end->addr, end->port);
}

/* Writes the time up to its seconds; returns the nanoseconds that are left. */
static int64_t put_time(struct buffer *out, int64_t ns)
{
	int64_t rest = ns % NSEC_PER_SEC;
	char text[64];
	struct tm tm;
	time_t seconds;

	if (rest < 0)
		rest += NSEC_PER_SEC;
	seconds = (ns - rest) / NSEC_PER_SEC;
	gmtime_r(&seconds, &tm);
	buffer_append(out, text, strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm));
	return rest;
}

void format_time_seconds(struct buffer *out, int64_t ns)
{
	put_time(out, ns);
	buffer_char(out, 'Z');
}

void format_time_milliseconds(struct buffer *out, int64_t ns)
{
	int64_t rest = put_time(out, ns);

	buffer_printf(out, ".%03dZ", (int)(rest / NSEC_PER_MSEC));
}

void format_protocol_or_number(struct buffer *out, uint8_t protocol)
{
	const char *name = protocol_name(protocol);

	if (name)
		buffer_str(out, name);
	else
		buffer_u64(out, protocol);
}

void format_size(struct buffer *out, uint64_t bytes)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned int unit = 0;
	double size = (double)bytes / 1024;

	if (bytes < 1024) {
		buffer_printf(out, "%" PRIu64 " B", bytes);
		return;
	}
	/* 1023.95 would be rounded to 1024.0 */
	for (; size >= 1023.95; unit++)
		size /= 1024;
	buffer_printf(out, "%.1f %s", size, units[unit]);
}

static void put_printable(struct buffer *out, const char *text, bool blanks)
{
	while (*text) {
		size_t length = utf8_length(text);

		/* a blank would end the field, and '\\' begins what stands for such bytes */
		if ((utf8_is_printable(text, length) && *text != '\\') ||
		    (blanks && *text == ' ')) {
			buffer_append(out, text, length);
			text += length;
		} else {
			buffer_printf(out, "\\x%02X", (uint8_t)*text++);
		}
	}
}

void format_name(struct buffer *out, const char *name)
{
	put_printable(out, name, false);
}

void format_words(struct buffer *out, const char *text)
{
	put_printable(out, text, true);
}

size_t format_width(const char *text, size_t size)
{
	size_t width = 0;

	for (size_t i = 0; i < size; i++)
		width += ((unsigned char)text[i] & 0xc0) != 0x80;
	return width;
}

void format_pad(struct buffer *out, size_t n)
{
	while (n--)
		buffer_char(out, ' ');
}
