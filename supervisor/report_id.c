// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/report_id.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_DIRECTORY "/var/lib/flowtally"

struct report_id {
	int fd;	       /* -1: numbers are not kept */
	uint64_t last; /* given by this process, or found in the file */
	bool failed;   /* said once */
};

/* systemd may name several directories, separated by colons: the first is ours. */
static char *report_id_path(void)
{
	const char *env = getenv("STATE_DIRECTORY");
	bool named = env && *env;
	const char *directory = named ? env : STATE_DIRECTORY;
	char *path;

	if (!named && mkdir(STATE_DIRECTORY, 0755) && errno != EEXIST)
		log_debug("%s: %s", STATE_DIRECTORY, strerror(errno));
	return asprintf(&path, "%.*s/report-id", (int)strcspn(directory, ":"), directory) < 0
		       ? NULL
		       : path;
}

/* The number in the file, 0 if it is empty. False if something else stands there; *ret is 0 then.
 */
static bool report_id_read(const struct report_id *id, uint64_t *ret)
{
	char text[32] = "", *end;
	ssize_t n = id->fd < 0 ? 0 : pread(id->fd, text, sizeof(text) - 1, 0);
	const char *digits = text + strspn(text, " ");
	unsigned long long number;

	*ret = 0;
	if (n <= 0)
		return true;
	errno = 0;
	number = strtoull(digits, &end, 10);
	/* strtoull(3) takes signs, too; and one more must be a number that others can read */
	if (!isdigit((unsigned char)*digits) || (*end && *end != '\n') || errno ||
	    number >= INT64_MAX)
		return false;
	*ret = number;
	return true;
}

int report_id_new(struct report_id **ret)
{
	struct report_id *id = calloc(1, sizeof(*id));
	_free_ char *path = report_id_path();
	uint64_t kept;

	if (!id || !path) {
		free(id);
		return -ENOMEM;
	}
	id->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (id->fd < 0)
		log_warning("%s: %s; report numbers begin at 1", path, strerror(errno));
	else if (!report_id_read(id, &kept))
		log_warning("%s: not the number of a report; report numbers begin at 1", path);
	*ret = id;
	return 0;
}

void report_id_free(struct report_id *id)
{
	if (!id)
		return;
	if (id->fd >= 0)
		close(id->fd);
	free(id);
}

uint64_t report_id_next(struct report_id *id)
{
	uint64_t kept;

	(void)report_id_read(id, &kept);
	return (kept > id->last ? kept : id->last) + 1;
}

void report_id_commit(struct report_id *id, uint64_t number)
{
	char text[32];
	int size = snprintf(text, sizeof(text), "%20" PRIu64 "\n", number);

	id->last = number;
	if (id->fd < 0)
		return;
	if (pwrite(id->fd, text, (size_t)size, 0) == size) {
		id->failed = false;
	} else if (!id->failed) {
		log_warning("report-id: %s; the number of the last report is not kept",
			    strerror(errno));
		id->failed = true;
	}
}
