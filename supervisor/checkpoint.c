// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/checkpoint.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/numbers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * One description of the layout serves both ways, so that they cannot differ. The bytes never leave
 * the machine that they were made on: numbers are as the processor has them.
 */
struct codec {
	struct buffer *out; /* NULL: decoding */
	const uint8_t *in;
	size_t left; /* of the record */
	int error;
};

/* A record within another one. */
struct record {
	size_t begin; /* of its size, in out */
	size_t left;  /* of the outer one, behind it */
};

static const char checkpoint_magic[8] = "flowtly";
const char checkpoint_ended[8] = "ftended";

static void code_bytes(struct codec *codec, void *data, size_t size)
{
	if (codec->out) {
		buffer_append(codec->out, data, size);
		return;
	}
	if (!codec->in || size > codec->left) {
		/* the end of the record of an earlier version, but not within a field */
		if (codec->left)
			codec->error = codec->error ?: -EBADMSG;
		codec->left = 0;
		memset(data, 0, size);
		return;
	}
	memcpy(data, codec->in, size);
	codec->in += size;
	codec->left -= size;
}

#define code(codec, field) code_bytes(codec, &(field), sizeof(field))

static struct record code_begin(struct codec *codec)
{
	struct record record = {.begin = codec->out ? codec->out->size : 0};
	uint32_t size = 0;

	code(codec, size);
	if (codec->out)
		return record;
	if (size > codec->left) {
		codec->error = codec->error ?: -EBADMSG;
		size = 0;
	}
	record.left = codec->left - size;
	codec->left = size;
	return record;
}

static void code_end(struct codec *codec, struct record record)
{
	uint32_t size;

	if (!codec->out) {
		codec->in += codec->left;
		codec->left = record.left;
		return;
	}
	if (buffer_error(codec->out))
		return;
	size = (uint32_t)(codec->out->size - record.begin - sizeof(size));
	memcpy(codec->out->data + record.begin, &size, sizeof(size));
}

/* One that has no fields but those of the struct, which has no holes. */
static void code_struct(struct codec *codec, void *data, size_t size)
{
	struct record record = code_begin(codec);

	if (!codec->out && codec->left < size) {
		memset((char *)data + codec->left, 0, size - codec->left);
		size = codec->left;
	}
	code_bytes(codec, data, size);
	code_end(codec, record);
}

static void code_bool(struct codec *codec, bool *value)
{
	uint8_t byte = *value;

	code(codec, byte);
	if (!codec->out)
		*value = byte;
}

static void code_text(struct codec *codec, char *text, size_t size)
{
	code_struct(codec, text, size);
	if (!codec->out)
		text[size - 1] = '\0';
}

/*
 * Room for as many items as *count says, if decoding; each takes up item_bytes at least, so that a
 * wrong number cannot ask for more than is there.
 */
static void code_array(struct codec *codec, void **items, size_t *count, size_t item_size,
		       size_t item_bytes)
{
	uint64_t number = *count;

	code(codec, number);
	if (codec->out)
		return;
	*items = NULL;
	*count = 0;
	if (number > codec->left / item_bytes) {
		codec->error = codec->error ?: -EBADMSG;
		return;
	}
	*items = number ? calloc(number, item_size) : NULL;
	if (*items)
		*count = number;
	else if (number)
		codec->error = codec->error ?: -ENOMEM;
}

static void code_list(struct codec *codec, struct checkpoint_list *list)
{
	code_array(codec, (void **)&list->numbers, &list->count, sizeof(*list->numbers),
		   sizeof(*list->numbers));
	if (list->count)
		code_bytes(codec, list->numbers, list->count * sizeof(*list->numbers));
}

static void code_reference(struct codec *codec, struct topology_reference *reference)
{
	struct record record = code_begin(codec);
	uint8_t number = (uint8_t)reference->hook;

	code(codec, reference->id);
	code(codec, number);
	if (number >= HOOKS)
		codec->error = codec->error ?: -EBADMSG;
	else if (!codec->out)
		reference->hook = number;
	code_end(codec, record);
}

