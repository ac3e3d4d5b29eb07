/* SPDX-License-Identifier: GPL-2.0-only */
/* What systemd wants to know of a service (sd_notify(3)): a datagram to the socket that it names in
 * the environment. Without one all of this does nothing. */
#ifndef FLOWTALLY_NOTIFY_H
#define FLOWTALLY_NOTIFY_H

#include <stdint.h>

/* Assignments, one a line: "READY=1\nSTATUS=watching". */
void notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says that the configuration is being read again, until the next READY=1. */
void notify_reloading(void);

/* How often to send WATCHDOG=1: twice as often as is asked for. 0: nobody asks. */
int64_t notify_watchdog_ns(void);

#endif
