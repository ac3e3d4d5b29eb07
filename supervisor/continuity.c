// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/continuity.h"
#include "lib/array.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/lack.h"
#include "lib/log.h"
#include "report/merge.h"
#include "supervisor/continuity_private.h"
#include "supervisor/held.h"
#include "supervisor/interface_table.h"
#include "supervisor/layout.h"
#include "supervisor/pins.h"
#include "supervisor/predecessor.h"
#include "supervisor/sink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CHECKPOINT_PIN "checkpoint"
/* What pins of counts begin with. */
static const char *const counted_pins[] = {"flows-", "folded-", "trains-"};
/* What is pinned is a few KiB with nothing in it, a flow in a copy of the merge some 200 bytes. And
 * the next agent opens all maps at once. */
#define FLOWS_A_PIN 16
#define HELD_FEW    64
#define HELD_MANY   4096

/* That which is pinned now: to erase it if it cannot be replaced or dropped any more. */
static void continuity_open_checkpoint(struct continuity *continuity)
{
	int fd = pins_get(continuity->pins, CHECKPOINT_PIN);

	/* the one that could not be replaced is still pinned */
	if (fd < 0 && !pins_are_kept(continuity->pins))
		return;
	cleanup_close(&continuity->checkpoint_fd);
	continuity->checkpoint_fd = fd;
}

static void continuity_close_checkpoint(struct continuity *continuity)
{
	cleanup_close(&continuity->checkpoint_fd);
	continuity->checkpoint_fd = -1;
}

void continuity_start_afresh(struct continuity *continuity, const char *why)
{
	int removed = pins_clear(continuity->pins);

	predecessor_free(continuity->predecessor);
	continuity->predecessor = NULL;
	checkpoint_clean(&continuity->left);
	continuity->found = false;
	continuity->recovered = true;
	if (removed >= 0)
		continuity_close_checkpoint(continuity);
	if (removed < 0)
		log_error("what a dead agent left cannot be removed: %s", strerror(-removed));
	else if (removed && why)
		log_warning("what a dead agent counted is lost: %s", why);
	else if (removed)
		log_info(
			"an agent before this one has left pins, and nothing that is not reported");
}

/*
 * What can be pinned no more, and not be dropped either, must not be found by the next agent once
 * it is reported.
 */
static void continuity_give_up(struct continuity *continuity)
{
	int err;

	if (continuity->given_up || !pins_error(continuity->pins))
		return;
	continuity->given_up = true;
	err = pins_clear(continuity->pins);
	if (err < 0 && continuity->checkpoint_fd >= 0)
		err = pins_overwrite_bytes(continuity->checkpoint_fd, "", 0);
	if (err < 0)
		log_error("what is pinned cannot be removed: %s; the next start will report it "
			  "again",
			  strerror(-err));
}

static int continuity_load(struct continuity *continuity)
{
	struct buffer bytes = {0};
	int err = pins_get_bytes(continuity->pins, CHECKPOINT_PIN, &bytes);

	if (!err)
		err = checkpoint_decode(&continuity->left, bytes.data, bytes.size);
	buffer_free(&bytes);
	if (!err)
		continuity_open_checkpoint(continuity);
	return err;
}

bool continuity_can_wait(int err)
{
	return is_lack(err) || err == -EROFS;
}

/* Why there is nothing to go on with, by what loading came to. */
static const char *continuity_why_afresh(int err)
{
	switch (err) {
	case -ENOENT:
		return "it had not come far enough to say what it is";
	case -EPROTO:
		return "it was a version that this one cannot read";
	}
	return "its checkpoint cannot be read";
}

/* What a dead agent has left that has no checkpoint. */
struct remains {
	bool ended;   /* and had written its last report */
	bool counted; /* or may have */
};

static void continuity_note_remains(void *data, const char *name)
{
	struct remains *remains = data;

	remains->ended |= !strcmp(name, PINS_ENDED);
	for (size_t i = 0; i < ARRAY_SIZE(counted_pins); i++)
		remains->counted |= !strncmp(name, counted_pins[i], strlen(counted_pins[i]));
}

static bool continuity_left_nothing(const struct continuity *continuity)
{
	struct remains remains = {0};

	return !pins_each(continuity->pins, continuity_note_remains, &remains) &&
	       (remains.ended || !remains.counted);
}

