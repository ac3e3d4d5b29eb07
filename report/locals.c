// SPDX-License-Identifier: GPL-2.0-only
#include "report/locals.h"

#include "lib/address.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_FIRST 64

/*
 * One open-addressing table holds the (interface, address) pairs and, under interface 0, each
 * address with the number of interfaces that have it.
 */
struct local {
	uint8_t addr[16];
	uint32_t ifindex;
	uint32_t uses;	/* 0: free slot */
	bool mentioned; /* a pair: since the last dump began */
};

struct local_set {
	struct local *slots; /* owned */
	size_t slot_count;   /* a power of two */
	size_t used;
};

int local_set_new(struct local_set **ret)
{
	struct local_set *set = calloc(1, sizeof(*set));

	if (!set)
		return -ENOMEM;
	set->slot_count = SLOTS_FIRST;
	set->slots = calloc(set->slot_count, sizeof(*set->slots));
	if (!set->slots) {
		free(set);
		return -ENOMEM;
	}
	*ret = set;
	return 0;
}

void local_set_free(struct local_set *set)
{
	if (!set)
		return;
	free(set->slots);
	free(set);
}

static size_t home_slot(const struct local_set *set, uint32_t ifindex, const uint8_t addr[16])
{
	uint64_t half[2];

	memcpy(half, addr, sizeof(half));
	half[0] = (half[0] ^ ifindex) * 0x9e3779b97f4a7c15u;
	half[1] = (half[1] ^ (half[0] >> 32)) * 0xd6e8feb86659fd93u;
	return (half[1] >> 32) & (set->slot_count - 1);
}

/* The slot of the pair, or the free one where it would be. */
static struct local *find_slot(const struct local_set *set, uint32_t ifindex,
			       const uint8_t addr[16])
{
	size_t i = home_slot(set, ifindex, addr);

	while (set->slots[i].uses &&
	       (set->slots[i].ifindex != ifindex || memcmp(set->slots[i].addr, addr, 16)))
		i = (i + 1) & (set->slot_count - 1);
	return &set->slots[i];
}

/* Room for two more, at half full at most. */
static int reserve_two(struct local_set *set)
{
	struct local_set bigger = {.slot_count = set->slot_count, .used = set->used};

	if (2 * (set->used + 2) <= set->slot_count)
		return 0;
	bigger.slot_count *= 2;
	bigger.slots = calloc(bigger.slot_count, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < set->slot_count; i++) {
		const struct local *local = &set->slots[i];

		if (local->uses)
			*find_slot(&bigger, local->ifindex, local->addr) = *local;
	}
	free(set->slots);
	*set = bigger;
	return 0;
}

static void use_slot(struct local_set *set, uint32_t ifindex, const uint8_t addr[16])
{
	struct local *local = find_slot(set, ifindex, addr);

	if (!local->uses++) {
		memcpy(local->addr, addr, 16);
		local->ifindex = ifindex;
		local->mentioned = true;
		set->used++;
	}
}

/* Empties a slot and moves up what stands behind it only because it was taken. */
static void release_slot(struct local_set *set, struct local *local)
{
	size_t mask = set->slot_count - 1;
	size_t hole = (size_t)(local - set->slots);

	if (--local->uses)
		return;
	set->used--;
	for (size_t i = (hole + 1) & mask; set->slots[i].uses; i = (i + 1) & mask) {
		size_t home = home_slot(set, set->slots[i].ifindex, set->slots[i].addr);

		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		set->slots[hole] = set->slots[i];
		set->slots[i].uses = 0;
		hole = i;
	}
}

int local_set_add(struct local_set *set, uint32_t ifindex, const uint8_t addr[16])
{
	struct local *known = find_slot(set, ifindex, addr);
	int err;

	if (!ifindex)
		return -EINVAL;
	if (known->uses) {
		known->mentioned = true;
		return 0;
	}
	err = reserve_two(set);
	if (err)
		return err;
	use_slot(set, ifindex, addr);
	use_slot(set, 0, addr);
	return 0;
}

void local_set_remove(struct local_set *set, uint32_t ifindex, const uint8_t addr[16])
{
	struct local *local = find_slot(set, ifindex, addr);

	if (!ifindex || !local->uses)
		return;
	release_slot(set, local);
	release_slot(set, find_slot(set, 0, addr));
}

static bool is_of(const struct local *local, uint32_t ifindex)
{
	return local->ifindex == ifindex;
}

static bool is_unmentioned(const struct local *local, uint32_t ifindex)
{
	(void)ifindex;
	return !local->mentioned;
}

/* Removes the pairs that go. */
static void remove_pairs(struct local_set *set,
			 bool (*goes)(const struct local *local, uint32_t ifindex),
			 uint32_t ifindex)
{
	bool found;

	/* a removal may move a pair to a slot that was looked at already */
	do {
		found = false;
		for (size_t i = 0; i < set->slot_count; i++) {
			struct local local = set->slots[i];

			if (!local.uses || !local.ifindex || !goes(&local, ifindex))
				continue;
			local_set_remove(set, local.ifindex, local.addr);
			found = true;
		}
	} while (found);
}

void local_set_remove_interface(struct local_set *set, uint32_t ifindex)
{
	remove_pairs(set, is_of, ifindex);
}

void local_set_dump_begin(struct local_set *set)
{
	for (size_t i = 0; i < set->slot_count; i++)
		set->slots[i].mentioned = false;
}

void local_set_dump_end(struct local_set *set)
{
	remove_pairs(set, is_unmentioned, 0);
}

bool local_set_has(const struct local_set *set, const uint8_t addr[16])
{
	static const uint8_t loopback[16] = {[15] = 1};

	return (address_is_ipv4(addr) && addr[ADDRESS_IPV4_AT] == 127) ||
	       !memcmp(addr, loopback, 16) || find_slot(set, 0, addr)->uses;
}
