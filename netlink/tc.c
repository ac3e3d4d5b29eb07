// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/tc.h"

#include "lib/array.h"
#include "netlink/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_SIZE 512
#define DUMP_TRIES   50
#define NAME_SIZE    sizeof(((struct tc_filter *)NULL)->name)
/* Their answers fit the smallest default receive buffer many times. */
#define CHANGES_A_DATAGRAM 64

struct tc {
	struct netlink *netlink; /* owned */
};

int tc_new(struct tc **ret)
{
	struct tc *tc = calloc(1, sizeof(*tc));
	int r;

	if (!tc)
		return -ENOMEM;
	r = netlink_new(&tc->netlink, NETLINK_ROUTE, 0);
	if (r < 0) {
		tc_free(tc);
		return r;
	}
	*ret = tc;
	return 0;
}

void tc_free(struct tc *tc)
{
	if (!tc)
		return;
	netlink_free(tc->netlink);
	free(tc);
}

/*
 * A request about the link, in a buffer of REQUEST_SIZE; *ret points to its tcmsg. libmnl
 * before 1.0.5 does not write the padding behind attributes, so that the kernel would get what was
 * on the stack.
 */
static struct nlmsghdr *put_request(void *buffer, uint16_t type, uint16_t flags, uint32_t ifindex,
				    struct tcmsg **ret)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(memset(buffer, 0, REQUEST_SIZE));

	request->nlmsg_type = type;
	request->nlmsg_flags = NLM_F_REQUEST | flags;
	*ret = mnl_nlmsg_put_extra_header(request, sizeof(**ret));
	(*ret)->tcm_ifindex = ifindex;
	return request;
}

static int ignore_answer(void *data, const struct nlmsghdr *message)
{
	(void)data;
	(void)message;
	return 0;
}

/* The kernel compares the kind with what is there, so an ingress qdisc is not taken for a clsact.
 */
static struct nlmsghdr *put_clsact_request(void *buffer, uint16_t type, uint16_t flags,
					   uint32_t ifindex)
{
	struct nlmsghdr *request;
	struct tcmsg *info;

	request = put_request(buffer, type, NLM_F_ACK | flags, ifindex, &info);
	info->tcm_parent = TC_H_CLSACT;
	info->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	mnl_attr_put_strz(request, TCA_KIND, "clsact");
	return request;
}

/* 0, or the kernel's error if there is none. */
static int find_clsact(struct tc *tc, uint32_t ifindex)
{
	_Alignas(struct nlmsghdr) char buffer[REQUEST_SIZE];

	return netlink_ask(tc->netlink, put_clsact_request(buffer, RTM_GETQDISC, 0, ifindex),
			   ignore_answer, NULL);
}

int tc_clsact_find(struct tc *tc, uint32_t ifindex)
{
	int r = find_clsact(tc, ifindex);

	return r == -EINVAL ? -ENOENT : r;
}

int tc_clsact_delete(struct tc *tc, uint32_t ifindex)
{
	struct tc_change change = {.kind = TC_CLSACT_DELETE, .ifindex = ifindex};

	tc_change(tc, &change, 1);
	return change.result;
}

/* What a dump has told so far: kept, so that a callback may use the same socket. */
struct collection {
	void *items; /* owned */
	size_t count, capacity;
	size_t item_size;
	enum tc_hook hook; /* of filters */
};

static void cleanup_collection(struct collection *collection)
{
	free(collection->items);
}

static int collection_add(struct collection *collection, const void *item)
{
	int r = array_reserve(&collection->items, &collection->capacity, collection->item_size,
			      collection->count + 1);

	if (r < 0)
		return r;
	memcpy((char *)collection->items + collection->count++ * collection->item_size, item,
	       collection->item_size);
	return 0;
}

/* Appends what is dumped to the collection; a dump that was interrupted starts anew. */
static int collect_dump(struct tc *tc, struct nlmsghdr *request,
			int (*answer)(void *data, const struct nlmsghdr *message),
			struct collection *collection)
{
	size_t before = collection->count;
	unsigned int tries = 0;
	int r;

