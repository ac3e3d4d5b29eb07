/* SPDX-License-Identifier: GPL-2.0-only */
/* JSON of text that may hold anything, and text of JSON. */
#ifndef FLOWTALLY_CONTROL_TEXT_H
#define FLOWTALLY_CONTROL_TEXT_H

#include <stdint.h>

struct buffer;
struct json_t;

/* A JSON string; bytes that are no UTF-8 become U+FFFD. NULL: no memory. */
struct json_t *control_string(const char *text);

/* The member at a path of keys ("interval.network.bytes"), borrowed; NULL: there is none. */
struct json_t *control_at(const struct json_t *object, const char *path);
/* 0 and "" where there is no such thing, as an agent of another version may answer less. */
uint64_t control_u64(const struct json_t *object, const char *path);
double control_real(const struct json_t *object, const char *path);
const char *control_text(const struct json_t *object, const char *path);

/* The number without its fraction, or the nearest number that a uint64_t can be. */
uint64_t control_whole(double number);

/* "7 s", "3 min 20 s", "2 h 5 min", "12 d 3 h" */
void control_put_time(struct buffer *out, double seconds);

#endif
