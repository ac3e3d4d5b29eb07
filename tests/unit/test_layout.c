// SPDX-License-Identifier: GPL-2.0-only
/* What another version has in its maps is read as it describes them, or refused. */
#include "lib/array.h"
#include "supervisor/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct flow_key sent = {
	.addr = {{.bytes = {[15] = 9}}, {.bytes = {[15] = 7}}},
	.port = {0x1234, 0x5678},
	.protocol = 17,
	.family = FLOW_IPV6,
	.unsure = 1,
};

static struct flow_value value_of(uint64_t first)
{
	struct flow_value value;

	for (uint32_t end = 0; end < 2; end++)
		for (uint32_t class = 0; class < FLOW_CLASSES; ++class) {
			value.count[end][class].bytes = first++;
			value.count[end][class].packets = first++ << 40;
		}
	return value;
}

static void test_own(void **state)
{
	const struct flow_value counted = value_of(1);
	struct flow_key key, ordered;
	struct flow_value value;

	(void)state;
	assert_true(layout_is_own(layout_own()));
	assert_true(layout_is_sound(layout_own()));
	flow_key_order(&sent, &ordered);
	assert_true(layout_get_flow(layout_own(), &ordered, &counted, &key, &value));
	assert_memory_equal(&key, &ordered, sizeof(key));
	assert_memory_equal(&value, &counted, sizeof(value));
}

/* A version that has the ends of a flow the other way round. */
static void test_ends_turned(void **state)
{
	const struct flow_value counted = value_of(1);
	struct flow_key key, ordered;
	struct flow_value value;

	(void)state;
	assert_int_equal(flow_key_order(&sent, &ordered), 1);
	assert_true(layout_get_flow(layout_own(), &sent, &counted, &key, &value));
	assert_memory_equal(&key, &ordered, sizeof(key));
	assert_memory_equal(&value.count[0], &counted.count[1], sizeof(value.count[0]));
	assert_memory_equal(&value.count[1], &counted.count[0], sizeof(value.count[1]));
}

/* Of a version with other places, widths and numbers. */
struct other_key {
	uint32_t protocol;
	uint16_t port[2];
	uint8_t unsure, family;
	uint8_t addr[2][16];
	uint8_t later[6];
};

struct other_train {
	uint8_t class;
	uint8_t later[3];
	uint32_t packets, slot;
	uint64_t bytes;
	struct other_key key;
};

struct other_slot {
	uint32_t flags, slot;
	uint64_t ifindex;
};

/* Versions of clang-format differ in braces. */
/* clang-format off */
#define PLACE(type, member) \
	{.at = offsetof(struct type, member), .size = sizeof(((struct type *)0)->member)}
/* clang-format on */

static struct layout other_layout(void)
{
	static const struct layout_field key[] = {
		PLACE(other_key, addr[0]), PLACE(other_key, addr[1]),  PLACE(other_key, port[0]),
		PLACE(other_key, port[1]), PLACE(other_key, protocol), PLACE(other_key, family),
		PLACE(other_key, unsure)};
	static const struct layout_field train[] = {PLACE(other_train, key),
						    PLACE(other_train, bytes),
						    PLACE(other_train, packets),
						    PLACE(other_train, slot),
						    PLACE(other_train, class)};
	static const struct layout_field slot[] = {PLACE(other_slot, ifindex),
						   PLACE(other_slot, slot),
						   PLACE(other_slot, flags)};
	struct layout layout = *layout_own();

	layout.key.size = sizeof(struct other_key);
	layout.address[0] = key[0];
	layout.address[1] = key[1];
	layout.port[0] = key[2];
	layout.port[1] = key[3];
	layout.protocol = key[4];
	layout.family = key[5];
	layout.unsure = key[6];
	layout.reason[FLOW_FRAMES].at = 4;
	layout.train.size = sizeof(struct other_train);
	layout.train_key = train[0];
	layout.train_bytes = train[1];
	layout.train_packets = train[2];
	layout.train_slot = train[3];
	layout.train_class = train[4];
	layout.slot.size = sizeof(struct other_slot);
	layout.slot_ifindex = slot[0];
	layout.slot_slot = slot[1];
	layout.slot_flags = slot[2];
	return layout;
}

static struct other_train other_train(void)
{
	struct other_train train = {
		.class = FLOW_EGRESS,
		.packets = 3,
		.slot = 5,
		.bytes = 1ULL << 40,
		.key = {.protocol = sent.protocol,
			.port = {sent.port[0], sent.port[1]},
			.unsure = 1,
			.family = FLOW_IPV6},
	};

