/* SPDX-License-Identifier: GPL-2.0-only */
/* The event loop: one thread, epoll, a callback for each descriptor. */
#ifndef FLOWTALLY_LOOP_H
#define FLOWTALLY_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

/* The descriptor is readable (or writable, as asked for). It must not block: it is called without
 * need if it has the place of one that was ready, and removed in the same round. A negative errno
 * ends loop_run() with it. */
typedef int (*loop_callback)(void *data, uint32_t events);

/* 0 or negative errno. */
int loop_new(struct loop **ret);
void loop_free(struct loop *loop);

/* Watches fd for events (EPOLLIN, EPOLLOUT). The loop borrows fd: remove it before closing it. */
int loop_add(struct loop *loop, int fd, uint32_t events, loop_callback callback, void *data);
void loop_remove(struct loop *loop, int fd);

/*
 * Called before each wait, after all that was ready has been handled: work that is better done once
 * for many events. Returns whether it left work to do: the loop then does not wait, but takes what
 * events there are and calls it again.
 */
void loop_set_idle(struct loop *loop, bool (*idle)(void *data), void *data);

/* Runs until loop_stop() (0) or a callback's error. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

#endif
