// SPDX-License-Identifier: GPL-2.0-only
#include "control/screen.h"
#include "lib/buffer.h"

#include <errno.h>
#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ASK_PERIOD_MS 200
#define ESCAPE	      27
#define DELETE	      127

struct screen {
	SCREEN *terminal;
};

static volatile sig_atomic_t screen_interrupted;

static void screen_interrupt(int number)
{
	(void)number;
	screen_interrupted = 1;
}

/* ncurses leaves a signal alone that has a handler; its own would make ^C a failure. No SA_RESTART:
 * whoever waits for a key is to see it. */
static void screen_catch_interrupt(void)
{
	const struct sigaction action = {.sa_handler = screen_interrupt};

	sigaction(SIGINT, &action, NULL);
}

static bool screen_can_place_cursor(void)
{
	const char *term = getenv("TERM");

	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && *term &&
	       strcmp(term, "dumb");
}

int screen_new(struct screen **ret)
{
	struct screen *screen;

	if (!screen_can_place_cursor())
		return -ENOTTY;
	screen = calloc(1, sizeof(*screen));
	if (!screen)
		return -ENOMEM;
	setlocale(LC_CTYPE, "");
	screen_catch_interrupt();
	/* unlike initscr() it does not end the process over an unknown terminal */
	screen->terminal = newterm(NULL, stdout, stdin);
	if (!screen->terminal) {
		free(screen);
		return -ENOTTY;
	}
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	*ret = screen;
	return 0;
}

void screen_free(struct screen *screen)
{
	if (!screen)
		return;
	endwin();
	delscreen(screen->terminal);
	free(screen);
}

size_t screen_lines(const struct screen *screen)
{
	(void)screen;
	return LINES > 2 ? (size_t)LINES - 1 : 1;
}

size_t screen_columns(const struct screen *screen)
{
	(void)screen;
	/* nothing is written into the last one: the cursor would go on below */
	return COLS > 1 ? (size_t)COLS - 1 : 1;
}

void screen_show(struct screen *screen, const struct buffer *text, const char *footer)
{
	const char *at = text->data, *end = text->data + text->size;

	erase();
	for (size_t line = 0; line < screen_lines(screen) && at < end; line++) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t size = (size_t)((newline ? newline : end) - at);

		/* the titles of the columns */
		if (line == 1)
			attron(A_BOLD);
		/* what is behind the last column is cut off: mvaddnstr() would go on below */
		move((int)line, 0);
		for (const char *c = at; c < at + size;) {
			size_t length = 1;

			while (c + length < at + size && (c[length] & 0xc0) == 0x80)
				length++;
			if (getcurx(stdscr) >= COLS - 1 || getcury(stdscr) != (int)line)
				break;
			addnstr(c, (int)length);
			c += length;
		}
		attroff(A_BOLD);
		at += size + 1;
	}
	attron(A_REVERSE);
	mvaddnstr(LINES - 1, 0, footer, COLS - 1);
	attroff(A_REVERSE);
	refresh();
}

bool screen_was_interrupted(void)
{
	return screen_interrupted;
}

/* Nobody will type any more, or it was ^C. */
static bool screen_is_over(void)
{
	struct pollfd input = {.fd = STDIN_FILENO};

	return screen_interrupted ||
	       (poll(&input, 1, 0) == 1 && (input.revents & (POLLHUP | POLLERR)));
}

int screen_key(struct screen *screen, int timeout_ms)
{
	int key = ERR;

	(void)screen;
	timeout(timeout_ms);
	if (!screen_interrupted)
		key = getch();
	if (key == ERR && screen_is_over())
		return 'q';
	return key == ERR || key == KEY_RESIZE ? 0 : key;
}

/* The line without its last character, as UTF-8 has it. */
static size_t screen_step_back(const char *line, size_t length)
{
	while (length && (line[--length] & 0xc0) == 0x80)
		;
	return length;
}

static void screen_put_line(const char *prompt, const char *line)
{
	move(LINES - 1, 0);
	clrtoeol();
	addstr(prompt);
	addstr(line);
	refresh();
}

/* getnstr(3) would go on waiting after ^C, and loses what was typed when the screen is resized. */
bool screen_ask(struct screen *screen, const char *prompt, char *line, size_t size)
{
	size_t length = 0;
	int key;

	(void)screen;
	curs_set(1);
	timeout(ASK_PERIOD_MS);
	do {
		line[length] = 0;
		screen_put_line(prompt, line);
		key = getch();
		if (key == KEY_BACKSPACE || key == '\b' || key == DELETE)
			length = screen_step_back(line, length);
		else if (key >= ' ' && key <= UINT8_MAX && length + 1 < size)
			line[length++] = (char)key;
	} while (key != '\n' && key != '\r' && key != KEY_ENTER && key != ESCAPE &&
		 (key != ERR || !screen_is_over()));
	curs_set(0);
	return key != ESCAPE && key != ERR;
}