	do {
		collection->count = before;
		r = netlink_ask(tc->netlink, request, answer, collection);
	} while (r == -EINTR && ++tries < DUMP_TRIES);
	return r == -EINTR ? -EAGAIN : r;
}

static int collect_clsact(void *data, const struct nlmsghdr *message)
{
	struct collection *collection = data;
	uint32_t ifindex;
	int r;

	r = tc_clsact_parse(&ifindex, message);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return collection_add(collection, &ifindex);
}

int tc_clsact_each(struct tc *tc, void (*found)(void *data, uint32_t ifindex), void *data)
{
	__attribute__((cleanup(cleanup_collection))) struct collection links = {
		.item_size = sizeof(uint32_t),
	};
	_Alignas(struct nlmsghdr) char buffer[REQUEST_SIZE];
	struct nlmsghdr *request;
	struct tcmsg *info;
	size_t i;
	int r;

	request = put_request(buffer, RTM_GETQDISC, NLM_F_DUMP, 0, &info);
	r = collect_dump(tc, request, collect_clsact, &links);
	if (r < 0)
		return r;
	for (i = 0; i < links.count; i++)
		found(data, ((const uint32_t *)links.items)[i]);
	return 0;
}

static uint32_t hook_parent(enum tc_hook hook)
{
	return TC_H_MAKE(TC_H_CLSACT, hook == TC_HOOK_INGRESS ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
}

static struct nlmsghdr *put_filter_request(void *buffer, uint16_t type, uint16_t flags,
					   uint32_t ifindex, enum tc_hook hook, uint16_t priority,
					   uint32_t handle)
{
	struct nlmsghdr *request;
	struct tcmsg *info;

	request = put_request(buffer, type, NLM_F_ACK | flags, ifindex, &info);
	info->tcm_parent = hook_parent(hook);
	info->tcm_handle = handle;
	info->tcm_info = TC_H_MAKE((uint32_t)priority << 16, htons(ETH_P_ALL));
	mnl_attr_put_strz(request, TCA_KIND, "bpf");
	return request;
}

int tc_filter_delete(struct tc *tc, uint32_t ifindex, enum tc_hook hook, uint16_t priority,
		     uint32_t handle)
{
	struct tc_change change = {
		.kind = TC_FILTER_DELETE,
		.ifindex = ifindex,
		.hook = hook,
		.priority = priority,
		.handle = handle,
	};

	tc_change(tc, &change, 1);
	return change.result;
}

static struct nlmsghdr *put_filter_new(void *buffer, const struct tc_change *change, uint16_t flag)
{
	struct nlmsghdr *request;
	struct nlattr *options;

	request = put_filter_request(buffer, RTM_NEWTFILTER, NLM_F_CREATE | flag, change->ifindex,
				     change->hook, change->priority, change->handle);
	options = mnl_attr_nest_start(request, TCA_OPTIONS);
	mnl_attr_put_u32(request, TCA_BPF_FD, change->program_fd);
	mnl_attr_put_strz(request, TCA_BPF_NAME, change->name);
	mnl_attr_put_u32(request, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	mnl_attr_nest_end(request, options);
	return request;
}

static struct nlmsghdr *put_change(void *buffer, const struct tc_change *change)
{
	switch (change->kind) {
	case TC_CLSACT_ADD:
		return put_clsact_request(buffer, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL,
					  change->ifindex);
	case TC_CLSACT_DELETE:
		return put_clsact_request(buffer, RTM_DELQDISC, 0, change->ifindex);
	case TC_FILTER_ADD:
		return put_filter_new(buffer, change, NLM_F_EXCL);
	case TC_FILTER_REPLACE:
		return put_filter_new(buffer, change, NLM_F_REPLACE);
	case TC_FILTER_DELETE:
		break;
	}
	return put_filter_request(buffer, RTM_DELTFILTER, 0, change->ifindex, change->hook,
				  change->priority, change->handle);
}

/* 0, or why the kernel is not even asked. */
static int check_change(const struct tc_change *change)
{
	switch (change->kind) {
	case TC_FILTER_ADD:
	case TC_FILTER_REPLACE:
		return strlen(change->name) < NAME_SIZE ? 0 : -ENAMETOOLONG;
	case TC_FILTER_DELETE:
		/* To the kernel no handle means the whole priority, and no priority means all of
		 * them. */
		return change->priority && change->handle ? 0 : -EINVAL;
	case TC_CLSACT_ADD:
	case TC_CLSACT_DELETE:
		return 0;
	}
	return -EINVAL;
}

/* At most CHANGES_A_DATAGRAM. */
static void change_together(struct tc *tc, struct tc_change *changes, size_t n)
{
	_Alignas(struct nlmsghdr) char buffer[CHANGES_A_DATAGRAM * REQUEST_SIZE];
	struct tc_change *asked[CHANGES_A_DATAGRAM];
	int results[CHANGES_A_DATAGRAM];
	size_t count = 0, size = 0, i;
	int r = 0;

	for (i = 0; i < n; i++) {
		changes[i].result = check_change(&changes[i]);
		if (changes[i].result < 0)
			continue;
		asked[count++] = &changes[i];
		size += MNL_ALIGN(put_change(buffer + size, &changes[i])->nlmsg_len);
	}
	if (count > 0)
		r = netlink_ask_each(tc->netlink, buffer, size, results, count);
	for (i = 0; i < count; i++)
		asked[i]->result = r < 0 ? r : results[i];
}

void tc_change(struct tc *tc, struct tc_change *changes, size_t n)
{
	size_t i, together;

	for (i = 0; i < n; i += together) {
		together = n - i < CHANGES_A_DATAGRAM ? n - i : CHANGES_A_DATAGRAM;
		change_together(tc, changes + i, together);
	}
	/* A clsact and an ingress qdisc have the same handle, and so the same error. */
	for (i = 0; i < n; i++)
		if (changes[i].kind == TC_CLSACT_ADD && changes[i].result == -EEXIST &&
		    find_clsact(tc, changes[i].ifindex) == -EINVAL)
			changes[i].result = -EBUSY;
}

/* The kernel lists each priority by itself, with no handle, before the filters in it, and a hash
 * table of u32 before its nodes. */
static bool is_head(const struct tc_filter *filter)
{
	return !filter->handle || (!strcmp(filter->kind, "u32") && !TC_U32_NODE(filter->handle));
}

static bool is_head_of(const struct tc_filter *head, const struct tc_filter *filter)
{
	return is_head(head) && head->hook == filter->hook && head->chain == filter->chain &&
	       head->priority == filter->priority;
}

static int collect_filter(void *data, const struct nlmsghdr *message)
{
	struct collection *filters = data;
	struct tc_filter filter, *last;
	int r;

	r = tc_filter_parse(&filter, message);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	filter.hook = filters->hook;
	if (filters->count > 0) {
		last = (struct tc_filter *)filters->items + filters->count - 1;
		if (is_head_of(last, &filter))
			filters->count--;
	}
	return collection_add(filters, &filter);
}

static int dump_filters(struct tc *tc, uint32_t ifindex, struct collection *filters)
{
	_Alignas(struct nlmsghdr) char buffer[REQUEST_SIZE];
	struct nlmsghdr *request;
	struct tcmsg *info;

	request = put_request(buffer, RTM_GETTFILTER, NLM_F_DUMP, ifindex, &info);
	info->tcm_parent = hook_parent(filters->hook);
	return collect_dump(tc, request, collect_filter, filters);
}

int tc_filter_each(struct tc *tc, uint32_t ifindex,
		   void (*found)(void *data, const struct tc_filter *filter), void *data)
{
	__attribute__((cleanup(cleanup_collection))) struct collection filters = {
		.item_size = sizeof(struct tc_filter),
	};
	size_t i;
	int r;

	/* An ingress qdisc would list its filters for both hooks. */
	r = tc_clsact_find(tc, ifindex);
	if (r < 0)
		return r == -ENOENT || r == -ENODEV ? 0 : r;
	for (filters.hook = 0; filters.hook < TC_HOOKS; filters.hook++) {
		r = dump_filters(tc, ifindex, &filters);
		if (r < 0)
			return r;
	}
	for (i = 0; i < filters.count; i++)
		found(data, (const struct tc_filter *)filters.items + i);
	return 0;
}
