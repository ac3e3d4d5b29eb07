// SPDX-License-Identifier: GPL-2.0-only
#include "control/columns.h"
#include "lib/cleanup.h"
#include "report/format_common.h"

#include <errno.h>
#include <string.h>

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
	for (size_t cell = 0; cell < cells; cell++) {
		const char *text = columns_cell(columns, cell, &at, &size);
		size_t c = cell % columns->count, blanks = widths[c] - format_width(text, size);

		if (columns->columns[c].right)
			format_pad(out, blanks);
		buffer_append(out, text, size);
		if (!columns->columns[c].right)
			format_pad(out, blanks);
		if (c + 1 < columns->count)
			format_pad(out, 2);
		else
			columns_end_line(out);
	}
}
