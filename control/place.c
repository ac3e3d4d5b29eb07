// SPDX-License-Identifier: GPL-2.0-only
#include "control/place.h"
#include "lib/cleanup.h"
#include "lib/guarded.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLACE_BACKLOG 16
#define PLACE_NAMES   2 /* in each directory */

static const char place_default[] = "/run/flowtally";

struct control_place {
	struct sockaddr_un address;
	int fd;
	dev_t dev; /* of the socket in the file system */
	ino_t ino;
};

uint64_t control_netns(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) ? 0 : st.st_ino;
}

/* systemd may name several directories, separated by colons: the first is ours. */
static const char *place_directory(int *length)
{
	const char *directory = getenv("RUNTIME_DIRECTORY");

	if (!directory || !*directory)
		directory = place_default;
	*length = (int)strcspn(directory, ":");
	return directory;
}

__attribute__((format(printf, 2, 3))) static int place_address(struct sockaddr_un *address,
							       const char *format, ...)
{
	va_list args;
	int size;

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	va_start(args, format);
	size = vsnprintf(address->sun_path, sizeof(address->sun_path), format, args);
	va_end(args);
	return size < (int)sizeof(address->sun_path) ? 0 : -ENAMETOOLONG;
}

static int place_own_name(struct sockaddr_un *address, const char *directory, int length)
{
	return place_address(address, "%.*s/control-%" PRIu64 ".sock", length, directory,
			     control_netns());
}

static int place_common_name(struct sockaddr_un *address, const char *directory, int length)
{
	return place_address(address, "%.*s/control.sock", length, directory);
}

/* Of the process that starts, one in a network namespace (supervisor/instance.h), whoever shares
 * the directory; so it can only be a dead one's that is there already. */
static int place_temporary_name(struct sockaddr_un *address, const char *directory, int length)
{
	return place_address(address, "%.*s/.control-%" PRIu64, length, directory, control_netns());
}

/* A service of another program has a directory of its own, in which there is no agent. NULL: there
 * are no more to look in. */
static const char *place_look_in(unsigned int number, int *length)
{
	const char *directory = place_directory(length);

	if (!number)
		return directory;
	if (number > 1 || directory == place_default)
		return NULL;
	*length = (int)strlen(place_default);
	return place_default;
}

int control_place_candidate(unsigned int number, struct sockaddr_un *address)
{
	int length;
	const char *directory = place_look_in(number / PLACE_NAMES, &length);

	if (!directory)
		return -ENOENT;
	return number % PLACE_NAMES ? place_common_name(address, directory, length)
				    : place_own_name(address, directory, length);
}

static int place_check_directory(char *problem, size_t size)
{
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	int length;
	const char *directory = place_directory(&length);
	struct stat st;

	if (length >= (int)sizeof(path)) {
		snprintf(problem, size, "%.*s: the path is too long for a socket", length,
			 directory);
		return -ENAMETOOLONG;
	}
	memcpy(path, directory, (size_t)length);
	path[length] = 0;
	/* whatever the umask */
	if (!mkdir(path, 0755))
		chmod(path, 0755);
	if (lstat(path, &st)) {
		int err = -errno;

		snprintf(problem, size, "%s: cannot be created: %s", path, strerror(-err));
		return err;
	}
	if (is_guarded_directory(&st))
		return 0;
	snprintf(problem, size, "%s: must be a directory that only root can write to", path);
	return -EPERM;
}

static bool place_is_alive(const struct sockaddr_un *address)
{
	_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return true; /* as far as we can tell */
	/* with a full backlog it is EAGAIN */
	return !connect(fd, (const struct sockaddr *)address, sizeof(*address)) ||
	       (errno != ECONNREFUSED && errno != ENOENT);
}

/* A socket of ours on which nobody listens. */
static bool place_is_stale(const struct sockaddr_un *address)
{
	struct stat st;

	return !lstat(address->sun_path, &st) && S_ISSOCK(st.st_mode) &&
	       (st.st_uid == 0 || st.st_uid == geteuid()) && !place_is_alive(address);
}

/* Why a path is taken, as an errno. */
static int place_taken(const struct sockaddr_un *address)
{
	struct stat st;

	if (lstat(address->sun_path, &st))
		return -errno;
	return S_ISSOCK(st.st_mode) ? -EADDRINUSE : -EEXIST;
}

