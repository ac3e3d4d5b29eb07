// SPDX-License-Identifier: GPL-2.0-only
#include "lib/numbers.h"

#include <stdlib.h>

#define SMALL 32

static int compare_numbers(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

void numbers_sort(uint32_t *numbers, size_t n)
{
	if (n > SMALL) {
		qsort(numbers, n, sizeof(*numbers), compare_numbers);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		uint32_t number = numbers[i];
		size_t at = i;

		for (; at && numbers[at - 1] > number; at--)
			numbers[at] = numbers[at - 1];
		numbers[at] = number;
	}
}

const uint32_t *numbers_find(const uint32_t *numbers, size_t n, uint32_t number)
{
	return n ? bsearch(&number, numbers, n, sizeof(*numbers), compare_numbers) : NULL;
}
