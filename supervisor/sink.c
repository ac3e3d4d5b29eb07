// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/sink.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* A pipe that poll(2) calls writable takes this much without blocking (pipe(7), PIPE_BUF). */
#define SINK_CHUNK 4096
#define SINK_PART  65536 /* of a file that is read */

struct sink {
	struct loop *loop; /* borrowed */
	char *path;
	int fd;
	bool regular, fifo;
	bool watched; /* in the loop, as rest waits for the output */
	char *rest;   /* of a report that was begun */
	size_t rest_size, rest_done;
};

const char *sink_path_name(const char *path)
{
	return strcmp(path, "-") ? path : "standard output";
}

const char *sink_name(const struct sink *sink)
{
	return sink_path_name(sink->path);
}

/* A terminal may block though poll(2) calls it writable: it has room, but not for a chunk. Opened
 * anew it does not, and those who share it do not notice. */
static int sink_open_stdout(void)
{
	int fd = -1;

	if (isatty(STDOUT_FILENO))
		fd = open("/proc/self/fd/1", O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return fd < 0 ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3) : fd;
}

static int sink_open(const char *path)
{
	bool standard = !strcmp(path, "-");
	int fd;

	if (standard && (fcntl(STDOUT_FILENO, F_GETFL) & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (standard)
		fd = sink_open_stdout();
	else
		/* not blocking, or a FIFO without a reader would hold us here */
		fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
			  0640);
	return fd < 0 ? -errno : fd;
}

static void sink_unwatch(struct sink *sink)
{
	if (sink->watched)
		loop_remove(sink->loop, sink->fd);
	sink->watched = false;
}

static void sink_forget_rest(struct sink *sink)
{
	free(sink->rest);
	sink->rest = NULL;
	sink->rest_size = sink->rest_done = 0;
	sink_unwatch(sink);
}

static size_t sink_left(const struct sink *sink)
{
	return sink->rest_size - sink->rest_done;
}

/* Whether a report that was begun goes on where fd leads, too: the same pipe, socket or terminal.
 */
static bool sink_goes_on(const struct sink *sink, const struct stat *now)
{
	struct stat before;

	return sink->rest && !fstat(sink->fd, &before) && before.st_dev == now->st_dev &&
	       before.st_ino == now->st_ino;
}

int sink_reopen(struct sink *sink, const char *path)
{
	_free_ char *copy = strdup(path);
	_close_ int fd = -1;
	struct stat st;

	if (!copy)
		return -ENOMEM;
	fd = sink_open(path);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		return -errno;
	if (sink_goes_on(sink, &st))
		return 0;
	if (sink->rest) {
		log_warning("%s: reopened with %zu bytes of the last report not written",
			    sink_name(sink), sink_left(sink));
		sink_forget_rest(sink);
	}
	if (sink->fd >= 0)
		close(sink->fd);
	free(sink->path);
	sink->fd = TAKE_FD(fd);
	sink->path = TAKE_PTR(copy);
	sink->regular = S_ISREG(st.st_mode);
	sink->fifo = S_ISFIFO(st.st_mode);
	return 0;
}

int sink_renew(struct sink *sink)
{
	struct stat st;

	/* standard output has no path */
	if (!sink->regular || !strcmp(sink->path, "-"))
		return 0;
	if (fstat(sink->fd, &st))
		return -errno;
	return st.st_nlink ? 0 : sink_reopen(sink, sink->path);
}

int sink_new(struct sink **ret, struct loop *loop, const char *path)
{
	struct sink *sink = calloc(1, sizeof(*sink));
	int err;

	if (!sink)
		return -ENOMEM;
	sink->loop = loop;
	sink->fd = -1;
	err = sink_reopen(sink, path);
	if (err) {
		sink_free(sink);
		return err;
	}
	*ret = sink;
	return 0;
}

void sink_free(struct sink *sink)
{
	if (!sink)
		return;
	sink_forget_rest(sink);
	if (sink->fd >= 0)
		close(sink->fd);
	free(sink->path);
	free(sink);
}

/* Writes what the output takes now. Returns how much that was; *err is 0, -EAGAIN or what failed.
 */
static size_t sink_write_some(const struct sink *sink, const char *data, size_t size, int *err)
{
	size_t done = 0;

	*err = 0;
	while (done < size) {
		struct pollfd ready = {.fd = sink->fd, .events = POLLOUT};
		size_t chunk = size - done;
		ssize_t n;

		if (!sink->regular) {
			if (poll(&ready, 1, 0) == 0) {
				*err = -EAGAIN;
				break;
			}
			if (chunk > SINK_CHUNK)
				chunk = SINK_CHUNK;
		}
		n = write(sink->fd, data + done, chunk);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			*err = -errno;
			break;
		}
		done += (size_t)n;
	}
	return done;
}

