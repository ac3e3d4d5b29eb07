// SPDX-License-Identifier: GPL-2.0-only
#include "config/term.h"

#include "bpf/flow_types.h"
#include "config/match.h"
#include "lib/address.h"
#include "lib/array.h"
#include "lib/cleanup.h"
#include "lib/decimal.h"
#include "lib/filter.h"
#include "lib/protocol.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TERM_BLANKS " \t\n"

static int term_wrong(const char **problem, const char *what)
{
	*problem = what;
	return -EINVAL;
}

/* tcpdump refuses it, too: 10.1.2.3/8 may be meant as 10.0.0.0/8 or as 10.1.2.3. */
static bool term_has_bits_behind(const uint8_t address[16], unsigned int length)
{
	for (unsigned int bit = length; bit < 128; bit++)
		if (address[bit / 8] >> (7 - bit % 8) & 1)
			return true;
	return false;
}

static int term_add_net(struct filter *filter, const char *text, const char **problem)
{
	size_t size = strcspn(text, "/");
	_free_ char *host = strndup(text, size);
	uint8_t address[16], family = FLOW_IPV4, ipv4[4];
	uint32_t length = 128, bits = 32;

	if (!host)
		return -ENOMEM;
	if (inet_pton(AF_INET, host, ipv4) == 1) {
		address_from_ipv4(address, ipv4);
	} else {
		family = FLOW_IPV6;
		bits = 128;
		if (inet_pton(AF_INET6, host, address) != 1)
			return term_wrong(problem, "net: wants an IPv4 or IPv6 address, alone or "
						   "with /LENGTH");
	}
	if (text[size]) {
		if (!decimal_parse(text + size + 1, 0, bits, &length))
			return term_wrong(problem, family == FLOW_IPV4
							   ? "net: wants a length from 0 to 32"
							   : "net: wants a length from 0 to 128");
		length += 128 - bits;
	}
	if (term_has_bits_behind(address, length))
		return term_wrong(problem, "net: the address has bits set behind its length");
	return filter_add_net(filter, family, address, length);
}

static int term_add_ports(struct filter *filter, const char *text, const char **problem)
{
	size_t size = strcspn(text, "-");
	_free_ char *low = strndup(text, size);
	uint32_t first, last;

	if (!low)
		return -ENOMEM;
	if (!decimal_parse(low, 1, UINT16_MAX, &first))
		return term_wrong(problem, "port: wants N or N-M, from 1 to 65535");
	last = first;
	if (text[size] && !decimal_parse(text + size + 1, 1, UINT16_MAX, &last))
		return term_wrong(problem, "port: wants N or N-M, from 1 to 65535");
	if (last < first)
		return term_wrong(problem, "port: the range ends before it begins");
	return filter_add_ports(filter, (uint16_t)first, (uint16_t)last);
}

static int term_add_protocol(struct filter *filter, const char *text, const char **problem)
{
	uint32_t protocol;

	if (!decimal_parse(text, 0, UINT8_MAX, &protocol) && !protocol_from_name(text, &protocol))
		return term_wrong(problem, "proto: wants the name of a protocol as reports have "
					   "it, or a number from 0 to 255");
	return filter_add_protocol(filter, (uint8_t)protocol);
}

static int term_add_interface(struct filter *filter, const char *text, const char **problem)
{
	const char *bad = *text ? match_check_glob(text) : "interface: wants a glob";

	return bad ? term_wrong(problem, bad) : filter_add_interface(filter, text);
}

static const struct {
	const char *prefix;
	int (*add)(struct filter *filter, const char *text, const char **problem);
} term_types[] = {
	{"net:", term_add_net},
	{"port:", term_add_ports},
	{"proto:", term_add_protocol},
	{"interface:", term_add_interface},
};

int term_add(struct filter *filter, const char *word, const char **problem)
{
	if (!strcmp(word, "or")) {
		if (!filter->begun)
			return term_wrong(problem, "there is no term before it");
		filter->begun = false;
		filter_end_choice(filter);
		return 0;
	}
	filter->begun = true;
	for (size_t i = 0; i < ARRAY_SIZE(term_types); i++) {
		size_t size = strlen(term_types[i].prefix);

		if (!strncmp(word, term_types[i].prefix, size))
			return term_types[i].add(filter, word + size, problem);
	}
	return term_wrong(problem, "is not net:ADDRESS[/LENGTH], port:N[-M], proto:NAME, "
				   "interface:GLOB or 'or'");
}

/* Adds the word of that size. */
static int term_add_part(struct filter *filter, const char *start, size_t size, char *problem,
			 size_t problem_size)
{
	_free_ char *word = strndup(start, size);
	const char *bad;
	int err = word ? term_add(filter, word, &bad) : -ENOMEM;

	if (err)
		snprintf(problem, problem_size, "'%.100s': %s", word ? word : "",
			 err == -EINVAL ? bad : strerror(-err));
	return err;
}

int term_add_all(struct filter *filter, const char *words, char *problem, size_t size)
{
	const char *bad;

	for (words += strspn(words, TERM_BLANKS); *words; words += strspn(words, TERM_BLANKS)) {
		size_t length = strcspn(words, TERM_BLANKS);
		int err = term_add_part(filter, words, length, problem, size);

		if (err)
			return err;
		words += length;
	}
	bad = term_check_end(filter);
	if (bad)
		snprintf(problem, size, "%s", bad);
	return bad ? -EINVAL : 0;
}

const char *term_check_end(const struct filter *filter)
{
	return filter->closed && !filter->begun ? "'or' at the end" : NULL;
}
