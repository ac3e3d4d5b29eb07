/* SPDX-License-Identifier: GPL-2.0-only */
/* The capabilities that the agent keeps: doc/design.md tells which, and what for. */
#ifndef FLOWTALLY_PRIVILEGES_H
#define FLOWTALLY_PRIVILEGES_H

/*
 * Gives up for good what is not needed once everything is opened. config_file (NULL: there is none)
 * and output ("-" is none) are opened again at SIGHUP: if that takes CAP_DAC_OVERRIDE, as another
 * user owns them or their directory, that is kept. 0 or negative errno.
 */
int privileges_drop(const char *config_file, const char *output);

/* Gives up for good all but that one. 0 or negative errno. */
int privileges_drop_but(unsigned int capability);

#endif
