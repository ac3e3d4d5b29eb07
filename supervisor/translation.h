/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What conntrack knows of conversations that their packets do not show, kept up to date as long as
 * it is wanted and the kernel tracks connections: how they are translated (NAT), and who began
 * them. Without it reports are exact all the same: the two halves of a translated conversation are
 * two lines then, and which end is the client is taken from ports and addresses.
 */
#ifndef FLOWTALLY_TRANSLATION_H
#define FLOWTALLY_TRANSLATION_H

#include "config/config.h"
#include "lib/client_ports.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct nat_table;
struct translation;

/* loop is borrowed. 0 or -ENOMEM. */
int translation_new(struct translation **ret, struct loop *loop, const struct client_ports *ports,
		    enum config_nat mode);
void translation_free(struct translation *translation);
void translation_set_mode(struct translation *translation, enum config_nat mode);

/*
 * Begins to follow conntrack if the kernel has it now; cheap, loads nothing. To be called when
 * something may have changed: a container's start adds links, and often the first rule.
 */
void translation_look(struct translation *translation);

/* Before a report: all that has happened until now. */
void translation_catch_up(struct translation *translation);
/* The report is written. */
void translation_next_interval(struct translation *translation);

/* Whether conversations are joined now; if not, *why says why not: static, or of
 * strerror(3). */
bool translation_is_joining(const struct translation *translation, const char **why);
/* Why what the kernel tracks could not be read the last time, likewise; NULL: it could, or there is
 * nothing to read, as conntrack is not there or the kernel does not let us. */
const char *translation_problem(const struct translation *translation);
/* How often notifications of the kernel were lost. */
uint64_t translation_overruns(const struct translation *translation);

/* Borrowed; never NULL, empty if nothing is known. */
const struct nat_table *translation_table(const struct translation *translation);

#endif
