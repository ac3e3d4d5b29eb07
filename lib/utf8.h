/* SPDX-License-Identifier: GPL-2.0-only */
/* UTF-8 (RFC 3629) of strangers: names and words that may hold anything. */
#ifndef FLOWTALLY_UTF8_H
#define FLOWTALLY_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the valid character that the string begins with; 0: it begins with none, or ends. */
size_t utf8_length(const char *text);

/* Where no character begins, though the string does not end: how many bytes one U+FFFD stands for,
 * as the Unicode Standard advises (section 3.9, "maximal subparts"). */
size_t utf8_broken_length(const char *text);

/* The number of the character of that length, which is not 0, at text. */
uint32_t utf8_code(const char *text, size_t length);

/* Whether the character of that length at text is one that a terminal shows and does not obey: no
 * control, no blank, nothing that ends lines, turns the direction of text or cannot be seen. */
bool utf8_is_printable(const char *text, size_t length);

#endif