/* The temporary name becomes that of the address, if it is free or a dead agent's. */
static int place_put(const char *from, const struct sockaddr_un *address)
{
	if (!link(from, address->sun_path))
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (!place_is_stale(address))
		return place_taken(address);
	unlink(address->sun_path);
	return link(from, address->sun_path) ? -errno : 0;
}

/* Members of the group may connect, others may not. Without the right to give it away (CAP_CHOWN)
 * it stays with our own group, which lets nobody in who was not. */
static int place_permit(const char *path)
{
	const struct group *group = getgrnam(CONTROL_GROUP);

	if (group && chown(path, (uid_t)-1, group->gr_gid) && errno != EPERM)
		return -errno;
	return chmod(path, 0660) ? -errno : 0;
}

/* Made under a name that nobody asks for, and shown when it is complete. */
static int place_listen(struct control_place *place, struct sockaddr_un *temporary)
{
	int length, err;
	const char *directory = place_directory(&length);
	struct stat st;

	err = place_temporary_name(temporary, directory, length);
	if (err)
		return err;
	place->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (place->fd < 0)
		return -errno;
	unlink(temporary->sun_path);
	/* on Linux the socket file's mode, before anybody can open it */
	if (fchmod(place->fd, 0600) ||
	    bind(place->fd, (struct sockaddr *)temporary, sizeof(*temporary)))
		return -errno;
	err = place_permit(temporary->sun_path);
	if (err)
		return err;
	if (listen(place->fd, PLACE_BACKLOG) || lstat(temporary->sun_path, &st))
		return -errno;
	place->dev = st.st_dev;
	place->ino = st.st_ino;
	return 0;
}

static int place_show(struct control_place *place, const struct sockaddr_un *temporary)
{
	int length, err;
	const char *directory = place_directory(&length);

	err = place_common_name(&place->address, directory, length);
	if (!err)
		err = place_put(temporary->sun_path, &place->address);
	/* an agent of another network namespace has it */
	if (err == -EADDRINUSE) {
		err = place_own_name(&place->address, directory, length);
		if (!err)
			err = place_put(temporary->sun_path, &place->address);
	}
	return err;
}

static void place_explain(const struct control_place *place, int err, char *problem, size_t size)
{
	const char *path = place->address.sun_path;
	int length = (int)strlen(path);

	if (!length)
		path = place_directory(&length);
	if (err == -EEXIST)
		snprintf(problem, size, "%s: is there and is no socket; remove it", path);
	else if (err == -EADDRINUSE)
		snprintf(problem, size, "%s: another program listens there", path);
	else
		snprintf(problem, size, "%.*s: %s", length, path, strerror(-err));
}

int control_place_claim(struct control_place **ret, char *problem, size_t size)
{
	struct control_place *place;
	struct sockaddr_un temporary = {0};
	int err = place_check_directory(problem, size);

	if (err)
		return err;
	place = calloc(1, sizeof(*place));
	if (!place) {
		snprintf(problem, size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	place->fd = -1;
	err = place_listen(place, &temporary);
	if (!err)
		err = place_show(place, &temporary);
	if (temporary.sun_path[0])
		unlink(temporary.sun_path);
	if (err) {
		place_explain(place, err, problem, size);
		if (place->fd >= 0)
			close(place->fd);
		free(place);
		return err;
	}
	*ret = place;
	return 0;
}

void control_place_free(struct control_place *place)
{
	struct stat st;

	if (!place)
		return;
	if (!lstat(place->address.sun_path, &st) && st.st_dev == place->dev &&
	    st.st_ino == place->ino)
		unlink(place->address.sun_path);
	close(place->fd);
	free(place);
}

int control_place_fd(const struct control_place *place)
{
	return place->fd;
}

const char *control_place_path(const struct control_place *place)
{
	return place->address.sun_path;
}

int control_place_sweep(void)
{
	struct sockaddr_un address;
	const char *directory;
	int removed = 0, length, err;

	for (unsigned int i = 0; (directory = place_look_in(i, &length)); i++)
		if (!place_temporary_name(&address, directory, length) && place_is_stale(&address))
			removed += !unlink(address.sun_path);
	for (unsigned int i = 0; (err = control_place_candidate(i, &address)) != -ENOENT; i++)
		if (!err && place_is_stale(&address))
			removed += !unlink(address.sun_path);
	return removed;
}
