// SPDX-License-Identifier: GPL-2.0-only
#include "control/screen.h"
#include "lib/buffer.h"

#include <errno.h>
#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct screen {
	SCREEN *terminal;
};

static bool screen_can_place_cursor(void)
{
	const char *term = getenv("TERM");

	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && *term &&
	       strcmp(term, "dumb");
}

struct screen *screen_new(void)
{
	struct screen *screen = screen_can_place_cursor() ? calloc(1, sizeof(*screen)) : NULL;

	if (!screen)
		return NULL;
	setlocale(LC_CTYPE, "");
	/* unlike initscr() it does not end the process over an unknown terminal */
	screen->terminal = newterm(NULL, stdout, stdin);
	if (!screen->terminal) {
		free(screen);
		return NULL;
	}
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	return screen;
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

int screen_key(struct screen *screen, int timeout_ms)
{
	struct pollfd gone = {.fd = STDIN_FILENO};
	int key;

	(void)screen;
	timeout(timeout_ms);
	key = getch();
	if (key == ERR && poll(&gone, 1, 0) == 1 && (gone.revents & (POLLHUP | POLLERR)))
		return 'q';
	return key == ERR || key == KEY_RESIZE ? 0 : key;
}

bool screen_ask(struct screen *screen, const char *prompt, char *line, size_t size)
{
	int result;

	(void)screen;
	move(LINES - 1, 0);
	clrtoeol();
	addstr(prompt);
	echo();
	curs_set(1);
	timeout(-1);
	result = getnstr(line, (int)size - 1);
	noecho();
	curs_set(0);
	return result == OK;
}
