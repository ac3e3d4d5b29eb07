/* SPDX-License-Identifier: GPL-2.0-only */
/* The commands that ask a running agent. Each returns the exit status of the program (client.h);
 * what went wrong is on standard error. */
#ifndef FLOWTALLY_COMMANDS_H
#define FLOWTALLY_COMMANDS_H

#include <stdbool.h>

/* json: the answer itself, in one line. */
int control_command_status(bool json);
int control_command_interfaces(bool json);

#endif
