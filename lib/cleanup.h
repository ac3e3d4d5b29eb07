/* SPDX-License-Identifier: GPL-2.0-only */
/* Cleanup attributes for what lives in one function; longer lives are ended by their owner's
 * _free(). */
#ifndef FLOWTALLY_CLEANUP_H
#define FLOWTALLY_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _free_	 __attribute__((cleanup(cleanup_free)))
#define _close_	 __attribute__((cleanup(cleanup_close)))
#define _fclose_ __attribute__((cleanup(cleanup_fclose)))

/* Hand over what a cleanup attribute guards. */
#define TAKE_PTR(p)                     \
	({                              \
		__typeof__(p) p_ = (p); \
		(p) = NULL;             \
		p_;                     \
	})
#define TAKE_FD(fd)             \
	({                      \
		int fd_ = (fd); \
		(fd) = -1;      \
		fd_;            \
	})

#endif
