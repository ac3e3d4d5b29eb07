// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/privileges.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>

#define PRIVILEGES_MAX 64

static uint64_t privilege(unsigned int capability)
{
	return (uint64_t)1 << capability;
}

static uint64_t privileges_had(void)
{
	uint64_t had = 0;

	for (unsigned int cap = 0; cap < PRIVILEGES_MAX; cap++)
		if (capng_have_capability(CAPNG_PERMITTED, cap))
			had |= privilege(cap);
	return had;
}

/* bounds: takes the others from the bounding set, too. */
static int privileges_set(uint64_t effective, uint64_t permitted, bool bounds)
{
	capng_select_t sets = bounds ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS;

	capng_clear(sets);
	for (unsigned int cap = 0; cap < PRIVILEGES_MAX; cap++) {
		if (effective & privilege(cap))
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE, cap);
		if (permitted & privilege(cap))
			capng_update(CAPNG_ADD, CAPNG_PERMITTED | CAPNG_BOUNDING_SET, cap);
	}
	return capng_apply(sets) ? -EPERM : 0;
}

/* For good. */
static int privileges_keep(uint64_t kept, uint64_t had)
{
	int err = privileges_set(kept, kept, had & privilege(CAP_SETPCAP));

	return !err && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : err;
}

/* CAP_NET_ADMIN attaches; before Linux 5.8 what CAP_BPF is now was a part of CAP_SYS_ADMIN. */
static uint64_t privileges_to_run(void)
{
	bool old = prctl(PR_CAPBSET_READ, CAP_BPF) < 0;

	return privilege(CAP_NET_ADMIN) | privilege(old ? CAP_SYS_ADMIN : CAP_BPF);
}

/* Whether the path is refused to us as things are. What is not there is not refused. */
static bool privileges_lack(const char *path, int mode)
{
	if (!faccessat(AT_FDCWD, path, mode, AT_EACCESS) || errno != EACCES)
		return false;
	log_info("keeping CAP_DAC_OVERRIDE: without it %s cannot be opened again", path);
	return true;
}

static bool privileges_lack_for_files(const char *config_file, const char *output)
{
	_free_ char *copy = strdup(output);

	if (config_file && privileges_lack(config_file, R_OK))
		return true;
	if (!strcmp(output, "-"))
		return false;
	/* after logrotate(8) it has to be made anew */
	return privileges_lack(output, W_OK) ||
	       (copy && privileges_lack(dirname(copy), W_OK | X_OK));
}

int privileges_drop(const char *config_file, const char *output)
{
	const uint64_t files = privilege(CAP_DAC_OVERRIDE), change = privilege(CAP_SETPCAP);
	uint64_t had, kept;
	int err;

	if (capng_get_caps_process())
		return -EPERM;
	had = privileges_had();
	kept = privileges_to_run() & had;
	/* to see what files are refused without the privilege that may be needed for them */
	err = privileges_set(kept | (change & had), kept | ((change | files) & had), false);
	if (err)
		return err;
	if (had & files && privileges_lack_for_files(config_file, output))
		kept |= files;
	return privileges_keep(kept, had);
}

int privileges_drop_but(unsigned int capability)
{
	uint64_t had;

	if (capng_get_caps_process())
		return -EPERM;
	had = privileges_had();
	return privileges_keep(privilege(capability) & had, had);
}
