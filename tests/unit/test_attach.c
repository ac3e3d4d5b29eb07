// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is attached when the kernel fails or somebody else interferes. The Makefile links this test
 * so that the tree's calls of netlink/tc, and those that make links of tcx, come to the kernel that
 * is made here: one link, a clsact qdisc or none, filters, links of ours.
 */
#include "lib/array.h"
#include "supervisor/attach_ops.h"
#include "supervisor/checkpoint.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define IFINDEX 7
/* as supervisor/attach_clsact.c has them */
#define FOUND	0xf10a0001U
#define CREATED 0xf10a0002U

static struct {
	bool clsact;
	struct tc_filter filters[16];
	size_t count;
	unsigned int qdiscs_added, qdiscs_deleted, filters_added, filters_deleted, links_tried,
		listings;
	/* what ends with that error */
	int fail_add, fail_delete, fail_each, fail_link;
} kernel;

static const struct attacher fresh = {.mode = CONFIG_ATTACH_CLSACT, .program_fd = {3, 4}};
static struct attacher attacher;

static struct tc_filter *kernel_find(enum tc_hook hook, uint16_t priority, uint32_t handle)
{
	for (size_t i = 0; i < kernel.count; i++)
		if (kernel.filters[i].hook == hook && kernel.filters[i].priority == priority &&
		    (!handle || kernel.filters[i].handle == handle))
			return &kernel.filters[i];
	return NULL;
}

static void kernel_put(enum tc_hook hook, uint16_t priority, uint32_t handle, const char *kind,
		       const char *name, uint32_t program)
{
	struct tc_filter *filter = &kernel.filters[kernel.count++];

	*filter = (struct tc_filter){.hook = hook,
				     .priority = priority,
				     .handle = handle,
				     .program_id = program};
	snprintf(filter->kind, sizeof(filter->kind), "%s", kind);
	snprintf(filter->name, sizeof(filter->name), "%s", name);
}

static void kernel_remove(struct tc_filter *filter)
{
	*filter = kernel.filters[--kernel.count];
}

static int kernel_add(const struct tc_change *change)
{
	struct tc_filter *other = kernel_find(change->hook, change->priority, 0);
	struct tc_filter *same = kernel_find(change->hook, change->priority, change->handle);

	if (!kernel.clsact || (other && strcmp(other->kind, "bpf") != 0))
		return -EINVAL;
	if (same && change->kind == TC_FILTER_ADD)
		return -EEXIST;
	if (kernel.fail_add)
		return kernel.fail_add;
	if (same) {
		same->program_id = (uint32_t)change->program_fd;
		return 0;
	}
	kernel.filters_added++;
	kernel_put(change->hook, change->priority, change->handle, "bpf", change->name,
		   (uint32_t)change->program_fd);
	return 0;
}

static int kernel_delete(const struct tc_change *change)
{
	struct tc_filter *filter = kernel_find(change->hook, change->priority, change->handle);

	if (kernel.fail_delete)
		return kernel.fail_delete;
	if (!kernel.clsact)
		return -EINVAL;
	if (!filter)
		return -ENOENT;
	kernel_remove(filter);
	kernel.filters_deleted++;
	return 0;
}

static int kernel_change(const struct tc_change *change)
{
	switch (change->kind) {
	case TC_CLSACT_ADD:
		if (kernel.clsact)
			return -EEXIST;
		kernel.clsact = true;
		kernel.qdiscs_added++;
		return 0;
	case TC_CLSACT_DELETE:
		if (kernel.fail_delete)
			return kernel.fail_delete;
		if (!kernel.clsact)
			return -ENOENT;
		kernel.clsact = false;
		kernel.count = 0;
		kernel.qdiscs_deleted++;
		return 0;
	case TC_FILTER_ADD:
	case TC_FILTER_REPLACE:
		return kernel_add(change);
	case TC_FILTER_DELETE:
		break;
	}
	return kernel_delete(change);
}

/* The linker's names: --wrap=tc_change makes a call of tc_change() one of __wrap_tc_change(). */
void __wrap_tc_change(struct tc *tc, struct tc_change *changes, size_t n);
int __wrap_tc_clsact_find(struct tc *tc, uint32_t ifindex);
int __wrap_tc_clsact_delete(struct tc *tc, uint32_t ifindex);
int __wrap_tc_filter_delete(struct tc *tc, uint32_t ifindex, enum tc_hook hook, uint16_t priority,
			    uint32_t handle);
