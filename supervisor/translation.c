// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/translation.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "netlink/conntrack.h"
#include "report/nat.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

struct translation {
	struct loop *loop; /* borrowed */
	struct client_ports ports;
	enum config_nat mode;
	struct nat_table *table;
	struct conntrack *conntrack; /* NULL: nothing is followed */
	int refused;		     /* by the kernel, for good: why, as a negative errno */
	int failed; /* likewise, but the next report tries again; 0: what it tracks is known */
	uint64_t overruns; /* of those that were followed before */
	bool incomplete;   /* the table did not take an entry; said once */
	bool joining;	   /* said already that translated ones are joined */
};

static void translation_on_entry(void *data, const struct conntrack_entry *entry)
{
	struct translation *translation = data;
	int err = nat_table_update(translation->table, entry);

	if (err && !translation->incomplete)
		log_warning("not all conversations can be held (%s): some that are translated take "
			    "two lines, or some are reported from their server's end",
			    strerror(-err));
	translation->incomplete |= err;
}

static void translation_on_dump_begin(void *data)
{
	struct translation *translation = data;

	nat_table_dump_begin(translation->table);
}

static void translation_on_dump_end(void *data, bool whole)
{
	struct translation *translation = data;

	nat_table_dump_end(translation->table, whole);
}

static void translation_stop(struct translation *translation)
{
	if (!translation->conntrack)
		return;
	loop_remove(translation->loop, conntrack_fd(translation->conntrack));
	translation->overruns += conntrack_overruns(translation->conntrack);
	conntrack_free(translation->conntrack);
	translation->conntrack = NULL;
	translation->joining = false;
}

/* What time does not heal; the last is the word of a security module. */
static bool translation_is_refusal(int err)
{
	return err == -EPERM || err == -EPROTONOSUPPORT || err == -EOPNOTSUPP || err == -EACCES;
}

/* By NAT, or by IPVS, which takes none and shows by its entries only. */
static bool translation_has_translated(const struct translation *translation)
{
	return conntrack_translates() || nat_table_count(translation->table);
}

/* Reports go on, in two lines for a translated conversation. */
static void translation_give_up(struct translation *translation, int err)
{
	if (translation_has_translated(translation))
		log_warning("translated conversations take two lines: %s", conntrack_error(err));
	else
		log_warning("clients are known by their ports and addresses only: %s",
			    conntrack_error(err));
	translation->refused = err;
	translation->failed = 0;
	translation_stop(translation);
}

/* What is told of entries that come and go is heard all the same, where there is a socket. */
static void translation_fail(struct translation *translation, int err)
{
	if (translation_is_refusal(err)) {
		translation_give_up(translation, err);
		return;
	}
	if (!translation->failed)
		log_warning("the connections that the kernel tracks cannot be read: %s; trying "
			    "again with each report",
			    conntrack_error(err));
	translation->failed = err;
}

static void translation_note_read(struct translation *translation)
{
	if (!translation->failed || !translation->conntrack ||
	    conntrack_is_stale(translation->conntrack))
		return;
	log_notice("the connections that the kernel tracks are read again");
	translation->failed = 0;
}

static int translation_on_readable(void *data, uint32_t events)
{
	struct translation *translation = data;
	int err = conntrack_dispatch(translation->conntrack);

	(void)events;
	if (err)
		translation_fail(translation, err);
	else
		translation_note_read(translation);
	return 0;
}

static void translation_note_off(enum config_nat mode)
{
	if (mode == CONFIG_NAT_OFF)
		log_notice("translated conversations take two lines: nat = off");
}

int translation_new(struct translation **ret, struct loop *loop, const struct client_ports *ports,
		    enum config_nat mode)
{
	struct translation *translation = calloc(1, sizeof(*translation));
	int err;

	if (!translation)
		return -ENOMEM;
	translation->loop = loop;
	translation->ports = *ports;
	translation->mode = mode;
	err = nat_table_new(&translation->table);
	if (err) {
		free(translation);
		return err;
	}
	translation_note_off(mode);
	*ret = translation;
	return 0;
}

