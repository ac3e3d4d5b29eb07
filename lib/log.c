// SPDX-License-Identifier: GPL-2.0-only
#include "lib/log.h"
#include "lib/utf8.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

/* Once: who does not take a line in that time may never do. */
#define LOG_PATIENCE_MS 1000

static enum log_level log_max = LOG_LEVEL_NOTICE;
static char log_live_text[256];
static unsigned int log_lost; /* lines since the last one that was taken */
static bool log_cut;	      /* in the middle of a line */

/* systemd names the device and inode of the journal's socket, so a redirected standard error is not
 * mistaken for it. */
static bool log_to_journal(void)
{
	static int known = -1;
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (known < 0)
		known = stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
			!fstat(STDERR_FILENO, &st) && st.st_dev == dev && st.st_ino == ino;
	return known;
}

static const char *log_prefix(enum log_level level)
{
	/* syslog(3) priorities */
	static const char *const journal[] = {
		[LOG_LEVEL_ERROR] = "<3>", [LOG_LEVEL_WARNING] = "<4>", [LOG_LEVEL_NOTICE] = "<5>",
		[LOG_LEVEL_INFO] = "<6>",  [LOG_LEVEL_DEBUG] = "<7>",
	};

	return log_to_journal() ? journal[level] : "flowtally: ";
}

void log_set_level(enum log_level max)
{
	log_max = max;
}

bool log_enabled(enum log_level level)
{
	return level <= log_max;
}

void log_make_printable(char *text)
{
	while (*text) {
		size_t length = utf8_length(text);

		if (*text == ' ' || utf8_is_printable(text, length))
			text += length;
		else
			*text++ = '?';
	}
}

/* Whether standard error takes a line: not while ^S holds the terminal, a pipe is full, or whoever
 * shows it does not read. */
static bool log_takes_more(int timeout_ms)
{
	struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&ready, 1, timeout_ms) != 0;
}

static void log_interrupt(int signal)
{
	(void)signal;
}

/*
 * To standard error, which is ready. A terminal may be so and yet not take all of a text
 * (n_tty_write() in drivers/tty/n_tty.c), so whoever writes to it is interrupted after a second.
 * False: some of it was not taken.
 */
__attribute__((format(printf, 1, 2))) static bool log_print(const char *format, ...)
{
	const struct itimerval patience = {.it_value = {.tv_sec = LOG_PATIENCE_MS / 1000},
					   .it_interval = {.tv_usec = 10000}};
	const struct itimerval none = {0};
	const struct sigaction interrupt = {.sa_handler = log_interrupt};
	bool terminal = isatty(STDERR_FILENO);
	struct sigaction before;
	va_list args;

	if (terminal) {
		sigaction(SIGALRM, &interrupt, &before);
		setitimer(ITIMER_REAL, &patience, NULL);
	}
	va_start(args, format);
	log_cut = vfprintf(stderr, format, args) < 0 || fflush(stderr);
	va_end(args);
	if (terminal) {
		setitimer(ITIMER_REAL, &none, NULL);
		sigaction(SIGALRM, &before, NULL);
	}
	return !log_cut;
}

static const char *log_begin(void)
{
	return log_live_text[0] ? "\r\033[K" : log_cut ? "\n" : "";
}

static void log_put(enum log_level level, const char *text)
{
	if (log_lost && !log_print("%s%s%u lines were lost, as standard error took none\n",
				   log_begin(), log_prefix(LOG_LEVEL_WARNING), log_lost)) {
		log_lost++;
		return;
	}
	log_lost = !log_print("%s%s%s\n%s", log_begin(), log_prefix(level), text, log_live_text);
}

void log_vline(enum log_level level, const char *format, va_list args)
{
	int saved_errno = errno;
	char text[1024];

	if (log_enabled(level)) {
		vsnprintf(text, sizeof(text), format, args);
		log_make_printable(text);
		if (log_takes_more(log_lost ? 0 : LOG_PATIENCE_MS))
			log_put(level, text);
		else
			log_lost++;
	}
	errno = saved_errno;
}

void log_line(enum log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_vline(level, format, args);
	va_end(args);
}

bool log_on_terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term && strcmp(term, "dumb");
}

void log_live(const char *text)
{
	bool had = log_live_text[0];

	if (!log_on_terminal())
		return;
	snprintf(log_live_text, sizeof(log_live_text), "%s", text ? text : "");
	if ((had || log_live_text[0]) && log_takes_more(0))
		(void)log_print("\r\033[K%s", log_live_text);
}
