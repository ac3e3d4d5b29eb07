// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/program.h"
#include "lib/array.h"
#include "lib/cleanup.h"
#include "lib/cpu_list.h"
#include "lib/log.h"
#include "supervisor/pins.h"
#include "supervisor/slot_table.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* bpf/flow_object.S */
extern const char flow_object[], flow_object_end[];

struct program {
	uint32_t generation; /* of its maps */
	struct bpf_object *object;
	/* borrowed from object */
	int ingress_fd, egress_fd, flow_maps_fd, turners_fd;
	struct slot_table *slots;
	uint64_t *words;	      /* those of the slot table, mapped */
	struct flow_fill *fill;	      /* mapped: FLOW_SLOTS of them */
	struct flow_control *control; /* mapped */
	struct flow_cpu *cpus;	      /* mapped: cpu_count of them */
	int trains_fd;		      /* borrowed from object */
	uint32_t cpu_count, trains;   /* how many of these in a set */
	struct ring_buffer *nearly_full;
	void (*full_found)(void *data, uint32_t slot); /* during program_take_full() */
	void *full_data;
};

/* What the trains of all CPUs may take of the kernel's memory. */
#define TRAINS_MEMORY (32U << 20)

#define WORDS_SIZE (FLOW_SLOT_TABLE_SIZE * FLOW_BANKS * sizeof(struct flow_slot))
#define FILL_SIZE  (FLOW_SLOTS * sizeof(struct flow_fill))

static size_t program_cpus_size(const struct program *program)
{
	return program->cpu_count * sizeof(struct flow_cpu);
}

/* libbpf says "warning" of things that the layer that knows the interface reports in its own words.
 */
static int __attribute__((format(printf, 2, 0)))
program_libbpf_print(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level != LIBBPF_DEBUG)
		log_vline(LOG_LEVEL_DEBUG, format, args);
	return 0;
}

static int program_map_fd(const struct program *program, const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(program->object, name);

	return fd < 0 ? -ENOENT : fd;
}

static int program_entry_fd(const struct program *program, const char *name)
{
	struct bpf_program *entry = bpf_object__find_program_by_name(program->object, name);

	return entry ? bpf_program__fd(entry) : -ENOENT;
}

static int program_mmap(const struct program *program, const char *name, size_t size, void **ret)
{
	int fd = program_map_fd(program, name);
	void *memory;

	if (fd < 0)
		return fd;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	*ret = memory;
	return 0;
}

static int program_on_full(void *context, void *data, size_t size)
{
	struct program *program = context;
	uint32_t slot;

	if (size < sizeof(slot))
		return -EBADMSG;
	memcpy(&slot, data, sizeof(slot));
	program->full_found(program->full_data, slot);
	return 0;
}

static size_t program_trains_size(const struct program *program)
{
	return (size_t)program->cpu_count * FLOW_EPOCHS * program->trains *
	       sizeof(struct flow_train);
}

/* One more than the highest number of a CPU that there may be, by which the program finds what is
 * the CPU's; or negative errno. */
static int program_count_cpus(void)
{
	_fclose_ FILE *file = fopen("/sys/devices/system/cpu/possible", "re");
	char list[4096]; /* sysfs has a page at most */
	uint32_t end;

	if (!file)
		return -errno;
	if (!fgets(list, sizeof(list), file))
		return ferror(file) ? -errno : -EBADMSG;
	end = cpu_list_end(list);
	return end ? (int)end : -EBADMSG;
}

/* Sets for all numbers of CPUs that there may be: fewer trains in each where these are very many.
 */
static int program_size_maps(struct program *program)
{
	struct bpf_map *cpus = bpf_object__find_map_by_name(program->object, "cpus");
	struct bpf_map *trains = bpf_object__find_map_by_name(program->object, "trains");
	int count = program_count_cpus(), err;

	if (!cpus || !trains || count < 0)
		return cpus && trains ? count : -ENOENT;
	program->cpu_count = (uint32_t)count;
	program->trains = FLOW_TRAINS_MAX;
	while (program_trains_size(program) > TRAINS_MEMORY && program->trains > 1)
		program->trains /= 2;
	err = bpf_map__set_max_entries(cpus, program->cpu_count);
	if (err)
		return err;
	return bpf_map__set_max_entries(trains, program->cpu_count * FLOW_EPOCHS * program->trains);
}