void translation_free(struct translation *translation)
{
	if (!translation)
		return;
	translation_stop(translation);
	nat_table_free(translation->table);
	free(translation);
}

void translation_set_mode(struct translation *translation, enum config_nat mode)
{
	if (translation->mode != mode)
		translation_note_off(mode);
	translation->mode = mode;
	translation->refused = translation->failed = 0;
	if (mode == CONFIG_NAT_OFF) {
		translation_stop(translation);
		/* what was known goes with the interval, as if it had gone */
		nat_table_dump_begin(translation->table);
		nat_table_dump_end(translation->table, true);
	}
}

/* NAT may be loaded later than the rest of conntrack. */
static void translation_note_joining(struct translation *translation)
{
	if (translation->joining || !translation_has_translated(translation))
		return;
	log_info("joining the conversations that NAT translates");
	translation->joining = true;
}

static int translation_open(struct translation *translation)
{
	const struct conntrack_handlers handlers = {
		.entry = translation_on_entry,
		.dump_begin = translation_on_dump_begin,
		.dump_end = translation_on_dump_end,
		.data = translation,
	};
	int err = conntrack_new(&translation->conntrack, &translation->ports, &handlers);

	if (err)
		return err;
	err = loop_add(translation->loop, conntrack_fd(translation->conntrack), EPOLLIN,
		       translation_on_readable, translation);
	if (err)
		translation_stop(translation);
	return err;
}

static void translation_follow(struct translation *translation)
{
	int err = translation_open(translation);

	if (!err)
		err = conntrack_dump(translation->conntrack);
	/* the table changes too fast to be read: a later look, or the next report, tries again */
	if (err && err != -EAGAIN)
		translation_fail(translation, err);
	if (!translation->conntrack)
		return;
	log_info("following the connections that the kernel tracks");
	if (!conntrack_has_events())
		log_warning("net.netfilter.nf_conntrack_events is off: translated "
			    "conversations that end between two reports may take two lines");
}

static void translation_try(struct translation *translation)
{
	if (translation->mode == CONFIG_NAT_OFF || translation->refused)
		return;
	if (!translation->conntrack && conntrack_present()) {
		/* there is nothing to read */
		translation->failed = 0;
		return;
	}
	if (!translation->conntrack)
		translation_follow(translation);
	if (translation->conntrack)
		translation_note_joining(translation);
}

void translation_look(struct translation *translation)
{
	/* links may come by the thousand, and what failed is tried again with the next report */
	if (translation->conntrack || !translation->failed)
		translation_try(translation);
}

void translation_catch_up(struct translation *translation)
{
	int err;

	translation_try(translation);
	if (!translation->conntrack)
		return;
	err = conntrack_catch_up(translation->conntrack);
	if (err == -EAGAIN)
		log_warning("the connection table changes too fast to be read: "
			    "some translated conversations may take two lines");
	else if (err)
		translation_fail(translation, err);
	else
		translation_note_read(translation);
}

void translation_next_interval(struct translation *translation)
{
	nat_table_next_interval(translation->table);
}

bool translation_is_joining(const struct translation *translation, const char **why)
{
	if (translation->mode == CONFIG_NAT_OFF)
		*why = "nat = off";
	else if (translation->refused)
		*why = conntrack_error(translation->refused);
	else if (translation->failed)
		*why = conntrack_error(translation->failed);
	else
		*why = conntrack_error(-ENOENT);
	return translation->conntrack &&
	       (translation->joining || translation_has_translated(translation));
}

const char *translation_problem(const struct translation *translation)
{
	return translation->failed ? conntrack_error(translation->failed) : NULL;
}

uint64_t translation_overruns(const struct translation *translation)
{
	return translation->overruns +
	       (translation->conntrack ? conntrack_overruns(translation->conntrack) : 0);
}

const struct nat_table *translation_table(const struct translation *translation)
{
	return translation->table;
}
