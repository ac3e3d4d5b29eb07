/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where reports go: standard output or a file. A report is written whole or not at all, as far as
 * the output can take it back: a regular file is cut back to where the report began. What a slow
 * pipe or socket has taken the first part of is finished before anything else is accepted. It never
 * blocks.
 */
#ifndef FLOWTALLY_SINK_H
#define FLOWTALLY_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct sink;

/*
 * path: "-" is standard output, else a file to append to, created with mode 0640. Negative errno if
 * it cannot be opened. loop is borrowed, to be told when a slow output takes more.
 */
int sink_new(struct sink **ret, struct loop *loop, const char *path);
void sink_free(struct sink *sink);

/* The path again, opened anew (after logrotate), or another one. On failure the old output stays,
 * and as long as a report is on its way into the same pipe, socket or terminal. */
int sink_reopen(struct sink *sink, const char *path);

/* Makes the file anew if it was removed: what is written to one that is in no directory any more is
 * written for nobody. 0, or the negative errno of sink_new(), as its directory may be gone, too. */
int sink_renew(struct sink *sink);

/*
 * Takes one report. 0: it is written, or begun and the sink will finish it. -EAGAIN: an earlier one
 * is not finished; another negative errno: nothing of it was left in the output. The caller keeps
 * what it contains for the next report.
 */
int sink_write(struct sink *sink, const char *data, size_t size);

/* Whether that error means that nobody will ever read: the other end of the pipe that is standard
 * output is closed. (The reader of a named one may come back.) */
bool sink_is_unread(const struct sink *sink, int err);

/* Whether a report was begun that the output did not take whole yet. */
bool sink_is_busy(const struct sink *sink);

/* Where in which file the next report begins. false: the output is no regular file. */
struct sink_position {
	uint64_t device, inode, offset;
};
bool sink_position(const struct sink *sink, struct sink_position *position);

/* Of a report's text (CRC-32 of RFC 1952). */
uint64_t sink_checksum(const char *data, size_t size);

/* Whether a report of that size and checksum, that was to begin at the position when the agent that
 * wrote it died, is there whole; also if others have written to the file since. */
bool sink_has_whole(const struct sink *sink, const struct sink_position *position, uint64_t size,
		    uint64_t checksum);
/* If the file ends with a part of that text, which begins at the position, it is cut off. */
void sink_cut_part(const struct sink *sink, const struct sink_position *position, const char *text,
		   size_t size);

/* Waits up to timeout_ms until everything taken is written. 0, or -ETIMEDOUT or what failed, then
 * the sink stays busy with the rest. */
int sink_finish(struct sink *sink, int timeout_ms);
/* That, and until the output takes the beginning of another report: a pipe is full of the one
 * before until its reader comes. */
int sink_make_room(struct sink *sink, int timeout_ms);

/* For messages. */
const char *sink_path_name(const char *path);
const char *sink_name(const struct sink *sink);

#endif
