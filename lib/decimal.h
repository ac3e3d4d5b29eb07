/* SPDX-License-Identifier: GPL-2.0-only */
/* Unsigned numbers in decimal: out of text and into it. */
#ifndef FLOWTALLY_DECIMAL_H
#define FLOWTALLY_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Decimal digits and nothing else (no sign, no blank), from min to max. strtoul(3) takes more than
 * that and wraps negative numbers. */
static inline bool decimal_parse(const char *text, uint32_t min, uint32_t max, uint32_t *ret)
{
	uint64_t number = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		number = number * 10 + (uint64_t)(*text - '0');
		if (number > max)
			return false;
	}
	if (number < min)
		return false;
	*ret = (uint32_t)number;
	return true;
}

/* The longest one that decimal_put() writes. */
#define DECIMAL_SIZE 20

/* Decimal, no padding, not terminated. Returns where it ends. Two digits at a time: a report of a
 * million flows has twelve million numbers. */
static inline char *decimal_put(char *to, uint64_t number)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324"
				    "25262728293031323334353637383940414243444546474849"
				    "50515253545556575859606162636465666768697071727374"
				    "75767778798081828384858687888990919293949596979899";
	unsigned int length = 1;
	uint64_t power = 10;
	char *end, *at;

	for (; length < DECIMAL_SIZE && number >= power; power *= 10)
		length++;
	end = at = to + length;
	for (; number >= 100; number /= 100)
		memcpy(at -= 2, pairs + 2 * (number % 100), 2);
	if (number >= 10)
		memcpy(at - 2, pairs + 2 * number, 2);
	else
		*to = (char)('0' + number);
	return end;
}

#endif
