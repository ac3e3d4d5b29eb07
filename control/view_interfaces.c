// SPDX-License-Identifier: GPL-2.0-only
#include "control/columns.h"
#include "control/text.h"
#include "control/view.h"
#include "lib/array.h"
#include "lib/format.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

static const struct column interface_columns[] = {
	{"INDEX", COLUMN_NUMBER},     {"NAME", COLUMN_TEXT},	   {"KIND", COLUMN_TEXT},
	{"ATTACHED", COLUMN_TEXT},    {"FLOWS", COLUMN_NUMBER},	   {"IN", COLUMN_NUMBER},
	{"OUT", COLUMN_NUMBER},	      {"MAP", COLUMN_NUMBER},	   {"TOTAL IN", COLUMN_NUMBER},
	{"TOTAL OUT", COLUMN_NUMBER}, {"COVERAGE", COLUMN_NUMBER}, {"UNATTRIBUTED", COLUMN_TEXT},
};

static void put_number(struct columns *columns, const json_t *interface, const char *path)
{
	if (control_at(interface, path))
		buffer_u64(&columns->text, control_u64(interface, path));
	columns_end_cell(columns);
}

static void put_bytes(struct columns *columns, const json_t *interface, const char *path)
{
	if (control_at(interface, path))
		format_size(&columns->text, control_u64(interface, path));
	columns_end_cell(columns);
}

static void put_place(struct buffer *out, const json_t *place)
{
	if (place)
		buffer_printf(out, " %" PRIu64 "/%" PRIu64, control_u64(place, "position"),
			      control_u64(place, "count"));
}

/* How it is attached and where in the chains, or why it is not monitored. */
static void put_attached(struct columns *columns, const json_t *interface)
{
	if (control_at(interface, "attach")) {
		format_words(&columns->text, control_text(interface, "attach.mode"));
		put_place(&columns->text, control_at(interface, "attach.ingress"));
		put_place(&columns->text, control_at(interface, "attach.egress"));
	} else {
		format_words(&columns->text, control_text(interface, "reason"));
	}
	columns_end_cell(columns);
}

static void put_map(struct columns *columns, const json_t *interface)
{
	uint64_t limit = control_u64(interface, "map.limit");

	if (limit)
		buffer_printf(&columns->text, "%" PRIu64 " %%",
			      (100 * control_u64(interface, "map.entries") + limit - 1) / limit);
	columns_end_cell(columns);
}

static void put_unattributed(struct columns *columns, const json_t *interface)
{
	const char *reason;
	json_t *sum;
	bool any = false;

	json_object_foreach (control_at(interface, "total.unattributed"), reason, sum) {
		if (!control_u64(sum, "packets"))
			continue;
		buffer_str(&columns->text, any ? ", " : "");
		format_name(&columns->text, reason);
		buffer_char(&columns->text, ' ');
		format_size(&columns->text, control_u64(sum, "bytes"));
		any = true;
	}
	columns_end_cell(columns);
}

static void put_coverage(struct columns *columns, const json_t *interface)
{
	const json_t *coverage = control_at(interface, "coverage");

	if (coverage)
		view_coverage(&columns->text, coverage);
	columns_end_cell(columns);
}

static void put_interface(struct columns *columns, const json_t *interface)
{
	put_number(columns, interface, "index");
	format_name(&columns->text, control_text(interface, "name"));
	columns_end_cell(columns);
	format_name(&columns->text, control_text(interface, "kind"));
	columns_end_cell(columns);
	put_attached(columns, interface);
	put_number(columns, interface, "interval.flows");
	put_bytes(columns, interface, "interval.in.bytes");
	put_bytes(columns, interface, "interval.out.bytes");
	put_map(columns, interface);
	put_bytes(columns, interface, "total.in.bytes");
	put_bytes(columns, interface, "total.out.bytes");
	put_coverage(columns, interface);
	put_unattributed(columns, interface);
}

void view_interfaces(struct buffer *out, const json_t *answer)
{
	struct columns columns;
	json_t *interface;
	size_t i;

	columns_init(&columns, interface_columns, ARRAY_SIZE(interface_columns));
	json_array_foreach (control_at(answer, "interfaces"), i, interface)
		put_interface(&columns, interface);
	columns_print(&columns, out);
	columns_clean(&columns);
}

bool view_all_attached(const json_t *answer)
{
	const json_t *interface;
	size_t i;

	json_array_foreach (control_at(answer, "interfaces"), i, interface)
		if (!strcmp(control_text(interface, "state"), "failed"))
			return false;
	return true;
}
