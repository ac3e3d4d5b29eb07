// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/bpffs.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "supervisor/privileges.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define BPFFS_PATH "/sys/fs/bpf"
/* The mount's source says whose it is to unmount. Before Linux 5.17 that of all is "none"
 * (kernel/bpf/inode.c: bpf_parse_param()), so its flags do, which nobody else gives a BPF file
 * system.
 */
#define BPFFS_SOURCE  "flowtally"
#define BPFFS_FLAGS   (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME)
#define BPFFS_OPTIONS ",noatime,nodiratime"
/* How long we wait for others who are about to mount: anybody may hold the lock. */
#define LOCK_WAIT_MS 5000
#define LOCK_STEP_MS 10
/* A mount that was found may go, with the last who used it, before it is ours to use, too. */
#define OPEN_TRIES 4

struct bpffs {
	int root_fd;
	int keeper_fd; /* open as long as we live; -1: there is no keeper */
	pid_t keeper;
};

/* Whether a and b, as processes, are in the same namespace of that type. */
static bool bpffs_share(pid_t a, pid_t b, const char *type)
{
	char path_a[64], path_b[64];
	struct stat st_a, st_b;

	snprintf(path_a, sizeof(path_a), "/proc/%d/ns/%s", (int)a, type);
	snprintf(path_b, sizeof(path_b), "/proc/%d/ns/%s", (int)b, type);
	return !stat(path_a, &st_a) && !stat(path_b, &st_b) && st_a.st_ino == st_b.st_ino &&
	       st_a.st_dev == st_b.st_dev;
}

/* 0: none, or not to be seen. */
static pid_t bpffs_parent(pid_t pid)
{
	_fclose_ FILE *status = NULL;
	char path[64], line[256];
	int parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	status = fopen(path, "re");
	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "PPid: %d", &parent) == 1)
			break;
	return parent;
}

/*
 * `ip netns exec` and many containers give a process a /sys of its own, and what is mounted there
 * goes with it. What outlives us has to be where those who started us see it: our eldest ancestor
 * that we may look at, of our own users.
 */
static pid_t bpffs_find_outer(void)
{
	pid_t self = getpid(), outer = self;

	for (pid_t pid = self; pid > 0; pid = bpffs_parent(pid))
		if (bpffs_share(self, pid, "user"))
			outer = pid;
	return outer;
}

static int bpffs_mount(void)
{
	return mount(BPFFS_SOURCE, BPFFS_PATH, "bpf", BPFFS_FLAGS, "mode=0700") ? -errno : 0;
}

/* Whether it is there because we mounted it, as that process sees it. */
static bool bpffs_is_ours(const char *process)
{
	_fclose_ FILE *mounts = NULL;
	char line[4096];
	bool ours = false;

	snprintf(line, sizeof(line), "/proc/%s/mounts", process);
	mounts = fopen(line, "re");
	while (mounts && fgets(line, sizeof(line), mounts)) {
		char source[64], path[64], options[256];

		if (sscanf(line, "%63s %63s %*s %255s", source, path, options) == 3 &&
		    !strcmp(path, BPFFS_PATH))
			ours = !strcmp(source, BPFFS_SOURCE) || strstr(options, BPFFS_OPTIONS);
	}
	return ours;
}

/* The kernel may put two files there itself: BPF_PRELOAD. */
static bool bpffs_is_empty(void)
{
	const struct dirent *entry;
	DIR *directory = opendir(BPFFS_PATH);
	bool empty = directory;

	while (directory && (entry = readdir(directory)))
		empty &= entry->d_name[0] == '.' || !strcmp(entry->d_name, "maps.debug") ||
			 !strcmp(entry->d_name, "progs.debug");
	if (directory)
		closedir(directory);
	return empty;
}

/* Who else has something open there is an agent that begins: it has a keeper of its own. */
static int bpffs_unmount_unused(void)
{
	if (!bpffs_is_ours("self") || !bpffs_is_empty())
		return 0;
	return umount2(BPFFS_PATH, UMOUNT_NOFOLLOW) && errno != EBUSY ? -errno : 0;
}

/* The file system's root, if it is mounted where path leads. */
static int bpffs_open_root(const char *path)
{
	_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs st;

	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &st) || (unsigned int)st.f_type != BPF_FS_MAGIC)
		return -ENODEV;
	return TAKE_FD(fd);
}

/* One keeper after the other looks and mounts. Who cannot have that for long goes on without. */
static int keeper_lock(void)
{
	int fd = open(BPFFS_PATH, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int ms = 0; fd >= 0 && ms < LOCK_WAIT_MS; ms += LOCK_STEP_MS) {
		if (!flock(fd, LOCK_EX | LOCK_NB) || errno != EWOULDBLOCK)
			break;
		poll(NULL, 0, LOCK_STEP_MS);
	}
	return fd;
}

/* Somebody may have mounted one meanwhile: above it ours would hide what is in it. */
static int keeper_mount(void)
{
	int lock_fd = keeper_lock();
	_close_ int root_fd = bpffs_open_root(BPFFS_PATH);
	int err = root_fd >= 0 ? 0 : bpffs_mount();

	cleanup_close(&lock_fd);
	return err;
}

