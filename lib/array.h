/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FLOWTALLY_ARRAY_H
#define FLOWTALLY_ARRAY_H

#include <stddef.h>

/*
 * Makes room for needed elements of that size in an array that malloc() made, or NULL: in
 * doublings, as large arrays move by remapping and cost memory only where they are written to.
 * array: the address of the pointer to it. 0, or -ENOMEM, then it is as before.
 */
int array_reserve(void *array, size_t *capacity, size_t size, size_t needed);

#endif