static void code_hook(struct codec *codec, struct topology_hook *hook)
{
	struct record record = code_begin(codec);
	uint32_t sight = hook->sight;

	code(codec, sight);
	if (sight > SIGHT_JUDGED)
		codec->error = codec->error ?: -EBADMSG;
	if (!codec->out)
		hook->sight = sight;
	code_array(codec, (void **)&hook->references, &hook->reference_count,
		   sizeof(*hook->references), sizeof(uint32_t));
	for (size_t i = 0; i < hook->reference_count; i++)
		code_reference(codec, &hook->references[i]);
	code_end(codec, record);
}

static void code_role(struct codec *codec, struct topology_role *role)
{
	struct record record = code_begin(codec);

	code(codec, role->id);
	code_bool(codec, &role->covered);
	code_bool(codec, &role->partial);
	code_bool(codec, &role->turns);
	code_bool(codec, &role->born_repeat);
	code(codec, role->level);
	for (enum hook hook = 0; hook < HOOKS; hook++)
		code_hook(codec, &role->hook[hook]);
	code_end(codec, record);
}

static void code_attachment(struct codec *codec, struct checkpoint_attachment *attachment)
{
	struct record record = code_begin(codec);

	code_text(codec, attachment->mode, sizeof(attachment->mode));
	code_bool(codec, &attachment->created);
	code(codec, attachment->priority);
	code_end(codec, record);
}

static void code_tunnel(struct codec *codec, struct link_tunnel *tunnel)
{
	struct record record = code_begin(codec);

	code(codec, tunnel->protocols);
	code(codec, tunnel->port);
	code_bool(codec, &tunnel->port_is_local);
	code_bool(codec, &tunnel->other_remotes);
	code(codec, tunnel->local);
	code(codec, tunnel->remote);
	code_end(codec, record);
}

static void code_phase(struct codec *codec, struct checkpoint_phase *phase)
{
	struct record record = code_begin(codec);

	code(codec, phase->id);
	code(codec, phase->life);
	code(codec, phase->era);
	code(codec, phase->ifindex);
	code_bool(codec, &phase->live);
	code_bool(codec, &phase->counting);
	code_bool(codec, &phase->was_up);
	code_bool(codec, &phase->wanted_from_birth);
	code_bool(codec, &phase->lower_in_other_netns);
	code(codec, phase->type);
	code_text(codec, phase->name, sizeof(phase->name));
	code_text(codec, phase->kind, sizeof(phase->kind));
	code_tunnel(codec, &phase->tunnel);
	code_struct(codec, &phase->at_birth, sizeof(phase->at_birth));
	code(codec, phase->before_attach.bytes);
	code(codec, phase->before_attach.packets);
	code_role(codec, &phase->role);
	code_attachment(codec, &phase->attachment);
	code_end(codec, record);
}

static void code_phases(struct codec *codec, struct checkpoint_phase **phases, size_t *count)
{
	code_array(codec, (void **)phases, count, sizeof(**phases), sizeof(uint32_t));
	for (size_t i = 0; i < *count; i++)
		code_phase(codec, &(*phases)[i]);
}

static void code_report(struct codec *codec, struct checkpoint_report *report)
{
	struct record record = code_begin(codec);

	code(codec, report->id);
	code_struct(codec, &report->interval, sizeof(report->interval));
	code_struct(codec, &report->position, sizeof(report->position));
	code(codec, report->file_size);
	code_list(codec, &report->maps);
	code(codec, report->last_train_set);
	code(codec, report->owed);
	code(codec, report->folded);
	code_phases(codec, &report->phases, &report->phase_count);
	code(codec, report->checksum);
	code_end(codec, record);
}

static void code_generation(struct codec *codec, struct generation *generation)
{
	struct record record = code_begin(codec);

	code(codec, generation->number);
	code_struct(codec, &generation->layout, sizeof(generation->layout));
	code_end(codec, record);
	if (!codec->out && !codec->error && !layout_is_sound(&generation->layout))
		codec->error = -EBADMSG;
}

static void code_generations(struct codec *codec, struct checkpoint *checkpoint)
{
	code_generation(codec, &checkpoint->generation);
	code_array(codec, (void **)&checkpoint->earlier, &checkpoint->earlier_count,
		   sizeof(*checkpoint->earlier), sizeof(uint32_t));
	for (size_t i = 0; i < checkpoint->earlier_count; i++)
		code_generation(codec, &checkpoint->earlier[i]);
}

