/* SPDX-License-Identifier: GPL-2.0-only */
/* Directories that strangers could have made before us. */
#ifndef FLOWTALLY_GUARDED_H
#define FLOWTALLY_GUARDED_H

#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether it is a directory of ours or of root's that only its owner may write to: nobody else can
 * change it between two looks. st: of the path itself, symbolic links not followed. */
static inline bool is_guarded_directory(const struct stat *st)
{
	return S_ISDIR(st->st_mode) && (st->st_uid == 0 || st->st_uid == geteuid()) &&
	       !(st->st_mode & (S_IWGRP | S_IWOTH));
}

#endif
