/* SPDX-License-Identifier: GPL-2.0-only */
/* Errors of the kernel in words for people: why it failed, and what to do. */
#ifndef FLOWTALLY_EXPLAIN_H
#define FLOWTALLY_EXPLAIN_H

#include <stddef.h>

/* Why the BPF program cannot be loaded, from a negative errno. */
void explain_program(int err, char *text, size_t size);

/* Why an interface cannot be attached to. Static, or as of strerror(3). */
const char *explain_attach(int err);

/* Why nothing can be pinned. Likewise. */
const char *explain_pins(int err);

/* Why an output cannot be opened or written to. Likewise. */
const char *explain_output(int err);

#endif