int continuity_new(struct continuity **ret)
{
	struct continuity *continuity = calloc(1, sizeof(*continuity));
	int err;

	if (!continuity)
		return -ENOMEM;
	continuity->checkpoint_fd = -1;
	continuity->pins_error = pins_new(&continuity->pins);
	err = continuity->pins_error ?: continuity_load(continuity);
	if (err == -ENOMEM || (continuity->pins && continuity_can_wait(err))) {
		continuity_free(continuity);
		return err;
	}
	continuity->found = !err;
	continuity->recovered = err;
	if (continuity->pins &&
	    (err == -ENODATA || (err == -ENOENT && continuity_left_nothing(continuity))))
		continuity_start_afresh(continuity, NULL);
	else if (continuity->pins && err)
		continuity_start_afresh(continuity, continuity_why_afresh(err));
	*ret = continuity;
	return 0;
}

static void continuity_forget_report(struct continuity *continuity)
{
	checkpoint_clean_phases(continuity->report.phases, continuity->report.phase_count);
	free(continuity->report.maps.numbers);
	continuity->report = (struct checkpoint_report){0};
	merge_free(continuity->doubt);
	continuity->doubt = NULL;
}

void continuity_free(struct continuity *continuity)
{
	if (!continuity)
		return;
	continuity_forget_report(continuity);
	predecessor_free(continuity->predecessor);
	checkpoint_clean(&continuity->left);
	free(continuity->done_maps.numbers);
	held_free(continuity->held);
	cleanup_close(&continuity->checkpoint_fd);
	pins_free(continuity->pins);
	free(continuity);
}

int continuity_error(const struct continuity *continuity)
{
	if (continuity->pins_error)
		return continuity->pins_error;
	return pins_error(continuity->pins) ?: continuity->save_error;
}

const struct pins *continuity_pins(const struct continuity *continuity)
{
	return pins_are_kept(continuity->pins) ? continuity->pins : NULL;
}

bool continuity_found(const struct continuity *continuity)
{
	return continuity->found;
}

const struct checkpoint_interval *continuity_interval(const struct continuity *continuity)
{
	return &continuity->left.interval;
}

int continuity_hold(struct continuity *continuity, struct flow_maps *maps)
{
	return held_new(&continuity->held, maps, continuity->pins);
}

void continuity_lend_table(struct continuity *continuity, struct interface_table *table)
{
	continuity->table = table;
}

struct held *continuity_held(const struct continuity *continuity)
{
	return continuity->held;
}

static struct pin_name continuity_bytes_pin(const char *what, uint64_t number)
{
	return pin_name("%s-%" PRIu64, what, number);
}

/* Frees the bytes. 0 or negative errno, their own error among them. */
static int continuity_put_bytes(const struct continuity *continuity, const char *what,
				uint64_t number, struct buffer *bytes)
{
	struct pin_name pin = continuity_bytes_pin(what, number);
	int err = buffer_error(bytes);

	if (!err)
		err = pins_put_bytes(continuity->pins, pin.text, bytes->data, bytes->size);
	buffer_free(bytes);
	return err;
}

int continuity_get_bytes(const struct continuity *continuity, const char *what, uint64_t number,
			 struct buffer *bytes)
{
	struct pin_name pin = continuity_bytes_pin(what, number);

	return pins_get_bytes(continuity->pins, pin.text, bytes);
}

/* Number 0: there are none. */
static void continuity_drop_bytes(const struct continuity *continuity, const char *what,
				  uint64_t number)
{
	struct pin_name pin = continuity_bytes_pin(what, number);

	if (number)
		pins_forget(continuity->pins, pin.text);
}

/*
 * What judged hooks owe to the next interval. Without it packets that were between two hooks at the
 * end of an interval are counted twice after a crash in the next. Only where hooks are judged is
 * there anything: elsewhere it would be a copy of what all interfaces showed, for nothing.
 */
static int continuity_put_owed(struct continuity *continuity, const struct merge *merge,
			       uint64_t id)
{
	struct buffer bytes = {0};
	int err;

	continuity->owed = 0;
	if (!interface_table_judges(continuity->table))
		return 0;
	merge_encode_owing(merge, &bytes);
	err = continuity_put_bytes(continuity, "owed", id, &bytes);
	if (!err)
		continuity->owed = id;
	return err;
}

static int continuity_put_folded(const struct continuity *continuity, const struct merge *merge,
				 uint64_t number)
{
	struct buffer bytes = {0};

	merge_encode(merge, &bytes);
	return continuity_put_bytes(continuity, "folded", number, &bytes);
}