struct pin_name program_pin(uint32_t generation, const char *map)
{
	/* the file system takes no dots in names */
	const char *name = *map == '.' ? strrchr(map, '.') + 1 : map;

	return pin_name("program-%" PRIu32 "-%s", generation, name);
}

bool program_is_pin(const char *name, uint32_t *generation)
{
	return sscanf(name, "program-%" SCNu32 "-", generation) == 1;
}

static struct pin_name program_map_pin(const struct program *program, const struct bpf_map *map)
{
	return program_pin(program->generation, bpf_map__name(map));
}

static int program_reuse_map(const struct program *program, struct bpf_map *map,
			     const struct pins *pins)
{
	struct pin_name pin = program_map_pin(program, map);
	_close_ int fd = pins_get(pins, pin.text);
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info);

	if (fd < 0)
		return fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		return -errno;
	if (info.type != bpf_map__type(map) || info.key_size != bpf_map__key_size(map) ||
	    info.value_size != bpf_map__value_size(map) ||
	    info.max_entries != bpf_map__max_entries(map))
		return -EPROTO;
	return bpf_map__reuse_fd(map, fd);
}

static int program_reuse_maps(const struct program *program, const struct pins *pins)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, program->object)
	{
		int err = program_reuse_map(program, map, pins);

		if (err)
			return err;
	}
	return 0;
}

static int program_pin_maps(const struct program *program, const struct pins *pins)
{
	const struct bpf_map *map;

	bpf_object__for_each_map(map, program->object)
	{
		struct pin_name pin = program_map_pin(program, map);
		int err = pins_replace(pins, bpf_map__fd(map), pin.text);

		if (err)
			return err;
	}
	return 0;
}

static int program_load_object(struct program *program, const struct pins *pins, bool go_on)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "flowtally");
	int err;

	program->object =
		bpf_object__open_mem(flow_object, (size_t)(flow_object_end - flow_object), &opts);
	if (!program->object)
		return -errno;
	err = program_size_maps(program);
	if (!err && go_on)
		err = program_reuse_maps(program, pins);
	if (!err)
		err = bpf_object__load(program->object);
	if (!err && !go_on)
		err = program_pin_maps(program, pins);
	return err;
}

static int program_open(struct program *program, const struct pins *pins, bool go_on)
{
	int err = program_load_object(program, pins, go_on);

	if (err)
		return err;
	program->ingress_fd = program_entry_fd(program, "flowtally_in");
	program->egress_fd = program_entry_fd(program, "flowtally_out");
	program->flow_maps_fd = program_map_fd(program, "flow_maps");
	program->turners_fd = program_map_fd(program, "turners");
	if (program->ingress_fd < 0 || program->egress_fd < 0 || program->flow_maps_fd < 0 ||
	    program->turners_fd < 0)
		return -ENOENT;
	program->nearly_full = ring_buffer__new(program_map_fd(program, "nearly_full"),
						program_on_full, program, NULL);
	if (!program->nearly_full)
		return -errno;
	program->trains_fd = program_map_fd(program, "trains");
	if (program->trains_fd < 0)
		return program->trains_fd;
	err = program_mmap(program, ".data.control", sizeof(*program->control),
			   (void **)&program->control);
	if (!err)
		err = program_mmap(program, "cpus", program_cpus_size(program),
				   (void **)&program->cpus);
	if (!err)
		err = program_mmap(program, "slots", WORDS_SIZE, (void **)&program->words);
	if (!err)
		err = program_mmap(program, "fill", FILL_SIZE, (void **)&program->fill);
	return err ? err
		   : slot_table_new(&program->slots, program->words, program->control,
				    program->cpus, program->cpu_count);
}