int __wrap_tc_filter_each(struct tc *tc, uint32_t ifindex,
			  void (*found)(void *data, const struct tc_filter *filter), void *data);
int __wrap_bpf_link_create(int program_fd, int target, enum bpf_attach_type type,
			   const struct bpf_link_create_opts *opts);
int __wrap_bpf_prog_query(int target, enum bpf_attach_type type, __u32 query_flags,
			  __u32 *attach_flags, __u32 *ids, __u32 *count);
int __wrap_tc_clsact_each(struct tc *tc, void (*found)(void *data, uint32_t ifindex), void *data);

void __wrap_tc_change(struct tc *tc, struct tc_change *changes, size_t n)
{
	(void)tc;
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(changes[i].ifindex, IFINDEX);
		changes[i].result = kernel_change(&changes[i]);
	}
}

int __wrap_tc_clsact_find(struct tc *tc, uint32_t ifindex)
{
	(void)tc;
	assert_int_equal(ifindex, IFINDEX);
	return kernel.clsact ? 0 : -ENOENT;
}

int __wrap_tc_clsact_delete(struct tc *tc, uint32_t ifindex)
{
	struct tc_change change = {.kind = TC_CLSACT_DELETE, .ifindex = ifindex};

	__wrap_tc_change(tc, &change, 1);
	return change.result;
}

int __wrap_tc_filter_delete(struct tc *tc, uint32_t ifindex, enum tc_hook hook, uint16_t priority,
			    uint32_t handle)
{
	struct tc_change change = {.kind = TC_FILTER_DELETE,
				   .ifindex = ifindex,
				   .hook = hook,
				   .priority = priority,
				   .handle = handle};

	__wrap_tc_change(tc, &change, 1);
	return change.result;
}

int __wrap_tc_filter_each(struct tc *tc, uint32_t ifindex,
			  void (*found)(void *data, const struct tc_filter *filter), void *data)
{
	struct tc_filter copy[ARRAY_SIZE(kernel.filters)];
	size_t count = kernel.count;

	(void)tc;
	assert_int_equal(ifindex, IFINDEX);
	kernel.listings++;
	if (kernel.fail_each)
		return kernel.fail_each;
	memcpy(copy, kernel.filters, sizeof(copy));
	for (size_t i = 0; i < count; i++)
		found(data, &copy[i]);
	return 0;
}

int __wrap_bpf_link_create(int program_fd, int target, enum bpf_attach_type type,
			   const struct bpf_link_create_opts *opts)
{
	(void)program_fd;
	(void)type;
	(void)opts;
	assert_int_equal(target, IFINDEX);
	kernel.links_tried++;
	errno = -kernel.fail_link;
	return kernel.fail_link ? -1 : eventfd(0, EFD_CLOEXEC);
}

/* None of others. */
int __wrap_bpf_prog_query(int target, enum bpf_attach_type type, __u32 query_flags,
			  __u32 *attach_flags, __u32 *ids, __u32 *count)
{
	(void)target;
	(void)type;
	(void)query_flags;
	(void)attach_flags;
	(void)ids;
	*count = 0;
	return 0;
}

int __wrap_tc_clsact_each(struct tc *tc, void (*found)(void *data, uint32_t ifindex), void *data)
{
	(void)tc;
	if (kernel.clsact)
		found(data, IFINDEX);
	return 0;
}

static int attach(struct attachment *attachment)
{
	struct attach_job job = {.ifindex = IFINDEX, .name = "x0", .attachment = attachment};

	attach_each(&attacher, &job, 1);
	return job.result;
}

static int detach(struct attachment *attachment, bool gone)
{
	struct attach_job job = {.ifindex = IFINDEX,
				 .name = "x0",
				 .gone = gone,
				 .attachment = attachment};

	attach_detach_each(&attacher, &job, 1);
	return job.result;
}

static void assert_ours(enum tc_hook hook, uint16_t priority, uint32_t handle)
{
	const struct tc_filter *filter = kernel_find(hook, priority, handle);
	size_t ours = 0;

	assert_non_null(filter);
	assert_string_equal(filter->name, "flowtally");
	assert_int_equal(filter->program_id, attacher.program_fd[hook]);
	for (size_t i = 0; i < kernel.count; i++)
		ours += kernel.filters[i].hook == hook &&
			!strcmp(kernel.filters[i].name, "flowtally");
	assert_int_equal(ours, 1);
}

static int new_kernel(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	attacher = fresh;
	return 0;
}

