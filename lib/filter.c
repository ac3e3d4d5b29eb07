// SPDX-License-Identifier: GPL-2.0-only
#include "lib/filter.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

struct filter_net {
	uint8_t family;
	uint8_t address[16];
	unsigned int length; /* of the prefix, in bits */
};

struct filter_ports {
	uint16_t first, last;
};

struct filter_choice {
	struct filter_net *nets; /* owned */
	size_t net_count;
	struct filter_ports *ports; /* owned */
	size_t port_count;
	bool protocols[256];
	bool has_protocols;
	char **interfaces; /* owned; globs */
	size_t interface_count;
};

static void choice_clean(struct filter_choice *choice)
{
	for (size_t i = 0; i < choice->interface_count; i++)
		free(choice->interfaces[i]);
	free(choice->interfaces);
	free(choice->nets);
	free(choice->ports);
}

void filter_clean(struct filter *filter)
{
	for (size_t i = 0; i < filter->count; i++)
		choice_clean(&filter->choices[i]);
	free(filter->choices);
	*filter = (struct filter){0};
}

void filter_end_choice(struct filter *filter)
{
	filter->closed = true;
}

/* The one that terms are added to; NULL: no memory for it. */
static struct filter_choice *filter_open_choice(struct filter *filter)
{
	struct filter_choice *choices;

	if (filter->count && !filter->closed)
		return &filter->choices[filter->count - 1];
	choices = reallocarray(filter->choices, filter->count + 1, sizeof(*choices));
	if (!choices)
		return NULL;
	filter->choices = choices;
	filter->closed = false;
	choices[filter->count] = (struct filter_choice){0};
	return &choices[filter->count++];
}

int filter_add_net(struct filter *filter, uint8_t family, const uint8_t address[16],
		   unsigned int length)
{
	struct filter_choice *choice = filter_open_choice(filter);
	struct filter_net *nets;

	if (!choice)
		return -ENOMEM;
	nets = reallocarray(choice->nets, choice->net_count + 1, sizeof(*nets));
	if (!nets)
		return -ENOMEM;
	choice->nets = nets;
	nets[choice->net_count] = (struct filter_net){.family = family, .length = length};
	memcpy(nets[choice->net_count].address, address, 16);
	choice->net_count++;
	return 0;
}

int filter_add_ports(struct filter *filter, uint16_t first, uint16_t last)
{
	struct filter_choice *choice = filter_open_choice(filter);
	struct filter_ports *ports;

	if (!choice)
		return -ENOMEM;
	ports = reallocarray(choice->ports, choice->port_count + 1, sizeof(*ports));
	if (!ports)
		return -ENOMEM;
	choice->ports = ports;
	ports[choice->port_count++] = (struct filter_ports){.first = first, .last = last};
	return 0;
}

int filter_add_protocol(struct filter *filter, uint8_t protocol)
{
	struct filter_choice *choice = filter_open_choice(filter);

	if (!choice)
		return -ENOMEM;
	choice->protocols[protocol] = choice->has_protocols = true;
	return 0;
}

int filter_add_interface(struct filter *filter, const char *glob)
{
	struct filter_choice *choice = filter_open_choice(filter);
	char **interfaces;

	if (!choice)
		return -ENOMEM;
	interfaces =
		reallocarray(choice->interfaces, choice->interface_count + 1, sizeof(*interfaces));
	if (!interfaces)
		return -ENOMEM;
	choice->interfaces = interfaces;
	interfaces[choice->interface_count] = strdup(glob);
	if (!interfaces[choice->interface_count])
		return -ENOMEM;
	choice->interface_count++;
	return 0;
}

static bool net_contains(const struct filter_net *net, const uint8_t address[16])
{
	unsigned int bytes = net->length / 8, bits = net->length % 8;

	if (memcmp(net->address, address, bytes))
		return false;
	return !bits || !((net->address[bytes] ^ address[bytes]) >> (8 - bits));
}

static bool choice_has_end(const struct filter_choice *choice, const struct filter_subject *subject)
{
	if (!choice->net_count)
		return true;
	for (size_t i = 0; i < choice->net_count; i++)
		for (size_t end = 0; end < subject->end_count; end++)
			if (choice->nets[i].family == subject->family &&
			    net_contains(&choice->nets[i], subject->ends[end].address))
				return true;
	return false;
}

static bool choice_has_port(const struct filter_choice *choice,
			    const struct filter_subject *subject)
{
	if (!choice->port_count)
		return true;
	for (size_t i = 0; i < choice->port_count; i++)
		for (size_t end = 0; end < subject->end_count; end++)
			if (subject->ends[end].port >= choice->ports[i].first &&
			    subject->ends[end].port <= choice->ports[i].last)
				return true;
	return false;
}

static bool choice_has_interface(const struct filter_choice *choice,
				 const struct filter_subject *subject)
{
	if (!choice->interface_count)
		return true;
	for (size_t i = 0; i < choice->interface_count; i++)
		for (size_t c = 0; c < subject->crossed_count; c++)
			if (!fnmatch(choice->interfaces[i], subject->names[subject->crossed[c]], 0))
				return true;
	return false;
}

bool filter_selects(const struct filter *filter, const struct filter_subject *subject)
{
	for (size_t i = 0; i < filter->count; i++) {
		const struct filter_choice *choice = &filter->choices[i];

		if ((!choice->has_protocols || choice->protocols[subject->protocol]) &&
		    choice_has_port(choice, subject) && choice_has_end(choice, subject) &&
		    choice_has_interface(choice, subject))
			return true;
	}
	return false;
}
