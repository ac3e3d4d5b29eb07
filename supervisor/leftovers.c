// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/leftovers.h"
#include "control/place.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "supervisor/attach.h"
#include "supervisor/explain.h"
#include "supervisor/instance.h"
#include "supervisor/pins.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Returns how many there were, and in *others how many network namespaces still have some. Without
 * a BPF file system there are none, but only root sees whether there is one. */
static int leftovers_remove_pins(size_t *others)
{
	struct pins *pins;
	int removed = pins_new(&pins);

	if (removed)
		return removed == -ENOMEM || removed == -ENOTUNIQ || geteuid() ? removed : 0;
	*others = pins_count_others(pins);
	removed = pins_remove_all(pins);
	pins_free(pins);
	return removed;
}

int leftovers_remove(void)
{
	_close_ int instance_fd = instance_claim();
	size_t others = 0;
	int removed, pinned;

	if (instance_fd < 0) {
		if (instance_fd != -EADDRINUSE)
			log_error("cannot tell whether an agent runs: %s", strerror(-instance_fd));
		return instance_fd;
	}
	(void)control_place_sweep();
	removed = attach_sweep(NULL, NULL);
	pinned = removed < 0 ? removed : leftovers_remove_pins(&others);
	if (pinned < 0) {
		log_error("cannot clean up: %s%s", explain_pins(pinned),
			  pinned == -EPERM || pinned == -EACCES ? " (needs root)" : "");
		return pinned;
	}
	log_notice("removed %d filters, %d pins", removed, pinned);
	if (others)
		log_notice("other network namespaces with pins in /sys/fs/bpf/flowtally: %zu; the "
			   "pins "
			   "are theirs to go on with: run flowtally cleanup there, or remove the "
			   "folder of a namespace that is gone",
			   others);
	return 0;
}