int program_new(struct program **ret, const struct pins *pins, uint32_t generation, bool go_on)
{
	struct program *program = calloc(1, sizeof(*program));
	int err;

	if (!program)
		return -ENOMEM;
	program->generation = generation;
	libbpf_set_print(program_libbpf_print);
	err = program_open(program, pins, go_on);
	if (err) {
		program_free(program);
		return err;
	}
	*ret = program;
	return 0;
}

void program_free(struct program *program)
{
	if (!program)
		return;
	slot_table_free(program->slots);
	if (program->words)
		munmap(program->words, WORDS_SIZE);
	if (program->cpus)
		munmap(program->cpus, program_cpus_size(program));
	if (program->fill)
		munmap(program->fill, FILL_SIZE);
	if (program->control)
		munmap(program->control, sizeof(*program->control));
	ring_buffer__free(program->nearly_full);
	bpf_object__close(program->object);
	free(program);
}

uint32_t program_generation(const struct program *program)
{
	return program->generation;
}

int program_ingress_fd(const struct program *program)
{
	return program->ingress_fd;
}

int program_egress_fd(const struct program *program)
{
	return program->egress_fd;
}

int program_flow_maps_fd(const struct program *program)
{
	return program->flow_maps_fd;
}

int program_run_time(const struct program *program, uint64_t *ns, uint64_t *runs)
{
	const int fds[] = {program->ingress_fd, program->egress_fd};

	*ns = *runs = 0;
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		struct bpf_prog_info info = {0};
		__u32 size = sizeof(info);

		if (bpf_obj_get_info_by_fd(fds[i], &info, &size))
			return -errno;
		*ns += info.run_time_ns;
		*runs += info.run_cnt;
	}
	return 0;
}

struct slot_table *program_slots(const struct program *program)
{
	return program->slots;
}

int program_add_turner(struct program *program, const struct flow_turner *turner)
{
	const uint8_t is = 1;

	return bpf_map_update_elem(program->turners_fd, turner, &is, BPF_ANY) ? -errno : 0;
}

int program_delete_turner(struct program *program, const struct flow_turner *turner)
{
	return bpf_map_delete_elem(program->turners_fd, turner) ? -errno : 0;
}

int program_sweep_turners(struct program *program,
			  bool (*keep)(void *data, const struct flow_turner *turner), void *data)
{
	struct flow_turner turner, next;
	bool more = !bpf_map_get_next_key(program->turners_fd, NULL, &turner);
	int err = 0;

	while (more && !err) {
		more = !bpf_map_get_next_key(program->turners_fd, &turner, &next);
		if (!keep(data, &turner))
			err = program_delete_turner(program, &turner);
		turner = next;
	}
	return err;
}

void program_flip_epoch(struct program *program)
{
	__atomic_add_fetch(&program->control->epoch, 1, __ATOMIC_ACQ_REL);
}

void program_begin_epoch(struct program *program, uint32_t epoch)
{
	__atomic_store_n(&program->control->epoch, epoch, __ATOMIC_RELEASE);
}

uint32_t program_quiet_set(const struct program *program)
{
	return program->control->epoch;
}

void program_use_trains(struct program *program, bool use)
{
	__atomic_store_n(&program->control->trains, use ? program->trains : 0, __ATOMIC_RELEASE);
}

/* Mapped only while they are looked at: kernel memory that would count as the agent's else.
 * NULL with errno set if that fails. */
