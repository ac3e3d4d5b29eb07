// SPDX-License-Identifier: GPL-2.0-only
#include "lib/format.h"

#include "lib/buffer.h"
#include "lib/clock.h"
#include "lib/protocol.h"
#include "lib/utf8.h"

#include <inttypes.h>
#include <stdbool.h>
#include <time.h>

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
