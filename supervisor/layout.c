// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/layout.h"
#include "lib/array.h"

#include <stddef.h>
#include <string.h>

/* Versions of clang-format differ in braces. */
/* clang-format off */
#define NUMBER(number) {.at = (number)}
#define STRUCT(type)   {.size = sizeof(struct type)}
#define FIELD(type, member) \
	{.at = offsetof(struct type, member), .size = sizeof(((struct type *)0)->member)}
/* clang-format on */
/* The counts of what an end sent, by class. */
#define COUNTS(end, member)                                        \
	FIELD(flow_value, count[end][FLOW_INGRESS].member),        \
		FIELD(flow_value, count[end][FLOW_EGRESS].member), \
		FIELD(flow_value, count[end][FLOW_EGRESS_REPEAT].member)

/* What is more of either is told of at the end of the layout. */
_Static_assert(FLOW_OWN_ENTRIES == 4, "each reason has its number in a layout");
_Static_assert(FLOW_CLASSES == 3, "each class has its place in a layout");

static const struct layout own = {
	.version = NUMBER(FLOW_LAYOUT),
	.key = STRUCT(flow_key),
	.address = {FIELD(flow_key, addr[0]), FIELD(flow_key, addr[1])},
	.port = {FIELD(flow_key, port[0]), FIELD(flow_key, port[1])},
	.protocol = FIELD(flow_key, protocol),
	.family = FIELD(flow_key, family),
	.unsure = FIELD(flow_key, unsure),
	.reason = {[FLOW_NON_IP] = NUMBER(FLOW_NON_IP),
		   [FLOW_MALFORMED] = NUMBER(FLOW_MALFORMED),
		   [FLOW_MAP_FULL] = NUMBER(FLOW_MAP_FULL),
		   [FLOW_FRAMES] = NUMBER(FLOW_FRAMES)},
	.value = STRUCT(flow_value),
	.bytes = {COUNTS(0, bytes), COUNTS(1, bytes)},
	.packets = {COUNTS(0, packets), COUNTS(1, packets)},
	.train = STRUCT(flow_train),
	.train_key = FIELD(flow_train, key),
	.train_bytes = FIELD(flow_train, bytes),
	.train_packets = FIELD(flow_train, packets),
	.train_slot = FIELD(flow_train, slot),
	.train_class = FIELD(flow_train, class),
	.slot = STRUCT(flow_slot),
	.slot_ifindex = FIELD(flow_slot, ifindex),
	.slot_slot = FIELD(flow_slot, slot),
	.slot_flags = FIELD(flow_slot, flags),
	.banks = NUMBER(FLOW_BANKS),
	.control = STRUCT(flow_control),
	.control_epoch = FIELD(flow_control, epoch),
	.control_trains = FIELD(flow_control, trains),
	.control_bank = FIELD(flow_control, bank),
	.control_fragments_covered = FIELD(flow_control, fragments_covered[0]),
	.cpu = STRUCT(flow_cpu),
	.cpu_bank = FIELD(flow_cpu, bank),
	.turner = STRUCT(flow_turner),
	.turner_ifindex = FIELD(flow_turner, ifindex),
	.turner_address = FIELD(flow_turner, address),
};

const struct layout *layout_own(void)
{
	return &own;
}

bool layout_is_own(const struct layout *layout)
{
	return !memcmp(layout, &own, sizeof(own));
}

static bool layout_is_within(const struct layout_field *field, const struct layout_field *outer)
{
	return field->at + field->size <= outer->size;
}

/* n integers in a struct. */
static bool layout_has_integers(const struct layout_field *outer, const struct layout_field *fields,
				size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((fields[i].size != 1 && fields[i].size != 2 && fields[i].size != 4 &&
		     fields[i].size != 8) ||
		    !layout_is_within(&fields[i], outer))
			return false;
	return true;
}

/* One after the other in struct layout, the last included. */
#define HAS_INTEGERS(layout, outer, first, last)                \
	layout_has_integers(&(layout)->outer, &(layout)->first, \
			    (size_t)(&(layout)->last - &(layout)->first) + 1)

static bool layout_has_sound_key(const struct layout *layout)
{
	for (int end = 0; end < 2; end++)
		if (layout->address[end].size != own.address[end].size ||
		    !layout_is_within(&layout->address[end], &layout->key) ||
		    layout->port[end].size != own.port[end].size)
			return false;
	return HAS_INTEGERS(layout, key, port[0], unsure);
}

