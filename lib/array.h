/* SPDX-License-Identifier: GPL-2.0-only */
/* Arrays, and those that grow. */
#ifndef FLOWTALLY_ARRAY_H
#define FLOWTALLY_ARRAY_H

#include <stddef.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/*
 * Grows a malloc()ed array (or NULL) to at least needed elements of size bytes; its capacity
 * doubles, as large blocks move by remapping and take memory only where they are written to. array:
 * the address of the pointer to it. 0, or -ENOMEM, then it is as before.
 */
int array_reserve(void *array, size_t *capacity, size_t size, size_t needed);

#endif
