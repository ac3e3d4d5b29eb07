// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/pins.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/guarded.h"
#include "lib/log.h"
#include "supervisor/bpffs.h"
#include "supervisor/explain.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define PINS_DIRECTORY "flowtally"
/* Replacements are made under this name first. Names with a dot are not to be had in this file
 * system. */
#define PINS_NEXT "next"
/* Of bytes: the kernel copies a value by way of memory in one piece, before 5.15, and before 6.0
 * makes no array of more than 4 MiB each (kernel/bpf/syscall.c, arraymap.c). */
#define PINS_PART 65536
/* Of making the directories, which who ends just then in other namespaces removes while they are
 * empty. */
#define PINS_TRIES 16

#ifndef SO_NETNS_COOKIE /* linux/asm-generic/socket.h of 5.14 */
#define SO_NETNS_COOKIE 71
#endif

struct pins {
	struct bpffs *filesystem;
	int all_fd; /* the directory of all network namespaces */
	int own_fd; /* in it: that of this one */
	char own_name[64];
	/* owned; why nothing more can be pinned, a negative errno, or 0; whoever pins finds it out
	 */
	int *broken;
};

/* The file system may be open to all (mode=1777 is what the kernel mounts it with), and whoever can
 * make our directory could have us delete what is behind a symbolic link. */
static int pins_open_directory(int at, const char *path)
{
	_close_ int fd = openat(at, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return -ENOTUNIQ;
	if (fd < 0 || fstat(fd, &st))
		return -errno;
	return is_guarded_directory(&st) ? TAKE_FD(fd) : -ENOTUNIQ;
}

/* A number that no other network namespace has until the next boot; before 5.14 its inode, which
 * comes again when it is gone. */
static int pins_namespace(char *text, size_t size)
{
	_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie;
	socklen_t cookie_size = sizeof(cookie);
	struct stat st;

	if (fd >= 0 && !getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &cookie_size)) {
		snprintf(text, size, "net-%" PRIu64, cookie);
		return 0;
	}
	if (stat("/proc/self/ns/net", &st))
		return -errno;
	snprintf(text, size, "netns-%ju", (uintmax_t)st.st_ino);
	return 0;
}

static int pins_make_directory(int at, const char *name)
{
	if (mkdirat(at, name, 0700) && errno != EEXIST)
		return -errno;
	return pins_open_directory(at, name);
}

static int pins_make_directories(struct pins *pins)
{
	_close_ int all_fd = pins_make_directory(bpffs_root(pins->filesystem), PINS_DIRECTORY);

	if (all_fd < 0)
		return all_fd;
	pins->own_fd = pins_make_directory(all_fd, pins->own_name);
	if (pins->own_fd < 0)
		return pins->own_fd;
	pins->all_fd = TAKE_FD(all_fd);
	return 0;
}

static int pins_open(struct pins *pins)
{
	int err = pins_namespace(pins->own_name, sizeof(pins->own_name));

	if (!err)
		err = bpffs_new(&pins->filesystem);
	if (err)
		return err;
	err = -ENOENT;
	for (int try = 0; try < PINS_TRIES && err == -ENOENT; try++)
		err = pins_make_directories(pins);
	return err;
}

int pins_new(struct pins **ret)
{
	struct pins *pins = calloc(1, sizeof(*pins));
	int err;

	if (!pins)
		return -ENOMEM;
	pins->all_fd = pins->own_fd = -1;
	pins->broken = calloc(1, sizeof(*pins->broken));
	err = pins->broken ? pins_open(pins) : -ENOMEM;
	if (err) {
		pins_free(pins);
		return err;
	}
	*ret = pins;
	return 0;
}

void pins_free(struct pins *pins)
{
	if (!pins)
		return;
	cleanup_close(&pins->all_fd);
	cleanup_close(&pins->own_fd);
	bpffs_free(pins->filesystem);
	free(pins->broken);
	free(pins);
}

struct pin_name pin_name(const char *format, ...)
{
	struct pin_name name;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(name.text, sizeof(name.text), format, arguments);
	va_end(arguments);
	return name;
}

bool pins_are_kept(const struct pins *pins)
{
	return pins && !*pins->broken;
}

int pins_error(const struct pins *pins)
{
	return pins ? *pins->broken : 0;
}

/* What a change came to. One that lacked means may do the next time; after another failure nobody
 * would find the half that is pinned any better than nothing. */
