/* SPDX-License-Identifier: GPL-2.0-only */
/* Arrays, and those that grow. */
#ifndef FLOWTALLY_ARRAY_H
#define FLOWTALLY_ARRAY_H

#include <stddef.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/*
 * Makes room for at least needed elements of size bytes in a malloc()ed array (or NULL). Capacity
 * doubles: realloc(3) moves large blocks by remapping, and pages not written to take no memory.
 * array: the address of the pointer to it. 0; or -ENOMEM, which leaves it as it was.
 */
int array_reserve(void *array, size_t *capacity, size_t size, size_t needed);

#endif