/* Goes into the namespace where the mount is, or is to be, with what mounting it takes. */
static int keeper_prepare(int mounts_fd)
{
	int err;

	if (setns(mounts_fd, CLONE_NEWNS))
		return -errno;
	err = privileges_drop_but(CAP_SYS_ADMIN);
	return err ? err : keeper_mount();
}

/*
 * The keeper: says in one int how its preparation went, waits for the other end of the socket to
 * close, and unmounts. Nothing but that ends it before us: not ^C, and no signal for all of our
 * name. It holds none of our descriptors, as some tell by closing that we are gone.
 */
static void __attribute__((noreturn)) keeper_run(int mounts_fd, int socket_fd)
{
	sigset_t all;
	char byte;
	int err;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	prctl(PR_SET_NAME, "flowtally-mount");
	err = keeper_prepare(mounts_fd);
	if (dup2(socket_fd, STDIN_FILENO) < 0 || syscall(SYS_close_range, 1, UINT_MAX, 0))
		err = -errno;
	if (write(STDIN_FILENO, &err, sizeof(err)) != sizeof(err) || err)
		_exit(0);
	while (read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR)
		;
	_exit(-bpffs_unmount_unused());
}

/* The file system is mounted when this returns 0. */
static int bpffs_start_keeper(struct bpffs *fs, pid_t outer)
{
	_close_ int mounts_fd = -1;
	int ends[2], err;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)outer);
	mounts_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (mounts_fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	fs->keeper = fork();
	if (!fs->keeper)
		keeper_run(mounts_fd, ends[1]);
	err = fs->keeper < 0 ? -errno : 0;
	fs->keeper_fd = ends[0];
	close(ends[1]);
	if (!err && read(fs->keeper_fd, &err, sizeof(err)) != sizeof(err))
		err = -ECHILD;
	return err;
}

/* How the keeper ended, as 0 or negative errno. */
static int bpffs_end_keeper(struct bpffs *fs)
{
	int status = 0;

	if (fs->keeper_fd >= 0)
		close(fs->keeper_fd);
	fs->keeper_fd = -1;
	while (fs->keeper > 0 && waitpid(fs->keeper, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	fs->keeper = 0;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

/* One of ours that an agent left: it is ours to unmount now, if we may. */
static void bpffs_adopt(struct bpffs *fs, pid_t outer)
{
	char process[16];
	int err;

	snprintf(process, sizeof(process), "%d", (int)outer);
	if (!bpffs_is_ours(process))
		return;
	err = bpffs_start_keeper(fs, outer);
	if (!err)
		return;
	(void)bpffs_end_keeper(fs);
	log_debug("the BPF file system will stay mounted: %s", strerror(-err));
}

/* -ENODEV: none is mounted, or not any more. */
static int bpffs_try_open(struct bpffs *fs, pid_t outer)
{
	char path[64];
	int err;

	fs->root_fd = bpffs_open_root(BPFFS_PATH);
	if (fs->root_fd == -ENODEV) {
		snprintf(path, sizeof(path), "/proc/%d/root" BPFFS_PATH, (int)outer);
		fs->root_fd = bpffs_open_root(path);
	}
	if (fs->root_fd >= 0)
		bpffs_adopt(fs, outer);
	if (fs->root_fd != -ENODEV)
		return fs->root_fd < 0 ? fs->root_fd : 0;
	err = bpffs_start_keeper(fs, outer);
	if (err)
		return err;
	log_info("mounted the BPF file system at " BPFFS_PATH);
	fs->root_fd = bpffs_open_root(path);
	return fs->root_fd < 0 ? fs->root_fd : 0;
}

static int bpffs_open(struct bpffs *fs)
{
	pid_t outer = bpffs_find_outer();
	int err = bpffs_try_open(fs, outer);

	for (int try = 1; try < OPEN_TRIES && err == -ENODEV; try++) {
		(void)bpffs_end_keeper(fs);
		err = bpffs_try_open(fs, outer);
	}
	return err;
}

int bpffs_new(struct bpffs **ret)
{
	struct bpffs *fs = calloc(1, sizeof(*fs));
	int err;

	if (!fs)
		return -ENOMEM;
	fs->root_fd = fs->keeper_fd = -1;
	err = bpffs_open(fs);
	if (err) {
		bpffs_free(fs);
		return err;
	}
	*ret = fs;
	return 0;
}

void bpffs_free(struct bpffs *fs)
{
	int err;

	if (!fs)
		return;
	cleanup_close(&fs->root_fd);
	err = bpffs_end_keeper(fs);
	if (err)
		log_warning("the BPF file system stays mounted at " BPFFS_PATH ": %s; `flowtally "
			    "cleanup` unmounts it",
			    err == -ECHILD ? "the process that keeps it was killed"
					   : strerror(-err));
	free(fs);
}

int bpffs_root(const struct bpffs *fs)
{
	return fs->root_fd;
}
