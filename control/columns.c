// SPDX-License-Identifier: GPL-2.0-only
#include "control/columns.h"
#include "lib/cleanup.h"
#include "lib/format.h"

#include <errno.h>
#include <string.h>

#define COLUMNS_GAP   2
#define COLUMNS_LEAST 15 /* of a column that shrinks */

void columns_init(struct columns *columns, const struct column *list, size_t count)
{
	*columns = (struct columns){.columns = list, .count = count};
	for (size_t c = 0; c < count; c++) {
		buffer_str(&columns->text, list[c].title);
		columns_end_cell(columns);
	}
}

void columns_clean(struct columns *columns)
{
	buffer_free(&columns->text);
	buffer_free(&columns->ends);
}

void columns_end_cell(struct columns *columns)
{
	buffer_append(&columns->ends, &columns->text.size, sizeof(columns->text.size));
}

/* The text of a cell; *at is where it begins, and then where the next one does. */
static const char *columns_cell(const struct columns *columns, size_t cell, size_t *at,
				size_t *size)
{
	const char *text = columns->text.data + *at;
	size_t end;

	memcpy(&end, columns->ends.data + cell * sizeof(end), sizeof(end));
	*size = end - *at;
	*at = end;
	return text;
}

static void columns_find_widths(const struct columns *columns, size_t cells, size_t *widths)
{
	size_t at = 0, size;

	for (size_t cell = 0; cell < cells; cell++) {
		const char *text = columns_cell(columns, cell, &at, &size);
		size_t width = format_width(text, size), *widest = &widths[cell % columns->count];

		if (*widest < width)
			*widest = width;
	}
}

/* Takes from the widest of the columns that shrink until the line fits. */
static void columns_narrow(const struct columns *columns, size_t *widths)
{
	size_t needed = columns->fitting ? COLUMNS_GAP * (columns->fitting - 1) : 0;

	for (size_t c = 0; c < columns->fitting; c++)
		needed += widths[c];
	for (; columns->width && needed > columns->width; needed--) {
		size_t *widest = NULL;

		for (size_t c = 0; c < columns->fitting; c++)
			if (columns->columns[c].kind == COLUMN_SHRINKING &&
			    (!widest || *widest < widths[c]))
				widest = &widths[c];
		if (!widest || *widest <= COLUMNS_LEAST)
			return;
		--*widest;
	}
}

/* Cut in the middle where it is too wide, as an address is and its port should be seen. What has
 * characters of several bytes is left whole. */
static void columns_put(struct buffer *out, const char *text, size_t size, size_t width,
			enum column_kind kind)
{
	size_t taken = format_width(text, size), head = (width - 1) / 2;
	size_t blanks = taken < width ? width - taken : 0;

	if (kind == COLUMN_NUMBER)
		format_pad(out, blanks);
	if (taken > width && taken == size) {
		buffer_append(out, text, head);
		buffer_char(out, '~');
		buffer_append(out, text + size - (width - 1 - head), width - 1 - head);
	} else {
		buffer_append(out, text, size);
	}
	if (kind != COLUMN_NUMBER)
		format_pad(out, blanks);
}

static void columns_end_line(struct buffer *out)
{
	while (out->size && out->data[out->size - 1] == ' ')
		out->size--;
	buffer_char(out, '\n');
}

void columns_print(const struct columns *columns, struct buffer *out)
{
	_free_ size_t *widths = calloc(columns->count, sizeof(*widths));
	size_t cells = columns->ends.size / sizeof(size_t), at = 0, size;

	if (!widths || buffer_error(&columns->text) || buffer_error(&columns->ends)) {
		out->error = -ENOMEM;
		return;
	}
	columns_find_widths(columns, cells, widths);
	columns_narrow(columns, widths);
	for (size_t cell = 0; cell < cells; cell++) {
		const char *text = columns_cell(columns, cell, &at, &size);
		size_t c = cell % columns->count;

		columns_put(out, text, size, widths[c], columns->columns[c].kind);
		if (c + 1 < columns->count)
			format_pad(out, COLUMNS_GAP);
		else
			columns_end_line(out);
	}
}