static int pins_changed(const struct pins *pins, int err)
{
	if (!err || err == -ENOMEM || err == -EMFILE || err == -ENFILE)
		return err;
	*pins->broken = err;
	log_error("nothing can be pinned in the BPF file system (/sys/fs/bpf/" PINS_DIRECTORY
		  "/%s) any more: %s; if the agent is killed, what it counted since the last "
		  "report is lost",
		  pins->own_name, explain_pins(err));
	return 0;
}

/* The system call takes no directory before 6.5, and those who started us, in whose view it is, may
 * be gone. */
static int pins_path(const struct pins *pins, const char *name, char **ret)
{
	return asprintf(ret, "/proc/self/fd/%d/%s", pins->own_fd, name) < 0 ? -ENOMEM : 0;
}

int pins_put(const struct pins *pins, int fd, const char *name)
{
	_free_ char *path = NULL;
	int err;

	if (!pins_are_kept(pins))
		return 0;
	err = pins_path(pins, name, &path);
	if (err)
		return err;
	return pins_changed(pins, bpf_obj_pin(fd, path) ? -errno : 0);
}

int pins_get(const struct pins *pins, const char *name)
{
	_free_ char *path = NULL;
	int fd;

	if (!pins_are_kept(pins))
		return -ENOENT;
	fd = pins_path(pins, name, &path);
	if (fd)
		return fd;
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

static int pins_unlink(const struct pins *pins, const char *name)
{
	return unlinkat(pins->own_fd, name, 0) && errno != ENOENT ? -errno : 0;
}

int pins_drop(const struct pins *pins, const char *name)
{
	return pins_are_kept(pins) ? pins_changed(pins, pins_unlink(pins, name)) : 0;
}

void pins_forget(const struct pins *pins, const char *name)
{
	int err = pins_drop(pins, name);

	if (err)
		log_error("%s: cannot be unpinned: %s", name, strerror(-err));
}

int pins_rename(const struct pins *pins, const char *from, const char *to)
{
	if (!pins_are_kept(pins))
		return 0;
	return pins_changed(pins, renameat(pins->own_fd, from, pins->own_fd, to) ? -errno : 0);
}

int pins_replace(const struct pins *pins, int fd, const char *name)
{
	int err = pins_drop(pins, PINS_NEXT);

	if (!err)
		err = pins_put(pins, fd, PINS_NEXT);
	return err ? err : pins_rename(pins, PINS_NEXT, name);
}

static int pins_list(int at, void (*found)(void *data, const char *name), void *data)
{
	_close_ int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int err;

	if (!directory)
		return -errno;
	(void)TAKE_FD(fd);
	for (errno = 0; (entry = readdir(directory)); errno = 0)
		if (entry->d_name[0] != '.')
			found(data, entry->d_name);
	err = -errno;
	closedir(directory);
	return err;
}

int pins_each(const struct pins *pins, void (*found)(void *data, const char *name), void *data)
{
	return pins_are_kept(pins) ? pins_list(pins->own_fd, found, data) : 0;
}

struct pins_others {
	const char *own_name;
	size_t count;
};

static void pins_count_other(void *data, const char *name)
{
	struct pins_others *others = data;

	others->count += strcmp(name, others->own_name) != 0;
}

size_t pins_count_others(const struct pins *pins)
{
	struct pins_others others = {.own_name = pins->own_name};

	return pins_list(pins->all_fd, pins_count_other, &others) ? 0 : others.count;
}

/*
 * Bytes in an array: one value of their size, or several values of PINS_PART with the size at the
 * end of the last.
 */
struct pins_bytes {
	char *data; /* owned */
	size_t part;
	uint32_t parts;
};

static int pins_bytes_alloc(struct pins_bytes *bytes, size_t part, uint32_t parts)
{
	*bytes = (struct pins_bytes){.part = part, .parts = parts};
	/* values are copied in units of eight bytes */
	bytes->data = calloc(1, part * parts + 8);
	return bytes->data ? 0 : -ENOMEM;
}

static void pins_bytes_clean(struct pins_bytes *bytes)
{
	free(bytes->data);
}

static char *pins_bytes_end(const struct pins_bytes *bytes)
{
	return bytes->data + bytes->part * bytes->parts - sizeof(uint64_t);
}

static int pins_bytes_pack(struct pins_bytes *bytes, const void *data, size_t size)
{
	bool several = size > PINS_PART;
	uint64_t number = size;
	int err = several ? pins_bytes_alloc(bytes, PINS_PART,
					     (uint32_t)((size + sizeof(number)) / PINS_PART + 1))
			  : pins_bytes_alloc(bytes, size, 1);

	if (err)
		return err;
	memcpy(bytes->data, data, size);
	if (several)
		memcpy(pins_bytes_end(bytes), &number, sizeof(number));
	return 0;
}

static int pins_bytes_unpack(const struct pins_bytes *bytes, struct buffer *to)
{
	uint64_t size = bytes->part;

	if (bytes->parts > 1) {
		memcpy(&size, pins_bytes_end(bytes), sizeof(size));
		if (size > bytes->part * bytes->parts - sizeof(size))
			return -EBADMSG;
	}
	buffer_append(to, bytes->data, size);
	return buffer_error(to);
}

static int pins_bytes_store(const struct pins_bytes *bytes)
{
	_close_ int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "flowtally_bytes", sizeof(__u32),
					(__u32)bytes->part, bytes->parts, NULL);

	if (fd < 0)
		return -errno;
	for (__u32 i = 0; i < bytes->parts; i++)
		if (bpf_map_update_elem(fd, &i, bytes->data + i * bytes->part, BPF_ANY))
			return -errno;
	return TAKE_FD(fd);
}