static struct flow_train *program_map_trains(const struct program *program)
{
	void *memory = mmap(NULL, program_trains_size(program), PROT_READ | PROT_WRITE, MAP_SHARED,
			    program->trains_fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* The CPU's set of the epoch; trains are those of all. */
static struct flow_train *program_set(const struct program *program, struct flow_train *trains,
				      uint32_t cpu, uint32_t epoch)
{
	return &trains[(size_t)(cpu * FLOW_EPOCHS + epoch) * program->trains];
}

static int program_read_set(const struct program *program, const struct flow_train *set,
			    program_train_found found, void *data)
{
	for (uint32_t i = 0; i < program->trains; i++) {
		int err = set[i].packets ? found(data, &set[i]) : 0;

		if (err)
			return err;
	}
	return 0;
}

/* What holds nothing is not written to, as most of it was never used. */
static void program_empty_set(const struct program *program, struct flow_train *set)
{
	for (uint32_t i = 0; i < program->trains; i++)
		if (set[i].packets)
			set[i] = (struct flow_train){0};
}

/* Where the set is that became quiet when the epoch began. */
static uint32_t program_quiet_place(const struct program *program)
{
	return (program->control->epoch + 1) % FLOW_EPOCHS;
}

static int program_read_sets(struct program *program, uint32_t place, program_train_found found,
			     void *data)
{
	struct flow_train *trains = program_map_trains(program);
	int err = 0;

	if (!trains)
		return -errno;
	for (uint32_t cpu = 0; cpu < program->cpu_count && !err; cpu++)
		err = program_read_set(program, program_set(program, trains, cpu, place), found,
				       data);
	munmap(trains, program_trains_size(program));
	return err;
}

int program_read_trains(struct program *program, program_train_found found, void *data)
{
	return program_read_sets(program, program_quiet_place(program), found, data);
}

int program_empty_trains(struct program *program)
{
	uint32_t place = program_quiet_place(program);
	struct flow_train *trains = program_map_trains(program);

	if (!trains)
		return -errno;
	for (uint32_t cpu = 0; cpu < program->cpu_count; cpu++)
		program_empty_set(program, program_set(program, trains, cpu, place));
	munmap(trains, program_trains_size(program));
	return 0;
}

int program_peek_trains(struct program *program, program_train_found found, void *data)
{
	int err = 0;

	for (uint32_t place = 0; place < FLOW_EPOCHS && !err; place++)
		err = program_read_sets(program, place, found, data);
	return err;
}

int program_full_fd(const struct program *program)
{
	return ring_buffer__epoll_fd(program->nearly_full);
}

int program_take_full(struct program *program, void (*found)(void *data, uint32_t slot), void *data)
{
	int taken;

	program->full_found = found;
	program->full_data = data;
	taken = ring_buffer__consume(program->nearly_full);
	return taken < 0 ? taken : 0;
}

uint64_t program_fill(const struct program *program, uint32_t slot)
{
	return __atomic_load_n(&program->fill[slot].inserted, __ATOMIC_ACQUIRE);
}

bool program_slot_was_used(const struct program *program, uint32_t slot)
{
	return __atomic_load_n(&program->fill[slot].signal_at, __ATOMIC_RELAXED);
}

struct flow_fill program_reset_fill(struct program *program, uint32_t slot, uint32_t signal_at)
{
	struct flow_fill *fill = &program->fill[slot], before;

	before.signal_at = __atomic_exchange_n(&fill->signal_at, signal_at, __ATOMIC_RELAXED);
	before.inserted = __atomic_exchange_n(&fill->inserted, 0, __ATOMIC_ACQ_REL);
	before.signalled = __atomic_exchange_n(&fill->signalled, 0, __ATOMIC_ACQ_REL);
	return before;
}

void program_restore_fill(struct program *program, uint32_t slot, const struct flow_fill *before)
{
	struct flow_fill *fill = &program->fill[slot];

	__atomic_store_n(&fill->signal_at, before->signal_at, __ATOMIC_RELAXED);
	__atomic_add_fetch(&fill->inserted, before->inserted, __ATOMIC_ACQ_REL);
	__atomic_or_fetch(&fill->signalled, before->signalled, __ATOMIC_ACQ_REL);
}

void program_touch_fill(struct program *program, uint32_t slot)
{
	__atomic_add_fetch(&program->fill[slot].inserted, 1, __ATOMIC_ACQ_REL);
}
