// SPDX-License-Identifier: GPL-2.0-only
/* Names of interfaces, one behind the other, each ended by a NUL, in all that is written of them.
 */
#include "bpf/flow_types.h"
#include "lib/array.h"
#include "lib/buffer.h"
#include "metrics/metrics.h"
#include "report/format.h"
#include "report/report.h"
#include "tests/fuzz/fuzz.h"

#include <jansson.h>
#include <locale.h>
#include <stdlib.h>

#define NAMES 4

static struct report_interface interfaces[NAMES];
static uint32_t crossed[NAMES] = {0, 1, 2, 3};
static struct report_flow flow = {.key = {.family = FLOW_IPV6, .protocol = 6},
				  .sent = {{.bytes = 40, .packets = 1}},
				  .interface_count = NAMES};
static struct report_unattributed unattributed[NAMES];
static const struct report report = {.interfaces = interfaces,
				     .interface_count = NAMES,
				     .flows = &flow,
				     .flow_count = 1,
				     .crossed = crossed,
				     .crossed_count = NAMES,
				     .unattributed = unattributed,
				     .unattributed_count = NAMES,
				     .total = {.bytes = 40, .packets = 1},
				     .named = 1};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_require(setlocale(LC_CTYPE, "C.UTF-8"));
	for (uint32_t i = 0; i < NAMES; i++)
		unattributed[i] =
			(struct report_unattributed){.interface = i,
						     .reason = "non_ip",
						     .count = {.bytes = 28, .packets = 1}};
	return 0;
}

static void take_names(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < NAMES; i++) {
		size_t room = sizeof(interfaces[i].name) - 1;
		char *name = fuzz_string(data, size < room ? size : room);
		size_t taken = strlen(name);

		strcpy(interfaces[i].name, name);
		free(name);
		data += taken < size ? taken + 1 : size;
		size -= taken < size ? taken + 1 : size;
	}
}

static void require_text(struct buffer *out)
{
	buffer_reset(out);
	format_text(out, &report);
	fuzz_require(!buffer_error(out));
	fuzz_require(fuzz_count_harmless_lines(out->data, out->size) == 2 + NAMES);
	buffer_reset(out);
	format_table(out, &report);
	fuzz_require(!buffer_error(out));
	fuzz_require(fuzz_count_harmless_lines(out->data, out->size) >= 2 + NAMES);
}

static void require_json(struct buffer *out)
{
	const char *at, *end;
	size_t objects = 0;

	buffer_reset(out);
	format_json(out, &report);
	fuzz_require(!buffer_error(out));
	for (at = out->data; at < out->data + out->size; at = end + 1) {
		json_t *object, *names;

		end = memchr(at, '\n', out->size - (size_t)(at - out->data));
		fuzz_require(end);
		object = json_loadb(at, (size_t)(end - at), JSON_REJECT_DUPLICATES, NULL);
		fuzz_require(object);
		names = json_object_get(json_object_get(object, "flowtally"), "interfaces");
		fuzz_require(!objects || json_array_size(names) == NAMES);
		json_decref(object);
		objects++;
	}
	fuzz_require(objects == 2);
}

static void require_metrics(struct buffer *out)
{
	struct metrics_map maps[] = {{.flows = 1}, {.flows = 2}};
	const struct metrics_now now = {.maps = maps, .map_count = ARRAY_SIZE(maps)};
	struct metrics *metrics;

	strcpy(maps[0].name, interfaces[0].name);
	strcpy(maps[1].name, interfaces[1].name);
	fuzz_require(!metrics_new(&metrics) && !metrics_add_report(metrics, &report));
	for (int open = 0; open < 2; open++) {
		buffer_reset(out);
		metrics_format(out, metrics, &now, open);
		fuzz_require(!buffer_error(out));
		fuzz_require(fuzz_count_harmless_lines(out->data, out->size) > 2 * NAMES);
	}
	metrics_free(metrics);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer out = {0};

	take_names(data, size);
	require_text(&out);
	require_json(&out);
	require_metrics(&out);
	buffer_free(&out);
	return 0;
}
