/* SPDX-License-Identifier: GPL-2.0-only */
/* Errors that say nothing of what was asked for. */
#ifndef FLOWTALLY_LACK_H
#define FLOWTALLY_LACK_H

#include <errno.h>
#include <stdbool.h>

/* Whether it failed for want of memory, descriptors or privileges, of which there may be more at
 * another time: a negative errno. */
static inline bool is_lack(int err)
{
	return err == -ENOMEM || err == -ENOBUFS || err == -EMFILE || err == -ENFILE ||
	       err == -EPERM || err == -EACCES;
}

#endif