static void test_attach_and_detach(void **state)
{
	struct attachment attachment = {0};

	(void)state;
	assert_int_equal(attach(&attachment), 0);
	assert_ours(TC_HOOK_INGRESS, 1, CREATED);
	assert_ours(TC_HOOK_EGRESS, 0xffff, CREATED);
	assert_int_equal(detach(&attachment, false), 0);
	assert_null(attachment.ops);
	assert_false(kernel.clsact);
	/* without filters of ours nobody would know whose the qdisc is */
	assert_int_equal(kernel.filters_deleted, 0);
}

static void test_detach_beside_others(void **state)
{
	struct attachment attachment = {0};

	(void)state;
	assert_int_equal(attach(&attachment), 0);
	kernel_put(TC_HOOK_EGRESS, 5, 1, "bpf", "of others", 98);
	assert_int_equal(detach(&attachment, false), 0);
	assert_null(attachment.ops);
	assert_true(kernel.clsact);
	assert_int_equal(kernel.count, 1);
	assert_int_equal(kernel.filters[0].program_id, 98);
}

static void test_sweep(void **state)
{
	struct attachment attachment = {0};

	(void)state;
	assert_int_equal(attach(&attachment), 0);
	assert_int_equal(attach_clsact_sweep(NULL, NULL, NULL), 2);
	assert_false(kernel.clsact);
	assert_int_equal(kernel.filters_deleted, 0);
	/* others use it, and will go on to */
	assert_int_equal(attach(&attachment), 0);
	kernel_put(TC_HOOK_EGRESS, 5, 1, "bpf", "of others", 98);
	assert_int_equal(attach_clsact_sweep(NULL, NULL, NULL), 2);
	assert_true(kernel.clsact);
	assert_int_equal(kernel.count, 1);
	assert_int_equal(attach_clsact_sweep(NULL, NULL, NULL), 0);
	assert_true(kernel.clsact);
}

/* It stays attached in our eyes until it is off. */
static void test_detach_fails(void **state)
{
	static const int errors[] = {-ENOMEM, -ENOBUFS};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct attachment attachment = {0};

		assert_int_equal(attach(&attachment), 0);
		kernel.fail_delete = errors[i];
		assert_int_equal(detach(&attachment, false), errors[i]);
		assert_ptr_equal(attachment.ops, &attach_clsact);
		assert_int_equal(attach_missing(&attacher, &attachment), 0);
		/* what is on it is ours */
		assert_true(kernel.clsact);
		kernel.fail_delete = 0;
		assert_int_equal(detach(&attachment, false), 0);
		assert_null(attachment.ops);
		assert_false(kernel.clsact);
		assert_int_equal(kernel.count, 0);
	}
}

static void test_detach_of_what_is_gone(void **state)
{
	struct attachment attachment = {0};

	(void)state;
	assert_int_equal(attach(&attachment), 0);
	kernel.fail_delete = -ENOMEM;
	assert_int_equal(detach(&attachment, true), 0);
	assert_null(attachment.ops);
}

/* What a try could not take back is found by the next one, on a qdisc that is still ours. */
static void test_attach_finds_what_was_left(void **state)
{
	struct attachment attachment = {0};

	(void)state;
	kernel.clsact = true;
	kernel_put(TC_HOOK_INGRESS, 1, CREATED, "bpf", "flowtally", 99);
	kernel_put(TC_HOOK_EGRESS, 5, 1, "bpf", "of others", 98);
	kernel.fail_delete = -ENOBUFS;
	assert_int_equal(attach(&attachment), -ENOBUFS);
	assert_null(attachment.ops);
	assert_int_equal(kernel.count, 2);
	kernel.fail_delete = 0;
	assert_int_equal(attach(&attachment), 0);
	assert_ours(TC_HOOK_INGRESS, 1, CREATED);
	assert_ours(TC_HOOK_EGRESS, 0xffff, CREATED);
	assert_int_equal(detach(&attachment, false), 0);
	/* others use it */
	assert_true(kernel.clsact);
	assert_int_equal(kernel.count, 1);
	assert_int_equal(kernel.filters[0].program_id, 98);
}

/* On a qdisc that we made filters are looked for where less was seen than came in, and from then
 * on. */