/* Goes on with the rest. 0: it is written; -EAGAIN, or what failed: it stays. */
static int sink_write_rest(struct sink *sink)
{
	int err;

	sink->rest_done +=
		sink_write_some(sink, sink->rest + sink->rest_done, sink_left(sink), &err);
	if (!err)
		sink_forget_rest(sink);
	return err;
}

static int sink_on_writable(void *data, uint32_t events)
{
	struct sink *sink = data;
	int err = sink_write_rest(sink);

	(void)events;
	if (!err || err == -EAGAIN)
		return 0;
	log_error("%s: %s; the last %zu bytes of a report are lost", sink_name(sink),
		  strerror(-err), sink_left(sink));
	sink_forget_rest(sink);
	return 0;
}

/* Keeps what a slow output did not take yet, and comes back when it takes more. */
static int sink_keep_rest(struct sink *sink, const char *data, size_t size)
{
	int err;

	sink->rest = malloc(size);
	if (!sink->rest)
		return -ENOMEM;
	memcpy(sink->rest, data, size);
	sink->rest_size = size;
	err = loop_add(sink->loop, sink->fd, EPOLLOUT, sink_on_writable, sink);
	sink->watched = !err;
	if (err)
		sink_forget_rest(sink);
	return err;
}

/* Where the next byte goes, as far as it can be taken back: the end when appending, else the offset
 * of the descriptor. */
static off_t sink_offset(const struct sink *sink)
{
	int flags = fcntl(sink->fd, F_GETFL);

	return lseek(sink->fd, 0, flags >= 0 && (flags & O_APPEND) ? SEEK_END : SEEK_CUR);
}

/* Standard output may share its file with others: only if nothing came behind it is the part ours
 * to take back. */
static void sink_take_back(const struct sink *sink, off_t begin, size_t done)
{
	struct stat st;

	if (begin < 0 || fstat(sink->fd, &st) || st.st_size != begin + (off_t)done ||
	    ftruncate(sink->fd, begin) || lseek(sink->fd, begin, SEEK_SET) < 0)
		log_error("%s: a part of a report could not be taken back", sink_name(sink));
}

int sink_write(struct sink *sink, const char *data, size_t size)
{
	off_t begin = sink->regular ? sink_offset(sink) : -1;
	size_t done;
	int err;

	if (sink->rest)
		return -EAGAIN;
	done = sink_write_some(sink, data, size, &err);
	if (err && done && sink->regular)
		sink_take_back(sink, begin, done);
	/* a slow reader has begun to read it: it gets the rest later */
	if (err == -EAGAIN && done)
		return sink_keep_rest(sink, data + done, size - done);
	return err;
}

bool sink_is_unread(const struct sink *sink, int err)
{
	return err == -EPIPE && sink->fifo && !strcmp(sink->path, "-");
}

bool sink_is_busy(const struct sink *sink)
{
	return sink->rest;
}

bool sink_position(const struct sink *sink, struct sink_position *position)
{
	off_t offset = sink->regular ? sink_offset(sink) : -1;
	struct stat st;

	if (offset < 0 || fstat(sink->fd, &st))
		return false;
	*position = (struct sink_position){.device = st.st_dev,
					   .inode = st.st_ino,
					   .offset = (uint64_t)offset};
	return true;
}