	memcpy(train.key.addr[0], &sent.addr[0], 16);
	memcpy(train.key.addr[1], &sent.addr[1], 16);
	return train;
}

static void test_other_train(void **state)
{
	const struct layout layout = other_layout();
	struct other_train other = other_train();
	struct flow_train train;

	(void)state;
	assert_true(layout_is_sound(&layout));
	assert_false(layout_is_own(&layout));
	assert_true(layout_get_train(&layout, &other, &train));
	assert_memory_equal(&train.key, &sent, sizeof(sent));
	assert_true(train.bytes == 1ULL << 40 && train.packets == 3);
	assert_int_equal(train.slot, 5);
	assert_int_equal(train.class, FLOW_EGRESS);
	other.class = FLOW_CLASSES;
	assert_false(layout_get_train(&layout, &other, &train));
	other.class = 0;
	other.slot = 1 << 16;
	assert_false(layout_get_train(&layout, &other, &train));
}

static void test_other_reasons(void **state)
{
	const struct layout layout = other_layout();
	const struct flow_value counted = value_of(1);
	struct other_key other = {.family = FLOW_UNATTRIBUTED, .protocol = 4};
	struct flow_value value;
	struct flow_key key;

	(void)state;
	assert_true(layout_get_flow(&layout, &other, &counted, &key, &value));
	assert_true(flow_key_is_frames(&key));
	other.protocol = FLOW_MAP_FULL;
	assert_true(layout_get_flow(&layout, &other, &counted, &key, &value));
	assert_int_equal(key.protocol, FLOW_MAP_FULL);
	other.protocol = FLOW_FRAMES;
	assert_false(layout_get_flow(&layout, &other, &counted, &key, &value));
	other.family = 5;
	assert_false(layout_get_flow(&layout, &other, &counted, &key, &value));
}

static void test_other_slot(void **state)
{
	const struct layout layout = other_layout();
	struct other_slot other = {.flags = FLOW_SLOT_FLAGS, .slot = 7, .ifindex = 8};
	struct flow_slot slot;

	(void)state;
	assert_true(layout_get_slot(&layout, &other, &slot));
	assert_int_equal(slot.ifindex, 8);
	assert_int_equal(slot.slot, 7);
	assert_int_equal(slot.flags, FLOW_SLOT_FLAGS);
	other.flags |= 1 << 8;
	assert_false(layout_get_slot(&layout, &other, &slot));
}

static void test_turner(void **state)
{
	const struct flow_turner of = {.ifindex = 7, .address = {1, 2, 3, 4, 5, 6}};
	struct flow_turner turner;

	(void)state;
	layout_get_turner(layout_own(), &of, &turner);
	assert_memory_equal(&turner, &of, sizeof(turner));
}

/* No field may lead out of its struct, whatever somebody wrote. */
static void test_not_sound(void **state)
{
	static const size_t whole[] = {
		offsetof(struct layout, version),   offsetof(struct layout, key),
		offsetof(struct layout, reason[0]), offsetof(struct layout, reason[1]),
		offsetof(struct layout, reason[2]), offsetof(struct layout, reason[3]),
		offsetof(struct layout, value),	    offsetof(struct layout, train),
		offsetof(struct layout, slot),	    offsetof(struct layout, banks),
		offsetof(struct layout, control),   offsetof(struct layout, cpu),
		offsetof(struct layout, turner)};
	const struct layout nothing = {0};

	(void)state;
	assert_false(layout_is_sound(&nothing));
	for (size_t at = 0; at < sizeof(struct layout); at += sizeof(struct layout_field)) {
		struct layout wrong = *layout_own();
		struct layout_field *field = (void *)((char *)&wrong + at);
		bool is_place = true;

		for (size_t i = 0; i < ARRAY_SIZE(whole); i++)
			is_place &= whole[i] != at;
		if (!is_place)
			continue;
		field->at = UINT16_MAX;
		assert_false(layout_is_sound(&wrong));
		field->at = 0;
		field->size = 3;
		assert_false(layout_is_sound(&wrong));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own),	    cmocka_unit_test(test_ends_turned),
		cmocka_unit_test(test_other_train), cmocka_unit_test(test_other_reasons),
		cmocka_unit_test(test_other_slot),  cmocka_unit_test(test_turner),
		cmocka_unit_test(test_not_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
