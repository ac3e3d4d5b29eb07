/* SPDX-License-Identifier: GPL-2.0-only */
/* Aligned columns of text. Failure to grow stays in the buffer that is printed into. */
#ifndef FLOWTALLY_COLUMNS_H
#define FLOWTALLY_COLUMNS_H

#include "lib/buffer.h"

#include <stddef.h>

enum column_kind {
	COLUMN_TEXT,
	COLUMN_NUMBER,	  /* aligned at the right */
	COLUMN_SHRINKING, /* text that may be cut in the middle to fit a width */
};

struct column {
	const char *title;
	enum column_kind kind;
};

struct columns {
	const struct column *columns; /* borrowed */
	size_t count;
	/* the first so many columns are made to fit that width, as far as they can be; 0: any */
	size_t width, fitting;
	struct buffer text; /* of all cells, row by row */
	struct buffer ends; /* size_t each: where a cell's text ends */
};

void columns_init(struct columns *columns, const struct column *list, size_t count);
void columns_clean(struct columns *columns);

/* Makes a cell, the next one of its row, of what was written into columns->text since the last one.
 */
void columns_end_cell(struct columns *columns);
/* A line a row, the title first. Blanks at the end of a line are left out. */
void columns_print(const struct columns *columns, struct buffer *out);

#endif
