// SPDX-License-Identifier: GPL-2.0-only
#include "lib/array.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_FIRST 64

int array_reserve(void *array, size_t *capacity, size_t size, size_t needed)
{
	size_t wanted = *capacity ? *capacity : ARRAY_FIRST;
	void *elements, *grown;

	if (needed <= *capacity)
		return 0;
	if (needed > SIZE_MAX / 2 / size)
		return -ENOMEM;
	while (wanted < needed)
		wanted *= 2;
	/* whatever type of pointer it is */
	memcpy(&elements, array, sizeof(elements));
	grown = reallocarray(elements, wanted, size);
	if (!grown)
		return -ENOMEM;
	memcpy(array, &grown, sizeof(grown));
	*capacity = wanted;
	return 0;
}
