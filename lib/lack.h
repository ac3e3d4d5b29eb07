/* SPDX-License-Identifier: GPL-2.0-only */
/* Errors that are no answer to what was asked. */
#ifndef FLOWTALLY_LACK_H
#define FLOWTALLY_LACK_H

#include <errno.h>
#include <stdbool.h>

/* Whether err, a negative errno, is a lack of memory, descriptors or privileges: the same may
 * succeed at another time. */
static inline bool is_lack(int err)
{
	return err == -ENOMEM || err == -ENOBUFS || err == -EMFILE || err == -ENFILE ||
	       err == -EPERM || err == -EACCES;
}

#endif