static void test_diverted_later(void **state)
{
	struct attachment attachment = {0}, adopted = {0};
	struct checkpoint_attachment described;
	struct tc_filter ours;

	(void)state;
	assert_int_equal(attach(&attachment), 0);
	kernel_put(TC_HOOK_EGRESS, 5, 1, "u32", "", 0);
	kernel.filters[kernel.count - 1].mirred = true;
	/* the kernel lists them in the order in which they run */
	ours = kernel.filters[0];
	kernel.filters[0] = kernel.filters[kernel.count - 1];
	kernel.filters[kernel.count - 1] = ours;
	assert_false(attach_look(&attacher, "x0", &attachment, false));
	assert_true(attach_look(&attacher, "x0", &attachment, true));
	assert_true(attachment.diverted);
	assert_false(attach_look(&attacher, "x0", &attachment, false));
	assert_true(attachment.diverted);
	attach_describe(&attachment, &described);
	assert_int_equal(attach_adopt(&attacher, IFINDEX, 0, &described, &adopted), 0);
	assert_true(adopted.diverted);
	/* where nobody can be asked it stays as it was */
	kernel.fail_each = -ENOBUFS;
	assert_false(attach_look(&attacher, "x0", &attachment, false));
	assert_true(attachment.diverted);
	kernel.fail_each = 0;
	kernel_remove(&kernel.filters[0]);
	assert_true(attach_look(&attacher, "x0", &attachment, false));
	assert_false(attachment.diverted);
}

/* In each report, so for each link on which others have a clsact qdisc. */
static void test_look_lists_once(void **state)
{
	struct attachment attachment = {0};

	(void)state;
	kernel.clsact = true;
	assert_int_equal(attach(&attachment), 0);
	kernel.listings = 0;
	assert_false(attach_look(&attacher, "x0", &attachment, false));
	assert_int_equal(kernel.listings, 1);
	assert_int_equal(detach(&attachment, false), 0);
	/* nobody else is on one of ours */
	kernel.clsact = false;
	assert_int_equal(attach(&attachment), 0);
	kernel.listings = 0;
	assert_false(attach_look(&attacher, "x0", &attachment, false));
	assert_int_equal(kernel.listings, 0);
}

