/* SPDX-License-Identifier: GPL-2.0-only */
/* A report as bytes: text for programs and people, table for people, JSON (NDJSON, ECS names) for
 * pipelines. They are described in flowtally(8). */
#ifndef FLOWTALLY_FORMAT_H
#define FLOWTALLY_FORMAT_H

struct buffer;
struct report;

/* Append the whole report. Failure to grow stays in the buffer (buffer_error()). */
void format_text(struct buffer *out, const struct report *report);
void format_table(struct buffer *out, const struct report *report);
void format_json(struct buffer *out, const struct report *report);

#endif
