/* SPDX-License-Identifier: GPL-2.0-only */
/* The BPF program: loaded and verified once for all interfaces, with the maps that are not per
 * interface. */
#ifndef FLOWTALLY_PROGRAM_H
#define FLOWTALLY_PROGRAM_H

#include "bpf/flow_types.h"

#include <stdbool.h>
#include <stdint.h>

struct pin_name;
struct pins;
struct program;
struct slot_table;

/*
 * Loads the embedded object. libbpf's and the verifier's words go to the debug log. -EPERM: not
 * allowed to use BPF. generation: the number of its maps, from 1 up, with which they are pinned.
 * go_on: with those that are, -ENOENT or -EPROTO if they are not all there or not as ours would be;
 * else its own maps are pinned, in place of any others of that number.
 */
int program_new(struct program **ret, const struct pins *pins, uint32_t generation, bool go_on);
void program_free(struct program *program);

uint32_t program_generation(const struct program *program);

/* The name of the pin of one of these maps; and which generation's the pin is, if it is one. */
struct pin_name program_pin(uint32_t generation, const char *map);
bool program_is_pin(const char *name, uint32_t *generation);

/* Descriptors of the two entries and of the ARRAY_OF_MAPS, borrowed. */
int program_ingress_fd(const struct program *program);
int program_egress_fd(const struct program *program);
int program_flow_maps_fd(const struct program *program);

/* Which interfaces it counts; borrowed. */
struct slot_table *program_slots(const struct program *program);

/* Tells it of such a device, or that it is none any more. 0 or negative errno. */
int program_add_turner(struct program *program, const struct flow_turner *turner);
int program_delete_turner(struct program *program, const struct flow_turner *turner);
/* Forgets all that keep() does not want. 0 or negative errno. */
int program_sweep_turners(struct program *program,
			  bool (*keep)(void *data, const struct flow_turner *turner), void *data);

/*
 * Lets every CPU's flow of the moment be kept in the other set from now on. After a grace period
 * (flow_maps_swap() and flow_maps_synchronize() wait for one) the set that was in use is quiet.
 */
void program_flip_epoch(struct program *program);

/* The number of the first quiet set that there will be, if no CPU has kept anything yet. */
void program_begin_epoch(struct program *program, uint32_t epoch);

/* Whether CPUs keep trains at all: not before they are told to. What they hold stays until it is
 * taken. */
void program_use_trains(struct program *program, bool use);

/* The number of the quiet set: one more with every flip; 0: there was none yet. */
uint32_t program_quiet_set(const struct program *program);

/* Calls found for each train in the quiet set, until it returns a negative errno. 0 or negative
 * errno. */
typedef int (*program_train_found)(void *data, const struct flow_train *train);
int program_read_trains(struct program *program, program_train_found found, void *data);
/* Empties the quiet set. 0 or negative errno. */
int program_empty_trains(struct program *program);
/* Reads both sets; what is in use may be half written. */
int program_peek_trains(struct program *program, program_train_found found, void *data);

/* What the kernel measured of both entries, while kernel.bpf_stats_enabled is on. 0 or negative
 * errno. */
int program_run_time(const struct program *program, uint64_t *ns, uint64_t *runs);

/* For epoll: readable when a map nears its limit. */
int program_full_fd(const struct program *program);
/* Calls found for each slot whose map nears its limit, maybe more than once. 0 or negative errno.
 */
int program_take_full(struct program *program, void (*found)(void *data, uint32_t slot),
		      void *data);

/*
 * Entries put into the slot's map since the last reset. Reset before a fresh map is put into the
 * slot, never after: an insert of the old map counted too much does no harm, one of the new map
 * forgotten would make it look empty.
 */
uint64_t program_fill(const struct program *program, uint32_t slot);
/* Whether a map was ever put into it, or is about to be. */
bool program_slot_was_used(const struct program *program, uint32_t slot);
/* signal_at: how many entries make it near its limit. Returns what was there. */
struct flow_fill program_reset_fill(struct program *program, uint32_t slot, uint32_t signal_at);
/* The old map stays in the slot: goes on with what was there, and has come meanwhile. */
void program_restore_fill(struct program *program, uint32_t slot, const struct flow_fill *before);
/* Makes the map in the slot look used. */
void program_touch_fill(struct program *program, uint32_t slot);

#endif
