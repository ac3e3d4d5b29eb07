/* SPDX-License-Identifier: GPL-2.0-only */
/* Lists of CPUs, as the kernel writes them: "0-3,8-11" (admin-guide/cputopology.rst). */
#ifndef FLOWTALLY_CPU_LIST_H
#define FLOWTALLY_CPU_LIST_H

#include "lib/decimal.h"

#include <stdint.h>
#include <string.h>

#define CPU_LIST_MAX (1U << 20)

/* The highest number of a list, which ascends, plus 1: more than there are CPUs where numbers have
 * gaps. 0: it is empty or no such list. */
static inline uint32_t cpu_list_end(const char *list)
{
	size_t length = strcspn(list, "\n"), begin = length;
	char number[DECIMAL_SIZE];
	uint32_t last;

	while (begin && !strchr(",-", list[begin - 1]))
		begin--;
	if (length - begin >= sizeof(number))
		return 0;
	memcpy(number, list + begin, length - begin);
	number[length - begin] = '\0';
	return decimal_parse(number, 0, CPU_LIST_MAX, &last) ? last + 1 : 0;
}

#endif