int continuity_put_checkpoint(struct continuity *continuity, const struct checkpoint *checkpoint)
{
	struct buffer bytes = {0};
	int err;

	checkpoint_encode(checkpoint, &bytes);
	err = buffer_error(&bytes);
	if (!err)
		err = pins_put_bytes(continuity->pins, CHECKPOINT_PIN, bytes.data, bytes.size);
	buffer_free(&bytes);
	if (!err)
		continuity_open_checkpoint(continuity);
	return err;
}

/* What the next agent has to know now. */
static int continuity_put_state(struct continuity *continuity,
				const struct checkpoint_interval *interval)
{
	struct checkpoint checkpoint = {
		.generation = {.number = continuity->generation, .layout = *layout_own()},
		.interval = *interval,
		.report = continuity->report,
		.owed = continuity->owed,
		.done_maps = continuity->done_maps,
		.reported_train_set = continuity->reported_train_set,
		.folded = continuity->folded,
		.folded_train_set = continuity->folded_train_set,
	};
	int err = interface_table_save(continuity->table, &checkpoint);

	for (size_t i = 0; continuity->begins_report && i < checkpoint.phase_count; i++)
		checkpoint.phases[i].before_attach = (struct flow_count){0};
	if (!err)
		err = continuity_list_earlier(continuity, &checkpoint);
	if (!err)
		err = continuity_put_checkpoint(continuity, &checkpoint);
	checkpoint_clean_phases(checkpoint.phases, checkpoint.phase_count);
	free(checkpoint.earlier);
	return err;
}

/* A failure is logged once. */
static int continuity_write(struct continuity *continuity,
			    const struct checkpoint_interval *interval)
{
	int err;

	if (!pins_are_kept(continuity->pins))
		return 0;
	err = continuity_put_state(continuity, interval);
	if (err && !continuity->save_error)
		log_error("the checkpoint cannot be written: %s; if the agent is killed now, what "
			  "it counted is lost",
			  strerror(-err));
	if (!err && continuity->save_error)
		log_notice("the checkpoint is written again");
	continuity->save_error = err;
	return err;
}

void continuity_save(struct continuity *continuity, const struct checkpoint_interval *interval)
{
	(void)continuity_write(continuity, interval);
}

/* Of the running interval: the rest is of a report on its way. */
static size_t continuity_first_held(const struct continuity *continuity)
{
	return continuity->report.id ? continuity->report_held : 0;
}

/* Sets of trains behind that one are of the running interval, and no copy of the merge has them. */
static uint64_t continuity_last_train_set(const struct continuity *continuity)
{
	const uint64_t reported = continuity->report.last_train_set;
	const uint64_t folded = continuity->folded_train_set;

	return reported > folded ? reported : folded;
}

/* Maps and sets of trains of the running interval. */
static size_t continuity_count_held(const struct continuity *continuity)
{
	return held_count(continuity->held) - continuity_first_held(continuity) +
	       held_count_train_sets(continuity->held, continuity_last_train_set(continuity));
}

static int continuity_fold_held(struct continuity *continuity, const struct merge *merge,
				const struct checkpoint_interval *interval)
{
	size_t first = continuity_first_held(continuity), count;
	uint64_t last_train_set = continuity_last_train_set(continuity);
	uint64_t before = continuity->folded, set_before = continuity->folded_train_set;
	uint64_t report = continuity->report.folded;
	struct checkpoint_list maps_before = continuity->done_maps, maps;
	uint64_t number = 1 + (before > report ? before : report), set;
	int err = held_list(continuity->held, first, &maps, &set);

	if (err)
		return err;
	err = continuity_put_folded(continuity, merge, number);
	if (!err) {
		continuity->folded = number;
		continuity->folded_train_set = set;
		continuity->done_maps = maps;
		err = continuity_write(continuity, interval);
	}
	if (err) {
		continuity->folded = before;
		continuity->folded_train_set = set_before;
		continuity->done_maps = maps_before;
		continuity_drop_bytes(continuity, "folded", number);
		free(maps.numbers);
		return err;
	}
	count = maps.count;
	free(maps_before.numbers);
	continuity_drop_bytes(continuity, "folded", before);
	held_release(continuity->held, first, count, last_train_set, set);
	return 0;
}

void continuity_fold(struct continuity *continuity, const struct merge *merge,
		     const struct checkpoint_interval *interval)
{
	int err;

	/* while it is read what a dead agent has left, the checkpoint is that agent's */
	if (!pins_are_kept(continuity->pins) || !continuity->recovered ||
	    !continuity_count_held(continuity))
		return;
	err = continuity_fold_held(continuity, merge, interval);
	if (err && !continuity->fold_failed)
		log_warning("what is held for a crash grows with the flows of the interval: %s",
			    strerror(-err));
	continuity->fold_failed = err;
}

