/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel keeps for us when the process is gone: maps and links pinned in a directory of
 * the BPF file system, one directory for each network namespace. A pin holds its object; the
 * program, its links and its maps go on counting, and the next agent finds them.
 *
 * Without a BPF file system all of this does nothing: what is counted then ends with the process.
 * So it does from the moment on that something cannot be pinned, renamed or dropped for another
 * reason than a lack of memory or descriptors: somebody removed the directory, or mounted the file
 * system read-only. That is logged once, and the call returns 0: no pin is worth a packet that is
 * not counted.
 */
#ifndef FLOWTALLY_PINS_H
#define FLOWTALLY_PINS_H

#include <stdbool.h>
#include <stddef.h>

struct buffer;
struct pins;

/*
 * Finds or mounts the BPF file system (supervisor/bpffs.h) and makes the directory. 0; -ENOMEM;
 * -ENOTUNIQ: the name is taken by what others may write to (explain_pins()); another negative
 * errno: there is none to be had. Then *ret is not set.
 */
int pins_new(struct pins **ret);
/* Leaves the pins where they are, and the file system as long as there are any. */
void pins_free(struct pins *pins);

/* The name of a pin, made as by printf(3). */
struct pin_name {
	char text[64];
};
struct pin_name pin_name(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* All of these take NULL for pins: none are kept. */

/* Whether pins are kept, and not given up as something could not be pinned. */
bool pins_are_kept(const struct pins *pins);
/* Why they were given up, a negative errno; 0: they were not. */
int pins_error(const struct pins *pins);

/* 0 or negative errno. */
int pins_put(const struct pins *pins, int fd, const char *name);
/* A descriptor, the caller's; -ENOENT: there is no such pin. */
int pins_get(const struct pins *pins, const char *name);
/* Replaces what is pinned under the name by another object, in one step. */
int pins_replace(const struct pins *pins, int fd, const char *name);
/* Gives a pin another name, in one step. */
int pins_rename(const struct pins *pins, const char *from, const char *to);
/* One that is not there is no error. */
int pins_drop(const struct pins *pins, const char *name);
/* The same for a pin that nobody asks for any more; a failure is logged. */
void pins_forget(const struct pins *pins, const char *name);

/* Calls found for each name. 0 or negative errno. */
int pins_each(const struct pins *pins, void (*found)(void *data, const char *name), void *data);

/* How many other network namespaces have pins; whether there still are these namespaces cannot be
 * told from here. */
size_t pins_count_others(const struct pins *pins);

/* A run of bytes under a name, held as a map; replaced in one step. */
int pins_put_bytes(const struct pins *pins, const char *name, const void *data, size_t size);
/* Appends them to bytes. -ENOENT: there are none. */
int pins_get_bytes(const struct pins *pins, const char *name, struct buffer *bytes);

/* Overwrites the map of such a run, by its descriptor, with these bytes and zeros behind: for a pin
 * that can be neither replaced nor dropped. 0 or negative errno. */
int pins_overwrite_bytes(int fd, const void *data, size_t size);

/* A pin of this name says that nothing is lost with the others. It goes last. */
#define PINS_ENDED "ended"
/* Renames a pin to that, if it is there, also if no pins are kept any more. A failure costs no more
 * than a false alarm. */
void pins_mark_ended(const struct pins *pins, const char *name);

/* Drops all pins, also if none are kept any more. Returns how many there were, or a negative errno.
 */
int pins_clear(const struct pins *pins);

/*
 * Removes all pins and the directory, likewise. After that only pins_free() is left to do. Returns
 * how many pins there were, or a negative errno.
 */
int pins_remove_all(struct pins *pins);

#endif
