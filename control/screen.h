/* SPDX-License-Identifier: GPL-2.0-only */
/* Takes the whole terminal until it is freed. Only screen.c knows ncurses. */
#ifndef FLOWTALLY_SCREEN_H
#define FLOWTALLY_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

struct buffer;
struct screen;

/* 0; -ENOTTY: standard input and output are no terminal, or one that cannot place its cursor;
 * -ENOMEM. */
int screen_new(struct screen **ret);
/* Gives the terminal back as it was. */
void screen_free(struct screen *screen);

/* Lines there are for text. */
size_t screen_lines(const struct screen *screen);
/* And how wide they are. */
size_t screen_columns(const struct screen *screen);

/* Shows the lines of text from the top, as far as they fit, and footer below. Text is printable
 * UTF-8. */
void screen_show(struct screen *screen, const struct buffer *text, const char *footer);

/* Whether ^C was typed since screen_new(). */
bool screen_was_interrupted(void);

/* A key; 0 if none came in time, or the terminal was resized. ^C and a terminal that went away are
 * a 'q'. */
int screen_key(struct screen *screen, int timeout_ms);

/* Lets the user type a line. False: there is none, by the escape key, ^C or the terminal's end. */
bool screen_ask(struct screen *screen, const char *prompt, char *line, size_t size);

#endif