bool continuity_holds_many(const struct continuity *continuity, const struct merge *merge)
{
	size_t worth = HELD_FEW + merge_flow_count(merge) / FLOWS_A_PIN;

	return pins_are_kept(continuity->pins) &&
	       continuity_count_held(continuity) > (worth < HELD_MANY ? worth : HELD_MANY);
}

static int continuity_note_report(struct continuity *continuity, const struct merge *merge,
				  const struct report *report,
				  const struct checkpoint_interval *interval,
				  const struct sink *sink, const struct buffer *text)
{
	struct checkpoint_report begun = {.id = report->id,
					  .interval = *interval,
					  .owed = continuity->owed,
					  .folded = continuity->folded};
	const struct checkpoint_interval next = checkpoint_interval_after(interval);
	int err;

	err = held_list(continuity->held, 0, &begun.maps, &begun.last_train_set);
	if (!err)
		err = interface_table_describe(continuity->table, &begun.phases,
					       &begun.phase_count);
	if (err) {
		free(begun.maps.numbers);
		return err;
	}
	err = continuity_put_owed(continuity, merge, report->id);
	if (err)
		log_error("what hooks owe to the next interval cannot be kept: %s", strerror(-err));
	if (sink_position(sink, &begun.position)) {
		begun.file_size = text->size;
		begun.checksum = sink_checksum(text->data, text->size);
	}
	continuity->report = begun;
	continuity->report_held = begun.maps.count;
	continuity->folded = 0;
	continuity->begins_report = true;
	continuity_save(continuity, &next);
	continuity->begins_report = false;
	return 0;
}

int continuity_begin_report(struct continuity *continuity, const struct merge *merge,
			    const struct report *report, const struct checkpoint_interval *interval,
			    const struct sink *sink, const struct buffer *text)
{
	int err = 0;

	if (pins_are_kept(continuity->pins))
		err = continuity_note_report(continuity, merge, report, interval, sink, text);
	continuity_give_up(continuity);
	return err;
}

void continuity_cancel_report(struct continuity *continuity,
			      const struct checkpoint_interval *interval)
{
	uint64_t owing = continuity->owed, paid = continuity->report.owed;

	if (!continuity->report.id)
		return;
	continuity->owed = paid;
	continuity->folded = continuity->report.folded;
	continuity_forget_report(continuity);
	/* what the last checkpoint names stays */
	if (!continuity_write(continuity, interval) && owing != paid)
		continuity_drop_bytes(continuity, "owed", owing);
}

bool continuity_has_sent(const struct continuity *continuity)
{
	return continuity->report.id && !continuity->doubt;
}

void continuity_end_report(struct continuity *continuity,
			   const struct checkpoint_interval *interval)
{
	uint64_t paid, folded;
	int err;

	if (!continuity_has_sent(continuity))
		return;
	free(continuity->done_maps.numbers);
	continuity->done_maps = continuity->report.maps;
	continuity->reported_train_set = continuity->report.last_train_set;
	continuity->report.maps = (struct checkpoint_list){0};
	paid = continuity->report.owed;
	folded = continuity->report.folded;
	continuity_forget_report(continuity);
	err = continuity_write(continuity, interval);
	continuity_give_up(continuity);
	/* else the last checkpoint names them, and could not be recovered without */
	if (!err) {
		continuity_drop_bytes(continuity, "owed", paid);
		continuity_drop_bytes(continuity, "folded", folded);
	}
	held_release(continuity->held, 0, continuity->report_held, 0,
		     continuity->reported_train_set);
}

const struct checkpoint_report *continuity_doubt(struct continuity *continuity,
						 struct merge **merge)
{
	if (continuity->doubt)
		continuity_give_up(continuity);
	*merge = continuity->doubt;
	return continuity->doubt ? &continuity->report : NULL;
}

void continuity_doubt_sent(struct continuity *continuity)
{
	merge_free(continuity->doubt);
	continuity->doubt = NULL;
}

int continuity_remove(struct continuity *continuity)
{
	int removed;

	/* without the name a kill before all pins are gone is a false alarm */
	pins_mark_ended(continuity->pins, CHECKPOINT_PIN);
	removed = pins_remove_all(continuity->pins);
	if (removed >= 0)
		return 0;
	if (continuity->checkpoint_fd >= 0)
		(void)pins_overwrite_bytes(continuity->checkpoint_fd, checkpoint_ended,
					   sizeof(checkpoint_ended));
	return removed;
}
