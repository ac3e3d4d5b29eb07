/* SPDX-License-Identifier: GPL-2.0-only */
/* Directories that strangers could have made before us. */
#ifndef FLOWTALLY_GUARDED_H
#define FLOWTALLY_GUARDED_H

#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether it is a directory that only its owner, which is us or root, may put anything into: nobody
 * else can change it between two looks. st: not of what a symbolic link leads to. */
static inline bool is_guarded_directory(const struct stat *st)
{
	return S_ISDIR(st->st_mode) && (st->st_uid == 0 || st->st_uid == geteuid()) &&
	       !(st->st_mode & (S_IWGRP | S_IWOTH));
}

#endif
