/* SPDX-License-Identifier: GPL-2.0-only */
/* The words of a filter: net:ADDRESS[/LENGTH], port:N[-M], proto:NAME|N, interface:GLOB, or. */
#ifndef FLOWTALLY_TERM_H
#define FLOWTALLY_TERM_H

#include <stddef.h>

struct filter;

/* Adds a word. 0; -EINVAL, then *problem says what is wrong with it, as a static string; -ENOMEM.
 */
int term_add(struct filter *filter, const char *word, const char **problem);

/* NULL if the filter may end here, else what is wrong with that, as a static string. */
const char *term_check_end(const struct filter *filter);

/* Adds all words of a text, divided by blanks. 0, or -EINVAL or -ENOMEM with words in problem,
 * which may quote a part of the text. */
int term_add_all(struct filter *filter, const char *words, char *problem, size_t size);

#endif