uint64_t sink_checksum(const char *data, size_t size)
{
	return crc32_z(crc32_z(0, NULL, 0), (const uint8_t *)data, size);
}

/* The bytes behind the position: how many, or 0 if it is another file. */
static uint64_t sink_behind(const struct sink *sink, const struct sink_position *position)
{
	struct stat st;

	if (!sink->regular || fstat(sink->fd, &st) || st.st_dev != position->device ||
	    st.st_ino != position->inode || (uint64_t)st.st_size <= position->offset)
		return 0;
	return (uint64_t)st.st_size - position->offset;
}

/* Gives the file's bytes from the position on to look, some by some. 1: it saw them all and found
 * nothing wrong with them; 0; or negative errno: they cannot be read. */
static int sink_look(const struct sink *sink, const struct sink_position *position, uint64_t size,
		     bool (*look)(void *data, const char *bytes, size_t size), void *data)
{
	_free_ char *part = malloc(SINK_PART);
	_close_ int fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", sink->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || !part)
		return part ? -errno : -ENOMEM;
	for (uint64_t done = 0; done < size;) {
		size_t wanted = size - done < SINK_PART ? (size_t)(size - done) : SINK_PART;
		ssize_t got = pread(fd, part, wanted, (off_t)(position->offset + done));

		if (got < 0)
			return -errno;
		if (!got || !look(data, part, (size_t)got))
			return 0;
		done += (uint64_t)got;
	}
	return 1;
}

static bool sink_sum_up(void *data, const char *bytes, size_t size)
{
	uint64_t *checksum = data;

	*checksum = crc32_z(*checksum, (const uint8_t *)bytes, size);
	return true;
}

bool sink_has_whole(const struct sink *sink, const struct sink_position *position, uint64_t size,
		    uint64_t checksum)
{
	uint64_t found = sink_checksum(NULL, 0);
	int r;

	if (sink_behind(sink, position) < size)
		return false;
	r = sink_look(sink, position, size, sink_sum_up, &found);
	/* if it cannot be read, its size is all there is to go by */
	return r < 0 || (r && found == checksum);
}

/* The text that is looked for, from here on. */
static bool sink_is_of(void *data, const char *bytes, size_t size)
{
	const char **text = data;
	bool same = !memcmp(*text, bytes, size);

	*text += size;
	return same;
}

void sink_cut_part(const struct sink *sink, const struct sink_position *position, const char *text,
		   size_t size)
{
	uint64_t behind = sink_behind(sink, position);

	if (behind && behind < size && sink_look(sink, position, behind, sink_is_of, &text) > 0)
		sink_take_back(sink, (off_t)position->offset, (size_t)behind);
}

/* Waits until the output takes something, or tells that it is broken. */
static int sink_wait(const struct sink *sink, int64_t deadline_ns)
{
	struct pollfd ready = {.fd = sink->fd, .events = POLLOUT};
	int64_t left_ns;

	do {
		left_ns = deadline_ns - clock_boottime_ns();
		if (left_ns < 0)
			left_ns = 0;
		if (poll(&ready, 1, (int)((left_ns + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC)) > 0)
			return 0;
	} while (left_ns);
	return -ETIMEDOUT;
}

static int64_t sink_deadline_ns(int timeout_ms)
{
	return clock_boottime_ns() + timeout_ms * NSEC_PER_MSEC;
}

static int sink_finish_until(struct sink *sink, int64_t deadline_ns)
{
	while (sink->rest) {
		int err = sink_wait(sink, deadline_ns);

		if (!err)
			err = sink_write_rest(sink);
		if (err && err != -EAGAIN)
			return err;
	}
	return 0;
}

int sink_finish(struct sink *sink, int timeout_ms)
{
	return sink_finish_until(sink, sink_deadline_ns(timeout_ms));
}

int sink_make_room(struct sink *sink, int timeout_ms)
{
	int64_t deadline_ns = sink_deadline_ns(timeout_ms);
	int err = sink_finish_until(sink, deadline_ns);

	if (err || sink->fd < 0)
		return err;
	return sink_wait(sink, deadline_ns);
}
