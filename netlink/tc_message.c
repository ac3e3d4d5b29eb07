// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/tc_message.h"

#include "lib/array.h"
#include "netlink/attr.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>

#define KIND_SIZE sizeof(((struct tc_filter *)NULL)->kind)

static int take_kind(const struct nlattr *attr, void *data)
{
	char *kind = data;

	if (mnl_attr_get_type(attr) != TCA_KIND)
		return 0;
	return attr_string(attr, kind, KIND_SIZE);
}

int tc_clsact_parse(uint32_t *ifindex, const struct nlmsghdr *message)
{
	const struct tcmsg *info = mnl_nlmsg_get_payload(message);
	char kind[KIND_SIZE] = "";
	int r;

	if (message->nlmsg_type != RTM_NEWQDISC)
		return -ENOENT;
	r = attr_each(message, sizeof(*info), take_kind, kind);
	if (r < 0)
		return r;
	if (strcmp(kind, "clsact") != 0)
		return -ENOENT;
	*ifindex = info->tcm_ifindex;
	return 0;
}

struct found_filter {
	struct tc_filter filter;
	const struct nlattr *options; /* into the message */
};

static int take_filter_attribute(const struct nlattr *attr, void *data)
{
	struct found_filter *found = data;

	switch (mnl_attr_get_type(attr)) {
	case TCA_KIND:
		return attr_string(attr, found->filter.kind, sizeof(found->filter.kind));
	case TCA_CHAIN:
		return attr_u32(attr, &found->filter.chain);
	case TCA_OPTIONS:
		found->options = attr;
		return 0;
	default:
		return 0;
	}
}

static int take_bpf_option(const struct nlattr *attr, void *data)
{
	struct tc_filter *filter = data;

	switch (mnl_attr_get_type(attr)) {
	case TCA_BPF_NAME: {
		/* Other programs give names of up to 255 bytes. */
		size_t length = mnl_attr_get_payload_len(attr);

		if (length >= sizeof(filter->name))
			length = sizeof(filter->name) - 1;
		memcpy(filter->name, mnl_attr_get_payload(attr), length);
		filter->name[length] = '\0';
		return 0;
	}
	case TCA_BPF_ID:
		return attr_u32(attr, &filter->program_id);
	default:
		return 0;
	}
}

/* Which of a filter's options has its actions (linux/pkt_cls.h). */
static uint16_t action_option(const char *kind)
{
	static const struct {
		const char *kind;
		uint16_t option;
	} options[] = {
		{"basic", TCA_BASIC_ACT},	{"bpf", TCA_BPF_ACT},
		{"cgroup", TCA_CGROUP_ACT},	{"flow", TCA_FLOW_ACT},
		{"flower", TCA_FLOWER_ACT},	{"fw", TCA_FW_ACT},
		{"matchall", TCA_MATCHALL_ACT}, {"route", TCA_ROUTE4_ACT},
		{"u32", TCA_U32_ACT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (strcmp(kind, options[i].kind) == 0)
			return options[i].option;
	return TCA_UNSPEC;
}

static int take_action_attribute(const struct nlattr *attr, void *data)
{
	struct tc_filter *filter = data;
	char kind[KIND_SIZE];
	int r;

	if (mnl_attr_get_type(attr) != TCA_ACT_KIND)
		return 0;
	r = attr_string(attr, kind, sizeof(kind));
	if (r == 0 && strcmp(kind, "mirred") == 0)
		filter->mirred = true;
	return r;
}

static int take_action(const struct nlattr *attr, void *data)
{
	return attr_each_nested(attr, take_action_attribute, data);
}

static int take_option(const struct nlattr *attr, void *data)
{
	struct tc_filter *filter = data;
	uint16_t type = mnl_attr_get_type(attr);

	if (type == action_option(filter->kind))
		return attr_each_nested(attr, take_action, filter);
	return strcmp(filter->kind, "bpf") == 0 ? take_bpf_option(attr, filter) : 0;
}

int tc_filter_parse(struct tc_filter *filter, const struct nlmsghdr *message)
{
	const struct tcmsg *info = mnl_nlmsg_get_payload(message);
	struct found_filter found = {0};
	int r;

	memset(filter, 0, sizeof(*filter));
	if (message->nlmsg_type != RTM_NEWTFILTER)
		return -ENOENT;
	r = attr_each(message, sizeof(*info), take_filter_attribute, &found);
	if (r < 0)
		return r;
	found.filter.handle = info->tcm_handle;
	found.filter.priority = TC_H_MAJ(info->tcm_info) >> 16;
	if (found.options && action_option(found.filter.kind))
		r = attr_each_nested(found.options, take_option, &found.filter);
	if (r == 0)
		*filter = found.filter;
	return r;
}
