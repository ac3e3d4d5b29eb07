// SPDX-License-Identifier: GPL-2.0-only
/* A checkpoint comes back as it went, and bytes that are none are refused. */
#include "lib/array.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "supervisor/checkpoint.h"
#include "supervisor/layout.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct topology_reference references[] = {
	{.id = 7, .hook = HOOK_EGRESS},
	{.id = TOPOLOGY_ANY, .hook = HOOK_INGRESS},
};

static struct checkpoint_phase phases[] = {
	{
		.id = 3,
		.life = 2,
		.era = 5,
		.ifindex = 41,
		.live = true,
		.counting = true,
		.was_up = true,
		.wanted_from_birth = true,
		.type = 1,
		.name = "fifteen-letters",
		.kind = "veth",
		.at_birth = {.rx_packets = 1, .tx_bytes = UINT64_MAX},
		.before_attach = {.bytes = 84, .packets = 1},
		.role = {.id = 3,
			 .covered = true,
			 .level = 2,
			 .hook = {[HOOK_EGRESS] = {.sight = SIGHT_JUDGED,
						   .references = references,
						   .reference_count = ARRAY_SIZE(references)}}},
		.attachment = {.mode = "clsact", .created = true, .priority = {1, 65535}},
	},
	{.ifindex = 42,
	 .name = "vx0",
	 .tunnel = {.protocols = {17}, .port = 4789, .port_is_local = true}},
};

static uint64_t maps[] = {12, 1ULL << 40};

static const struct checkpoint sample = {
	.interval = {.start_ns = 1, .start_wall_ns = 2},
	.last_id = 9,
	.era = 5,
	.known_ifindex = 77,
	.report = {.id = 17,
		   .interval = {.start_ns = 1, .start_wall_ns = 2, .end_ns = 3, .end_wall_ns = 4},
		   .position = {.device = 5, .inode = 6, .offset = 7},
		   .file_size = 8,
		   .checksum = 9,
		   .maps = {.numbers = maps, .count = ARRAY_SIZE(maps)},
		   .last_train_set = 4,
		   .owed = 16,
		   .folded = 1,
		   .phases = phases,
		   .phase_count = 1},
	.owed = 17,
	.folded = 2,
	.done_maps = {.numbers = maps, .count = 1},
	.reported_train_set = 3,
	.folded_train_set = 5,
	.phases = phases,
	.phase_count = ARRAY_SIZE(phases),
};

static void encode(struct buffer *bytes)
{
	struct generation earlier = {.number = 6, .layout = *layout_own()};
	struct checkpoint described = sample;

	earlier.layout.version.at++;
	described.generation = (struct generation){.number = 7, .layout = *layout_own()};
	described.earlier = &earlier;
	described.earlier_count = 1;
	checkpoint_encode(&described, bytes);
	assert_int_equal(buffer_error(bytes), 0);
}

/* What comes back is the same if it makes the same bytes. */
static void test_comes_back(void **state)
{
	struct buffer bytes = {0}, again = {0};
	struct checkpoint decoded;

	(void)state;
	encode(&bytes);
	assert_int_equal(checkpoint_decode(&decoded, bytes.data, bytes.size), 0);
	checkpoint_encode(&decoded, &again);
	assert_int_equal(again.size, bytes.size);
	assert_memory_equal(again.data, bytes.data, bytes.size);
	assert_int_equal(decoded.phase_count, 2);
	assert_string_equal(decoded.phases[0].name, "fifteen-letters");
	assert_true(topology_role_same(&decoded.phases[0].role, &phases[0].role));
	assert_int_equal(decoded.report.maps.numbers[1], 1ULL << 40);
	assert_true(decoded.phases[1].tunnel.port_is_local);
	assert_int_equal(decoded.generation.number, 7);
	assert_true(layout_is_own(&decoded.generation.layout));
	assert_int_equal(decoded.earlier_count, 1);
	assert_int_equal(decoded.earlier[0].number, 6);
	assert_int_equal(decoded.earlier[0].layout.version.at, FLOW_LAYOUT + 1);
	checkpoint_clean(&decoded);
	buffer_free(&bytes);
	buffer_free(&again);
}

/* The record that holds all others stands behind the magic and the version. */
#define OUTER_SIZE 12

static void change_outer_size(struct buffer *bytes, int change)
{
	uint32_t size;

	memcpy(&size, bytes->data + OUTER_SIZE, sizeof(size));
	size += (uint32_t)change;
	memcpy(bytes->data + OUTER_SIZE, &size, sizeof(size));
}

/* What a later version has at the end of a record is passed over. */
static void test_later_version(void **state)
{
	struct buffer bytes = {0};
	struct checkpoint decoded;

	(void)state;
	encode(&bytes);
	buffer_append(&bytes, "later", 5);
	change_outer_size(&bytes, 5);
	assert_int_equal(checkpoint_decode(&decoded, bytes.data, bytes.size), 0);
	assert_int_equal(decoded.phase_count, 2);
	checkpoint_clean(&decoded);
	buffer_free(&bytes);
}