int pins_put_bytes(const struct pins *pins, const char *name, const void *data, size_t size)
{
	struct pins_bytes bytes;
	_close_ int fd = -1;
	int err;

	if (!pins_are_kept(pins))
		return 0;
	err = pins_bytes_pack(&bytes, data, size);
	if (err)
		return err;
	fd = pins_bytes_store(&bytes);
	pins_bytes_clean(&bytes);
	return fd < 0 ? fd : pins_replace(pins, fd, name);
}

static int pins_bytes_load(struct pins_bytes *bytes, int fd)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info);
	int err;

	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		return -errno;
	if (info.type != BPF_MAP_TYPE_ARRAY || info.key_size != sizeof(__u32) ||
	    (info.max_entries > 1 && info.value_size != PINS_PART))
		return -EBADMSG;
	err = pins_bytes_alloc(bytes, info.value_size, info.max_entries);
	for (__u32 i = 0; i < info.max_entries && !err; i++)
		if (bpf_map_lookup_elem(fd, &i, bytes->data + i * bytes->part))
			err = -errno;
	return err;
}

int pins_get_bytes(const struct pins *pins, const char *name, struct buffer *bytes)
{
	struct pins_bytes loaded = {0};
	_close_ int fd = pins_get(pins, name);
	int err = fd < 0 ? fd : pins_bytes_load(&loaded, fd);

	if (!err)
		err = pins_bytes_unpack(&loaded, bytes);
	pins_bytes_clean(&loaded);
	return err;
}

int pins_overwrite_bytes(int fd, const void *data, size_t size)
{
	struct bpf_map_info info = {0};
	__u32 info_size = sizeof(info), first = 0;
	struct pins_bytes bytes;
	int err;

	if (bpf_obj_get_info_by_fd(fd, &info, &info_size))
		return -errno;
	if (size > info.value_size)
		return -EMSGSIZE;
	err = pins_bytes_alloc(&bytes, info.value_size, 1);
	if (err)
		return err;
	memcpy(bytes.data, data, size);
	err = bpf_map_update_elem(fd, &first, bytes.data, BPF_ANY) ? -errno : 0;
	pins_bytes_clean(&bytes);
	return err;
}

void pins_mark_ended(const struct pins *pins, const char *name)
{
	if (pins)
		(void)renameat(pins->own_fd, name, pins->own_fd, PINS_ENDED);
}

struct pins_removal {
	const struct pins *pins;
	int removed;
	int err;
};

static void pins_remove_one(void *data, const char *name)
{
	struct pins_removal *removal = data;
	int err;

	if (!strcmp(name, PINS_ENDED))
		return;
	err = pins_unlink(removal->pins, name);
	if (err)
		removal->err = err;
	else
		removal->removed++;
}

int pins_clear(const struct pins *pins)
{
	struct pins_removal removal = {.pins = pins};
	int err = pins ? pins_list(pins->own_fd, pins_remove_one, &removal) : 0;

	if (!err)
		err = removal.err;
	if (!err && pins)
		err = pins_unlink(pins, PINS_ENDED);
	return err ? err : removal.removed;
}

int pins_remove_all(struct pins *pins)
{
	int removed = pins_clear(pins);

	if (!pins || removed < 0)
		return removed;
	/* somebody else may have removed it */
	if (unlinkat(pins->all_fd, pins->own_name, AT_REMOVEDIR) && errno != ENOENT)
		return -errno;
	/* other namespaces may have theirs in it */
	(void)unlinkat(bpffs_root(pins->filesystem), PINS_DIRECTORY, AT_REMOVEDIR);
	return removed;
}
