/* SPDX-License-Identifier: GPL-2.0-only */
/* The number of the last report, kept in a file, so that it goes on over restarts. */
#ifndef FLOWTALLY_REPORT_ID_H
#define FLOWTALLY_REPORT_ID_H

#include <stdint.h>

struct report_id;

/*
 * The file is report-id in $STATE_DIRECTORY (systemd.exec(5)), else in /var/lib/flowtally, which is
 * created. If it cannot be used, that is logged, and numbers begin at 1 and last as long as the
 * process. -ENOMEM is the only error.
 */
int report_id_new(struct report_id **ret);
void report_id_free(struct report_id *id);

/* The number that the next report gets: one more than the last. Agents of several network
 * namespaces share the file. */
uint64_t report_id_next(struct report_id *id);
/* The report with that number is written. */
void report_id_commit(struct report_id *id, uint64_t number);

#endif
