/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Log lines on standard error, one an event, subject first ("eth0: ..."). With systemd's journal on
 * the other end a line begins with its priority (sd-daemon(3)); elsewhere with "flowtally: ".
 * A line that standard error does not take within a second is lost, and each after it without a
 * wait, until one is taken: how many were lost is said then.
 */
#ifndef FLOWTALLY_LOG_H
#define FLOWTALLY_LOG_H

#include <stdarg.h>
#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR,   /* something asked for is not done */
	LOG_LEVEL_WARNING, /* done, but not as one would think */
	LOG_LEVEL_NOTICE,  /* milestones: started, stopped, reloaded */
	LOG_LEVEL_INFO,	   /* each attach, detach, rename */
	LOG_LEVEL_DEBUG,   /* what the kernel said */
};

/* Lines above this level are dropped. Default: LOG_LEVEL_NOTICE. */
void log_set_level(enum log_level max);
bool log_enabled(enum log_level level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_vline(enum log_level level, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

/* Makes one harmless line of text, which may hold names and paths of strangers: what is not
 * printable becomes '?'. Log lines need no call. */
void log_make_printable(char *text);

/*
 * The live line of a terminal: kept below the log lines, redrawn after each. NULL or "" removes it.
 * Does nothing unless standard error is a terminal, and never waits for one that takes nothing.
 */
void log_live(const char *text);
bool log_on_terminal(void);

#define log_error(...)	 log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)	 log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
