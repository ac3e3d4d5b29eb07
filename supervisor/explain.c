// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/explain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static const char *explain_refusal(void)
{
	if (geteuid())
		return "not permitted; run it as root, or give it CAP_BPF, CAP_NET_ADMIN and "
		       "CAP_PERFMON, before Linux 5.11 also CAP_SYS_RESOURCE to lock memory";
	return "not permitted, though we are root; kernel lockdown, seccomp or the container "
	       "forbids BPF: allow it CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, before Linux 5.11 "
	       "also CAP_SYS_RESOURCE to lock memory";
}

static const char *explain_program_error(int err)
{
	switch (err) {
	case -EPERM:
		return explain_refusal();
	case -EACCES:
		return "the kernel's verifier refuses it, as it does without CAP_PERFMON; -vv "
		       "shows its words";
	case -ENOSYS:
		return "the kernel has no BPF (CONFIG_BPF_SYSCALL); boot one that has";
	case -EMFILE:
		return "out of file descriptors; raise RLIMIT_NOFILE (LimitNOFILE= in systemd)";
	case -ENOMEM:
		return "no memory in the kernel; before Linux 5.11 raise RLIMIT_MEMLOCK";
	case -EINVAL:
	case -E2BIG:
	case -EOPNOTSUPP:
		return "the kernel lacks what it needs; Linux 5.10 or later is, -vv shows the "
		       "kernel's words";
	}
	return NULL;
}

void explain_program(int err, char *text, size_t size)
{
	const char *words = explain_program_error(err);
	struct utsname kernel;

	if (uname(&kernel))
		strcpy(kernel.release, "of unknown version");
	if (words)
		snprintf(text, size, "cannot load the BPF program into Linux %s: %s",
			 kernel.release, words);
	else
		snprintf(text, size,
			 "cannot load the BPF program into Linux %s: %s; -vv shows the kernel's "
			 "words",
			 kernel.release, strerror(-err));
}

const char *explain_attach(int err)
{
	switch (err) {
	case -EBUSY:
		return "an ingress qdisc is where clsact would be; delete it (tc qdisc del dev "
		       "NAME ingress), or attach by tcx";
	case -ENOTUNIQ:
		return "its clsact qdisc shares a filter block (tc qdisc show), which takes no "
		       "filter for one interface; attach by tcx";
	case -EOPNOTSUPP:
		return "the kernel has no such way to attach; tcx takes Linux 6.6, else use "
		       "attach mode auto or clsact";
	case -ENOENT:
	case -EPROTONOSUPPORT:
		return "the kernel lacks sch_ingress or cls_bpf; load these modules";
	case -EPERM:
		return "not permitted; it takes CAP_NET_ADMIN and CAP_BPF";
	case -EMFILE:
		return "out of file descriptors; raise RLIMIT_NOFILE (LimitNOFILE= in systemd)";
	case -ENOSPC:
		return "all places for interfaces are taken; exclude some";
	}
	return strerror(-err);
}

const char *explain_pins(int err)
{
	if (err == -ENOTUNIQ)
		return "/sys/fs/bpf/flowtally and what is in it must be directories that only root "
		       "can write to; remove it";
	return strerror(-err);
}

const char *explain_output(int err)
{
	switch (err) {
	case -ENXIO:
		return "it is a FIFO that nobody reads, a socket, or a device that is not there";
	case -EISDIR:
		return "it is a directory; name a file in it";
	case -EBADF:
		return "it is closed, or not open for writing";
	case -EAGAIN:
		return "its reader has not taken the report before";
	case -ETIMEDOUT:
		return "its reader does not take it";
	case -EPIPE:
		return "nobody reads it any more";
	}
	return strerror(-err);
}
