// SPDX-License-Identifier: GPL-2.0-only
#include "lib/utf8.h"
#include "lib/array.h"

#include <stdint.h>

/* How many bytes at text begin a character; *length is what it takes to be whole, 0 if none begins
 * there. */
static size_t scan(const char *text, size_t *length)
{
	const uint8_t *byte = (const uint8_t *)text;
	uint8_t low = 0x80, high = 0xbf;
	size_t n = 1;

	*length = byte[0] > 0 && byte[0] < 0x80;
	if (byte[0] < 0xc2 || byte[0] > 0xf4)
		return *length;
	*length = byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
	/* no longer forms than needed, no surrogates, nothing above U+10FFFF */
	if (byte[0] == 0xe0)
		low = 0xa0;
	if (byte[0] == 0xed)
		high = 0x9f;
	if (byte[0] == 0xf0)
		low = 0x90;
	if (byte[0] == 0xf4)
		high = 0x8f;
	for (; n < *length && byte[n] >= low && byte[n] <= high; low = 0x80, high = 0xbf)
		n++;
	return n;
}

size_t utf8_length(const char *text)
{
	size_t length, n = scan(text, &length);

	return n == length ? length : 0;
}

size_t utf8_broken_length(const char *text)
{
	size_t length, n = scan(text, &length);

	return n ? n : 1;
}

uint32_t utf8_code(const char *text, size_t length)
{
	static const uint8_t first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	const uint8_t *byte = (const uint8_t *)text;
	uint32_t character = byte[0] & first_bits[length];

	for (size_t i = 1; i < length; i++)
		character = character << 6 | (byte[i] & 0x3f);
	return character;
}

/* Beside the controls, what Unicode has of blanks, line ends and invisible marks: general
 * categories Z and Cf, and variation selectors. */
static const struct {
	uint32_t first, last;
} unprintable[] = {
	{0x00, 0x20},	    {0x7f, 0xa0},	{0xad, 0xad},	    {0x600, 0x605},
	{0x61c, 0x61c},	    {0x6dd, 0x6dd},	{0x70f, 0x70f},	    {0x890, 0x891},
	{0x8e2, 0x8e2},	    {0x1680, 0x1680},	{0x180b, 0x180f},   {0x2000, 0x200f},
	{0x2028, 0x202f},   {0x205f, 0x206f},	{0x3000, 0x3000},   {0xfe00, 0xfe0f},
	{0xfeff, 0xfeff},   {0xfff0, 0xfffb},	{0xfffe, 0xffff},   {0x110bd, 0x110bd},
	{0x110cd, 0x110cd}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
	{0xe0000, 0xe0fff},
};

bool utf8_is_printable(const char *text, size_t length)
{
	uint32_t character;

	if (!length)
		return false;
	character = utf8_code(text, length);
	for (size_t i = 0; i < ARRAY_SIZE(unprintable) && character >= unprintable[i].first; i++)
		if (character <= unprintable[i].last)
			return false;
	return true;
}