/* By tc mirred in front of ours at egress, or in another chain. */
static void test_diverted(void **state)
{
	static const struct {
		enum tc_hook hook;
		uint32_t chain;
		bool mirred, diverts;
	} cases[] = {
		{TC_HOOK_EGRESS, 0, true, true},
		{TC_HOOK_EGRESS, 0, false, false},
		{TC_HOOK_EGRESS, 3, true, true},
		{TC_HOOK_INGRESS, 0, true, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct attachment attachment = {0};

		new_kernel(state);
		kernel.clsact = true;
		kernel_put(cases[i].hook, 5, 1, "u32", "", 0);
		kernel.filters[0].mirred = cases[i].mirred;
		kernel.filters[0].chain = cases[i].chain;
		assert_int_equal(attach(&attachment), 0);
		assert_int_equal(attachment.diverted, cases[i].diverts);
		/* what was found is looked at again */
		assert_false(attach_look(&attacher, "x0", &attachment, false));
		kernel_remove(&kernel.filters[0]);
		attach_look(&attacher, "x0", &attachment, false);
		assert_false(attachment.diverted);
		/* behind ours */
		kernel_put(TC_HOOK_EGRESS, 0xffff, 1, "u32", "", 0);
		kernel.filters[kernel.count - 1].mirred = true;
		assert_false(attach_look(&attacher, "x0", &attachment, false));
		assert_int_equal(detach(&attachment, false), 0);
	}
}

static void test_attach_fails(void **state)
{
	struct attachment attachment = {0};

	(void)state;
	kernel.fail_add = -ENOMEM;
	assert_int_equal(attach(&attachment), -ENOMEM);
	assert_null(attachment.ops);
	assert_false(kernel.clsact);
}

static void test_repair_of_one_hook(void **state)
{
	struct attachment attachment = {0};

	(void)state;
	assert_int_equal(attach(&attachment), 0);
	for (enum tc_hook hook = 0; hook < TC_HOOKS; hook++) {
		kernel_remove(kernel_find(hook, attachment.clsact.priority[hook], 0));
		kernel.filters_added = 0;
		assert_int_equal(attach_missing(&attacher, &attachment), 1U << hook);
		assert_int_equal(attach_repair(&attacher, &attachment, 1U << hook), 0);
		assert_int_equal(kernel.filters_added, 1);
		assert_int_equal(attach_missing(&attacher, &attachment), 0);
	}
	assert_ours(TC_HOOK_INGRESS, 1, CREATED);
	assert_ours(TC_HOOK_EGRESS, 0xffff, CREATED);
	assert_int_equal(kernel.qdiscs_added, 1);
	assert_int_equal(kernel.qdiscs_deleted, 0);
}

/* Nothing is added beside ours, wherever it stands. */
static void test_repair_of_what_is_there(void **state)
{
	struct attachment attachment = {0};

	(void)state;
	assert_int_equal(attach(&attachment), 0);
	kernel.filters_added = 0;
	assert_int_equal(attach_repair(&attacher, &attachment, ATTACH_BOTH_HOOKS), 0);
	kernel_find(TC_HOOK_INGRESS, 1, 0)->priority = 3;
	assert_int_equal(attach_repair(&attacher, &attachment, ATTACH_BOTH_HOOKS), 0);
	assert_int_equal(kernel.filters_added, 0);
	assert_int_equal(kernel.count, 2);
}

/* The places that others took meanwhile stay theirs. */
static void test_repair_beside_others(void **state)
{
	struct attachment attachment = {0};
	struct checkpoint_attachment described;
	struct attachment adopted = {0};

	(void)state;
	kernel.clsact = true;
	assert_int_equal(attach(&attachment), 0);
	kernel.count = 0;
	kernel_put(TC_HOOK_INGRESS, 1, 0, "u32", "", 0);
	kernel_put(TC_HOOK_INGRESS, 2, FOUND, "bpf", "of others", 98);
	attach_describe(&attachment, &described);
	assert_int_equal(attach_repair(&attacher, &attachment, ATTACH_BOTH_HOOKS), 0);
	assert_ours(TC_HOOK_INGRESS, 3, FOUND);
	assert_ours(TC_HOOK_EGRESS, 0xffff, FOUND);
	assert_int_equal(kernel.count, 4);

	/* a successor that was told of the old place finds it */
	kernel_find(TC_HOOK_INGRESS, 3, FOUND)->program_id = 97;
	assert_int_equal(attach_adopt(&attacher, IFINDEX, 1, &described, &adopted), 0);
	assert_ours(TC_HOOK_INGRESS, 3, FOUND);
	assert_int_equal(kernel.count, 4);
	assert_int_equal(detach(&adopted, false), 0);
	assert_int_equal(kernel.count, 2);
	assert_true(kernel.clsact);
}

/* What a moment's lack keeps from being taken over goes on as it is; what is gone is taken off. */
static void test_adopt_fails(void **state)
{
	struct attachment attachment = {0}, adopted = {0};
	struct checkpoint_attachment described;

	(void)state;
	assert_int_equal(attach(&attachment), 0);
	attach_describe(&attachment, &described);
	kernel.fail_add = -ENOMEM;
	assert_int_equal(attach_adopt(&attacher, IFINDEX, 1, &described, &adopted), -ENOMEM);
	assert_null(adopted.ops);
	assert_int_equal(kernel.count, 2);
	kernel.fail_add = 0;
	kernel_remove(kernel_find(TC_HOOK_EGRESS, 0xffff, CREATED));
	assert_int_equal(attach_adopt(&attacher, IFINDEX, 1, &described, &adopted), -ENOENT);
	assert_int_equal(kernel.count, 0);
	assert_false(kernel.clsact);
}

static void test_repair_fails(void **state)
{
	struct attachment attachment = {0};

	(void)state;
	assert_int_equal(attach(&attachment), 0);
	kernel_remove(kernel_find(TC_HOOK_INGRESS, 1, 0));
	kernel.fail_add = -ENOMEM;
	assert_int_equal(attach_repair(&attacher, &attachment, 1U << TC_HOOK_INGRESS), -ENOMEM);
	assert_int_equal(attach_missing(&attacher, &attachment), 1U << TC_HOOK_INGRESS);
	kernel.fail_add = 0;
	kernel.fail_each = -ENOBUFS;
	assert_int_equal(attach_repair(&attacher, &attachment, 1U << TC_HOOK_INGRESS), -ENOBUFS);
	kernel.fail_each = 0;
	assert_int_equal(attach_repair(&attacher, &attachment, 1U << TC_HOOK_INGRESS), 0);
	assert_ours(TC_HOOK_INGRESS, 1, CREATED);
}

/* Then it is attached anew. */
static void test_repair_without_a_qdisc(void **state)
{
	struct attachment attachment = {0};

	(void)state;
	assert_int_equal(attach_repair(&attacher, &attachment, ATTACH_BOTH_HOOKS), -ENOENT);
	assert_int_equal(attach(&attachment), 0);
	kernel.clsact = false;
	kernel.count = 0;
	assert_int_equal(attach_repair(&attacher, &attachment, ATTACH_BOTH_HOOKS), -ENOENT);
	assert_int_equal(kernel.count, 0);
}

static void others_at_ingress(void)
{
	attacher.mode = CONFIG_ATTACH_AUTO;
	kernel.clsact = true;
	kernel_put(TC_HOOK_INGRESS, 1, 0, "u32", "", 0);
}

static void test_tcx_ahead_of_others(void **state)
{
	struct attachment attachment = {0};

	(void)state;
	others_at_ingress();
	assert_int_equal(attach(&attachment), 0);
	assert_true(attach_is_tcx(&attachment));
	assert_int_equal(kernel.count, 1);
	assert_false(attach_is_outrun(&attacher, &attachment));
	assert_int_equal(detach(&attachment, false), 0);
	assert_true(kernel.clsact);
}

/* What may be over soon, or on another link, keeps this one with clsact for a while. */
static void test_tcx_ahead_fails(void **state)
{
	static const int errors[] = {-EMFILE, -ENFILE, -ENOMEM, -ERANGE};

	(void)state;
	others_at_ingress();
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct attachment attachment = {0};

		kernel.fail_link = errors[i];
		assert_int_equal(attach(&attachment), 0);
		assert_ptr_equal(attachment.ops, &attach_clsact);
		assert_ours(TC_HOOK_INGRESS, 2, FOUND);
		assert_true(attachment.preceded);
		assert_false(attach_is_outrun(&attacher, &attachment));
		assert_false(attach_look(&attacher, "x0", &attachment, true));
		assert_false(attach_is_outrun(&attacher, &attachment));

		/* the while is over */
		attachment.ahead_ns = 1;
		assert_true(attach_is_outrun(&attacher, &attachment));
		kernel.fail_link = 0;
		assert_int_equal(detach(&attachment, false), 0);
		assert_int_equal(attach(&attachment), 0);
		assert_true(attach_is_tcx(&attachment));
		assert_int_equal(detach(&attachment, false), 0);
		assert_int_equal(kernel.count, 1);
	}
}