bool layout_is_sound(const struct layout *layout)
{
	return layout_has_sound_key(layout) &&
	       layout_has_integers(&layout->value, layout->bytes, ARRAY_SIZE(layout->bytes)) &&
	       layout_has_integers(&layout->value, layout->packets, ARRAY_SIZE(layout->packets)) &&
	       layout->train_key.size == layout->key.size &&
	       layout_is_within(&layout->train_key, &layout->train) &&
	       HAS_INTEGERS(layout, train, train_bytes, train_class) &&
	       HAS_INTEGERS(layout, slot, slot_ifindex, slot_flags) && layout->banks.at &&
	       HAS_INTEGERS(layout, control, control_epoch, control_fragments_covered) &&
	       layout->control_fragments_covered.at +
			       layout->banks.at * layout->control_fragments_covered.size <=
		       layout->control.size &&
	       HAS_INTEGERS(layout, cpu, cpu_bank, cpu_bank) &&
	       /* it is written, too */
	       layout->cpu_bank.size == own.cpu_bank.size &&
	       !(layout->cpu_bank.at % own.cpu_bank.size) &&
	       HAS_INTEGERS(layout, turner, turner_ifindex, turner_ifindex) &&
	       layout->turner_address.size == own.turner_address.size &&
	       layout_is_within(&layout->turner_address, &layout->turner);
}

uint64_t layout_get(const struct layout_field *field, const void *bytes)
{
	const char *from = (const char *)bytes + field->at;
	uint64_t number = 0;
	uint32_t half;
	uint16_t quarter;
	uint8_t byte;

	switch (field->size) {
	case sizeof(byte):
		memcpy(&byte, from, sizeof(byte));
		return byte;
	case sizeof(quarter):
		memcpy(&quarter, from, sizeof(quarter));
		return quarter;
	case sizeof(half):
		memcpy(&half, from, sizeof(half));
		return half;
	case sizeof(number):
		memcpy(&number, from, sizeof(number));
		return number;
	}
	return number;
}

/* Of addresses, which are as they are. */
static void layout_get_bytes(const struct layout_field *field, const void *bytes, void *to)
{
	memcpy(to, (const char *)bytes + field->at, field->size);
}

static bool layout_get_reason(const struct layout *layout, struct flow_key *key)
{
	for (unsigned int reason = 0; reason < FLOW_OWN_ENTRIES; reason++)
		if (layout->reason[reason].at == key->protocol) {
			key->protocol = (uint8_t)reason;
			return true;
		}
	return false;
}

static bool layout_get_key(const struct layout *layout, const void *bytes, struct flow_key *key)
{
	*key = (struct flow_key){
		.protocol = (uint8_t)layout_get(&layout->protocol, bytes),
		.family = (uint8_t)layout_get(&layout->family, bytes),
		.unsure = (uint8_t)layout_get(&layout->unsure, bytes),
	};
	for (int end = 0; end < 2; end++) {
		layout_get_bytes(&layout->address[end], bytes, &key->addr[end]);
		key->port[end] = (__be16)layout_get(&layout->port[end], bytes);
	}
	if (key->family == FLOW_UNATTRIBUTED)
		return layout_get_reason(layout, key);
	return key->family == FLOW_IPV4 || key->family == FLOW_IPV6;
}

bool layout_get_flow(const struct layout *layout, const void *key_bytes, const void *value_bytes,
		     struct flow_key *key, struct flow_value *value)
{
	struct flow_key sent;
	uint32_t turned;

	if (!layout_get_key(layout, key_bytes, &sent))
		return false;
	/* which end is the first one is for the reader to say */
	turned = flow_key_order(&sent, key);
	for (uint32_t end = 0; end < 2; end++)
		for (uint32_t class = 0; class < FLOW_CLASSES; ++class) {
			uint32_t cell = end * FLOW_CLASSES + class;

			value->count[end ^ turned][class] = (struct flow_count){
				.bytes = layout_get(&layout->bytes[cell], value_bytes),
				.packets = layout_get(&layout->packets[cell], value_bytes),
			};
		}
	return true;
}

bool layout_get_train(const struct layout *layout, const void *bytes, struct flow_train *train)
{
	uint64_t slot = layout_get(&layout->train_slot, bytes);
	uint64_t class = layout_get(&layout->train_class, bytes);

	*train = (struct flow_train){
		.bytes = layout_get(&layout->train_bytes, bytes),
		.packets = layout_get(&layout->train_packets, bytes),
		.slot = (uint16_t)slot,
		.class = class,
	};
	return layout_get_key(layout, (const char *)bytes + layout->train_key.at, &train->key) &&
	       slot == train->slot && class < FLOW_CLASSES;
}

bool layout_get_slot(const struct layout *layout, const void *bytes, struct flow_slot *slot)
{
	uint64_t number = layout_get(&layout->slot_slot, bytes);
	uint64_t flags = layout_get(&layout->slot_flags, bytes);

	*slot = (struct flow_slot){
		.ifindex = (uint32_t)layout_get(&layout->slot_ifindex, bytes),
		.slot = (uint16_t)number,
		.flags = (uint8_t)flags,
	};
	return number == slot->slot && !(flags & ~(uint64_t)FLOW_SLOT_FLAGS);
}

void layout_get_turner(const struct layout *layout, const void *bytes, struct flow_turner *turner)
{
	*turner = (struct flow_turner){
		.ifindex = (uint32_t)layout_get(&layout->turner_ifindex, bytes),
	};
	layout_get_bytes(&layout->turner_address, bytes, turner->address);
}
