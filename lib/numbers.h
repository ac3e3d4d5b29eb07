/* SPDX-License-Identifier: GPL-2.0-only */
/* Sorted arrays of numbers. */
#ifndef FLOWTALLY_NUMBERS_H
#define FLOWTALLY_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

/* Ascending; mostly there are few. */
void numbers_sort(uint32_t *numbers, size_t n);
/* Where a sorted array has number; NULL: it has not. */
const uint32_t *numbers_find(const uint32_t *numbers, size_t n, uint32_t number);

#endif