/* What the kernel says of one link it says of all. */
static void test_no_tcx_to_go_ahead_with(void **state)
{
	static const int errors[] = {-EINVAL, -EPERM, -EACCES};

	(void)state;
	others_at_ingress();
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct attachment attachment = {0};

		attacher.lacks_tcx = false;
		kernel.links_tried = 0;
		kernel.fail_link = errors[i];
		assert_int_equal(attach(&attachment), 0);
		assert_ptr_equal(attachment.ops, &attach_clsact);
		assert_int_equal(kernel.links_tried, 1);
		attachment.ahead_ns = 1;
		assert_false(attach_is_outrun(&attacher, &attachment));
		assert_int_equal(detach(&attachment, false), 0);
		assert_int_equal(attach(&attachment), 0);
		assert_int_equal(kernel.links_tried, 1);
		assert_int_equal(detach(&attachment, false), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_attach_and_detach, new_kernel),
		cmocka_unit_test_setup(test_detach_beside_others, new_kernel),
		cmocka_unit_test_setup(test_sweep, new_kernel),
		cmocka_unit_test_setup(test_detach_fails, new_kernel),
		cmocka_unit_test_setup(test_detach_of_what_is_gone, new_kernel),
		cmocka_unit_test_setup(test_attach_finds_what_was_left, new_kernel),
		cmocka_unit_test_setup(test_diverted, new_kernel),
		cmocka_unit_test_setup(test_diverted_later, new_kernel),
		cmocka_unit_test_setup(test_look_lists_once, new_kernel),
		cmocka_unit_test_setup(test_attach_fails, new_kernel),
		cmocka_unit_test_setup(test_repair_of_one_hook, new_kernel),
		cmocka_unit_test_setup(test_repair_of_what_is_there, new_kernel),
		cmocka_unit_test_setup(test_repair_beside_others, new_kernel),
		cmocka_unit_test_setup(test_adopt_fails, new_kernel),
		cmocka_unit_test_setup(test_repair_fails, new_kernel),
		cmocka_unit_test_setup(test_repair_without_a_qdisc, new_kernel),
		cmocka_unit_test_setup(test_tcx_ahead_of_others, new_kernel),
		cmocka_unit_test_setup(test_tcx_ahead_fails, new_kernel),
		cmocka_unit_test_setup(test_no_tcx_to_go_ahead_with, new_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
