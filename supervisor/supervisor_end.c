// SPDX-License-Identifier: GPL-2.0-only
/* From the last interval to nothing. */
#include "control/server.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/timer.h"
#include "netlink/rtnl.h"
#include "netlink/rtnl_query.h"
#include "report/locals.h"
#include "report/merge.h"
#include "supervisor/attach.h"
#include "supervisor/continuity.h"
#include "supervisor/explain.h"
#include "supervisor/exporter.h"
#include "supervisor/flow_map.h"
#include "supervisor/interface_table.h"
#include "supervisor/notify.h"
#include "supervisor/program.h"
#include "supervisor/reporter.h"
#include "supervisor/self_check.h"
#include "supervisor/supervisor_private.h"
#include "supervisor/translation.h"

#include <string.h>
#include <unistd.h>

/* How long each of the last reports may take to leave through a slow pipe. */
#define FINISH_MS 5000

/* The last report could not be made or written: what is in it stays for the next agent, if it can,
 * and if anybody may want it: the end of a pipeline leaves nothing behind. */
static void supervisor_leave_report(struct supervisor *sup, int err)
{
	if (reporter_is_unread(sup->reporter))
		return;
	if (!continuity_pins(sup->continuity)) {
		log_error("the last report is lost: %s", explain_output(err));
		return;
	}
	reporter_checkpoint(sup->reporter);
	sup->left_report = true;
	log_error("the last report could not be written: %s; the next start of flowtally in this "
		  "network namespace writes it",
		  explain_output(err));
}

/* The report of the unfinished interval, unless --count has been reached. A slow reader gets what
 * is left of the one before first. unread: why not all that was counted is in it, or 0. */
static int supervisor_write_last(struct supervisor *sup, int unread)
{
	bool enough = supervisor_has_reported_enough(sup);
	int err = enough ? reporter_flush(sup->reporter, FINISH_MS)
			 : reporter_make_room(sup->reporter, FINISH_MS);

	if (err)
		return err;
	reporter_end_if_sent(sup->reporter);
	if (enough)
		return 0;
	if (unread && continuity_pins(sup->continuity))
		return unread;
	if (unread)
		log_error("not all that was counted could be read, the last report is without the "
			  "rest: %s",
			  strerror(-unread));
	err = reporter_write(sup->reporter);
	return err ? err : reporter_flush(sup->reporter, FINISH_MS);
}

int supervisor_finish(struct supervisor *sup)
{
	int unread, err;

	log_live("");
	notify("STOPPING=1");
	interface_table_ask_ports(sup->table);
	unread = interface_table_stop(sup->table);
	sup->stopped = true;
	if (supervisor_has_reported_enough(sup))
		unread = 0;
	translation_catch_up(sup->translation);
	err = supervisor_write_last(sup, unread);
	if (err)
		supervisor_leave_report(sup, err);
	return err ? err : unread;
}

int supervisor_hand_over(struct supervisor *sup)
{
	int err;

	log_live("");
	err = reporter_flush(sup->reporter, FINISH_MS);
	if (err)
		log_error("%s: the last report is not finished: %s; it will be written again",
			  reporter_output(sup->reporter), explain_output(err));
	reporter_end_report(sup->reporter);
	log_notice("handing over: the kernel goes on counting");
	return err;
}

static void supervisor_remove_pins(struct supervisor *sup)
{
	int err = continuity_remove(sup->continuity);

	if (err)
		log_error("not all pins could be removed: %s", strerror(-err));
}

void supervisor_clean(struct supervisor *sup)
{
	control_server_free(sup->control);
	if (sup->table && !sup->hand_over) {
		/* what could not be read then is no longer for us to read */
		if (!sup->stopped)
			(void)interface_table_stop(sup->table);
		interface_table_detach(sup->table);
	}
	exporter_free(sup->exporter);
	self_check_free(sup->self_check);
	interface_table_free(sup->table);
	reporter_free(sup->reporter);
	rtnl_query_free(sup->query);
	rtnl_free(sup->rtnl);
	attacher_free(sup->attacher);
	flow_maps_free(sup->maps);
	program_free(sup->program);
	translation_free(sup->translation);
	local_set_free(sup->locals);
	merge_free(sup->merge);
	timer_free(sup->watchdog_timer);
	timer_free(sup->live_timer);
	timer_free(sup->retry_timer);
	timer_free(sup->report_timer);
	loop_free(sup->loop);
	if (sup->signal_fd >= 0)
		close(sup->signal_fd);
	/* as late as this: to list pins takes a descriptor, and there may have been none left */
	if (sup->continuity && !sup->hand_over && !sup->left_report)
		supervisor_remove_pins(sup);
	continuity_free(sup->continuity);
	/* last: from now on another agent may run here */
	if (sup->instance_fd >= 0)
		close(sup->instance_fd);
	config_clean(&sup->config);
}