static void code_checkpoint(struct codec *codec, struct checkpoint *checkpoint)
{
	struct record record = code_begin(codec);

	code_generations(codec, checkpoint);
	code_struct(codec, &checkpoint->interval, sizeof(checkpoint->interval));
	code(codec, checkpoint->last_id);
	code(codec, checkpoint->era);
	code(codec, checkpoint->known_ifindex);
	code_report(codec, &checkpoint->report);
	code(codec, checkpoint->owed);
	code(codec, checkpoint->folded);
	code_list(codec, &checkpoint->done_maps);
	code(codec, checkpoint->reported_train_set);
	code(codec, checkpoint->folded_train_set);
	code_phases(codec, &checkpoint->phases, &checkpoint->phase_count);
	code_end(codec, record);
}

static void code_head(struct codec *codec)
{
	uint32_t version = CHECKPOINT_VERSION;
	char magic[sizeof(checkpoint_magic)];

	memcpy(magic, checkpoint_magic, sizeof(magic));
	code(codec, magic);
	code(codec, version);
	if (!memcmp(magic, checkpoint_ended, sizeof(magic)))
		codec->error = -ENODATA;
	else if (memcmp(magic, checkpoint_magic, sizeof(magic)) != 0)
		codec->error = codec->error ?: -EBADMSG;
	else if (version != CHECKPOINT_VERSION)
		codec->error = codec->error ?: -EPROTO;
}

void checkpoint_encode(const struct checkpoint *checkpoint, struct buffer *bytes)
{
	struct codec codec = {.out = bytes};

	code_head(&codec);
	/* encoding changes nothing */
	code_checkpoint(&codec, (struct checkpoint *)checkpoint);
}

int checkpoint_sort_ids(const struct checkpoint_phase *phases, size_t phase_count, uint32_t **ret,
			size_t *count)
{
	uint32_t *ids = calloc(phase_count + 1, sizeof(*ids));
	size_t n = 0;

	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < phase_count; i++)
		if (phases[i].id)
			ids[n++] = phases[i].id;
	numbers_sort(ids, n);
	*ret = ids;
	*count = n;
	return 0;
}

/* No id stands for two phases, and none is yet to be given: a merge takes them for one. */
static int checkpoint_check_ids(const struct checkpoint_phase *phases, size_t count,
				uint32_t last_id)
{
	_free_ uint32_t *ids = NULL;
	size_t n;
	int err = checkpoint_sort_ids(phases, count, &ids, &n);

	if (err)
		return err;
	for (size_t i = 1; i < n; i++)
		if (ids[i] == ids[i - 1])
			return -EBADMSG;
	return n && ids[n - 1] > last_id ? -EBADMSG : 0;
}

static int checkpoint_check(const struct checkpoint *checkpoint)
{
	const struct checkpoint_report *report = &checkpoint->report;

	return checkpoint_check_ids(checkpoint->phases, checkpoint->phase_count,
				    checkpoint->last_id)
		       ?: checkpoint_check_ids(report->phases, report->phase_count,
					       checkpoint->last_id);
}

int checkpoint_decode(struct checkpoint *checkpoint, const void *bytes, size_t size)
{
	struct codec codec = {.in = bytes, .left = size};
	struct checkpoint decoded = {0};

	code_head(&codec);
	if (codec.error)
		return codec.error;
	code_checkpoint(&codec, &decoded);
	if (!codec.error)
		codec.error = checkpoint_check(&decoded);
	if (codec.error) {
		checkpoint_clean(&decoded);
		return codec.error;
	}
	*checkpoint = decoded;
	return 0;
}

void checkpoint_clean_phases(struct checkpoint_phase *phases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		topology_role_clean(&phases[i].role);
	free(phases);
}

void checkpoint_clean(struct checkpoint *checkpoint)
{
	checkpoint_clean_phases(checkpoint->phases, checkpoint->phase_count);
	checkpoint_clean_phases(checkpoint->report.phases, checkpoint->report.phase_count);
	free(checkpoint->earlier);
	free(checkpoint->report.maps.numbers);
	free(checkpoint->done_maps.numbers);
	*checkpoint = (struct checkpoint){0};
}
