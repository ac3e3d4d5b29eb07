/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FLOWTALLY_NUMBER_H
#define FLOWTALLY_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* Decimal digits and nothing else (no sign, no blank), from min to max. strtoul(3) takes more than
 * that and wraps negative numbers. */
static inline bool number_parse(const char *text, uint32_t min, uint32_t max, uint32_t *ret)
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

#endif
