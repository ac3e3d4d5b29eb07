// SPDX-License-Identifier: GPL-2.0-only
#include "lib/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define LOOP_SOURCES 32

struct loop_source {
	int fd; /* -1: free */
	loop_callback callback;
	void *data;
};

struct loop {
	int epoll_fd;
	bool stopped;
	struct loop_source sources[LOOP_SOURCES];
	bool (*idle)(void *data);
	void *idle_data;
};

int loop_new(struct loop **ret)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return -ENOMEM;
	for (size_t i = 0; i < LOOP_SOURCES; i++)
		loop->sources[i].fd = -1;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		int err = -errno;

		free(loop);
		return err;
	}
	*ret = loop;
	return 0;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	close(loop->epoll_fd);
	free(loop);
}

static struct loop_source *loop_find(struct loop *loop, int fd)
{
	for (size_t i = 0; i < LOOP_SOURCES; i++)
		if (loop->sources[i].fd == fd)
			return &loop->sources[i];
	return NULL;
}

int loop_add(struct loop *loop, int fd, uint32_t events, loop_callback callback, void *data)
{
	struct loop_source *source = loop_find(loop, -1);
	struct epoll_event event = {.events = events, .data.ptr = source};

	if (!source)
		return -ENOSPC;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event))
		return -errno;
	*source = (struct loop_source){.fd = fd, .callback = callback, .data = data};
	return 0;
}

void loop_remove(struct loop *loop, int fd)
{
	struct loop_source *source = fd < 0 ? NULL : loop_find(loop, fd);

	if (!source)
		return;
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	source->fd = -1;
}

void loop_set_idle(struct loop *loop, bool (*idle)(void *data), void *data)
{
	loop->idle = idle;
	loop->idle_data = data;
}

int loop_run(struct loop *loop)
{
	struct epoll_event events[LOOP_SOURCES];

	loop->stopped = false;
	for (;;) {
		bool more = loop->idle && loop->idle(loop->idle_data);
		int n;

		if (loop->stopped)
			return 0;
		n = epoll_wait(loop->epoll_fd, events, LOOP_SOURCES, more ? 0 : -1);
		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n && !loop->stopped; i++) {
			struct loop_source *source = events[i].data.ptr;
			int err;

			/* an earlier callback of this round may have removed it */
			if (source->fd < 0)
				continue;
			err = source->callback(source->data, events[i].events);
			if (err < 0)
				return err;
		}
	}
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}