/* What an earlier version did not have yet is zero; half of a field is none of its. */
static void test_earlier_version(void **state)
{
	const struct checkpoint last = {
		.generation = {.number = 1, .layout = *layout_own()},
		.last_id = 9,
		.folded_train_set = 7,
	};
	struct buffer bytes = {0};
	struct checkpoint decoded;

	(void)state;
	checkpoint_encode(&last, &bytes);
	/* not how many phases; then nor that set */
	for (int fields = 1; fields <= 2; fields++) {
		change_outer_size(&bytes, -4);
		bytes.size -= 4;
		assert_int_equal(checkpoint_decode(&decoded, bytes.data, bytes.size), -EBADMSG);
		change_outer_size(&bytes, -4);
		bytes.size -= 4;
		assert_int_equal(checkpoint_decode(&decoded, bytes.data, bytes.size), 0);
		assert_int_equal(decoded.last_id, 9);
		assert_int_equal(decoded.folded_train_set, fields == 1 ? 7 : 0);
		assert_int_equal(decoded.phase_count, 0);
		checkpoint_clean(&decoded);
	}
	buffer_free(&bytes);
}

static void test_cut_off_anywhere(void **state)
{
	struct checkpoint decoded = {.last_id = 1};
	struct buffer bytes = {0};

	(void)state;
	encode(&bytes);
	for (size_t size = 0; size < bytes.size; size++) {
		/* a copy of that size, so that a read behind it is seen */
		_free_ char *cut = malloc(size ? size : 1);

		assert_non_null(cut);
		memcpy(cut, bytes.data, size);
		assert_int_not_equal(checkpoint_decode(&decoded, cut, size), 0);
		assert_int_equal(decoded.last_id, 1);
	}
	buffer_free(&bytes);
}

/* Any byte may be wrong: it is refused or taken, never followed out of bounds. */
static void test_any_byte_wrong(void **state)
{
	struct buffer bytes = {0};

	(void)state;
	encode(&bytes);
	for (size_t i = 0; i < bytes.size; i++) {
		struct checkpoint decoded;
		char right = bytes.data[i];

		bytes.data[i] = (char)(right ^ 0xff);
		if (!checkpoint_decode(&decoded, bytes.data, bytes.size))
			checkpoint_clean(&decoded);
		bytes.data[i] = right;
	}
	buffer_free(&bytes);
}

static void test_another_version(void **state)
{
	struct checkpoint decoded;
	struct buffer bytes = {0};

	(void)state;
	encode(&bytes);
	bytes.data[8]++;
	assert_int_equal(checkpoint_decode(&decoded, bytes.data, bytes.size), -EPROTO);
	bytes.data[0]++;
	assert_int_equal(checkpoint_decode(&decoded, bytes.data, bytes.size), -EBADMSG);
	memcpy(bytes.data, checkpoint_ended, sizeof(checkpoint_ended));
	assert_int_equal(checkpoint_decode(&decoded, bytes.data, bytes.size), -ENODATA);
	assert_int_equal(checkpoint_decode(&decoded, bytes.data, sizeof(checkpoint_ended)),
			 -ENODATA);
	buffer_free(&bytes);
}

static int decode_with_phases(struct checkpoint described)
{
	struct buffer bytes = {0};
	struct checkpoint decoded;
	int err;

	described.generation = (struct generation){.number = 7, .layout = *layout_own()};
	checkpoint_encode(&described, &bytes);
	assert_int_equal(buffer_error(&bytes), 0);
	err = checkpoint_decode(&decoded, bytes.data, bytes.size);
	if (!err)
		checkpoint_clean(&decoded);
	buffer_free(&bytes);
	return err;
}

/* Of interfaces that are not monitored there may be any number. */
static void test_ids_stand_for_one_phase(void **state)
{
	struct checkpoint_phase several[] = {{.id = 9}, {.id = 0}, {.id = 8}, {.id = 0}};
	struct checkpoint running = {.last_id = 9, .phases = several, .phase_count = 4};
	struct checkpoint reported = {.last_id = 9,
				      .report = {.id = 1, .phases = several, .phase_count = 4}};

	(void)state;
	assert_int_equal(decode_with_phases(running), 0);
	assert_int_equal(decode_with_phases(reported), 0);
	several[2].id = 9;
	assert_int_equal(decode_with_phases(running), -EBADMSG);
	assert_int_equal(decode_with_phases(reported), -EBADMSG);
	several[2].id = 10;
	assert_int_equal(decode_with_phases(running), -EBADMSG);
	assert_int_equal(decode_with_phases(reported), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_back),
		cmocka_unit_test(test_cut_off_anywhere),
		cmocka_unit_test(test_any_byte_wrong),
		cmocka_unit_test(test_later_version),
		cmocka_unit_test(test_earlier_version),
		cmocka_unit_test(test_another_version),
		cmocka_unit_test(test_ids_stand_for_one_phase),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
