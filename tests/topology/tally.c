// SPDX-License-Identifier: GPL-2.0-only
#include "tests/topology/tally.h"
#include "tests/topology/path.h"

#include "lib/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SIGNS_MAX 64 /* that an interval may have of them */

static int compare_ends(const struct tally_end *a, const struct tally_end *b)
{
	int order = memcmp(a->address, b->address, sizeof(a->address));

	return order ? order : (int)a->port - (int)b->port;
}

static struct tally_line *find_line(const struct tally *tally, const struct tally_end *a,
				    const struct tally_end *b)
{
	for (size_t i = 0; i < tally->count; i++) {
		const struct tally_line *line = &tally->lines[i];

		if (!compare_ends(&line->end[0], a) && !compare_ends(&line->end[1], b))
			return (struct tally_line *)line;
	}
	return NULL;
}

void tally_add(struct tally *tally, const struct tally_end *from, const struct tally_end *to,
	       uint64_t bytes, uint64_t packets)
{
	int sender = compare_ends(from, to) > 0;
	const struct tally_end *first = sender ? to : from, *second = sender ? from : to;
	struct tally_line *line = find_line(tally, first, second);

	if (!packets && !bytes)
		return;
	if (!line) {
		assert(tally->count < TALLY_LINES_MAX);
		line = &tally->lines[tally->count++];
		*line = (struct tally_line){.end = {*first, *second}};
	}
	line->bytes[sender] += bytes;
	line->packets[sender] += packets;
	tally->bytes += bytes;
	tally->packets += packets;
}

static void print_end(const struct tally_end *end)
{
	bool v4 = address_is_ipv4(end->address);
	char text[INET6_ADDRSTRLEN];

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? end->address + 12 : end->address, text,
		  sizeof(text));
	printf(v4 ? "%s:%u" : "[%s]:%u", text, end->port);
}

static void print_line(const struct tally_line *line)
{
	print_end(&line->end[0]);
	printf(" - ");
	print_end(&line->end[1]);
	for (int sender = 0; sender < 2; sender++)
		printf("  %s %" PRIu64 " bytes in %" PRIu64, sender ? "<" : ">",
		       line->bytes[sender], line->packets[sender]);
	printf("\n");
}

void tally_print(const struct tally *tally, const char *title)
{
	printf("# %s: %" PRIu64 " bytes, %" PRIu64 " packets\n", title, tally->bytes,
	       tally->packets);
	for (size_t i = 0; i < tally->count; i++) {
		printf("#   ");
		print_line(&tally->lines[i]);
	}
}

/* Prints the lines of a that are not in b. */
static bool compare_lines(const struct tally *a, const struct tally *b, const char *title)
{
	bool equal = true;

	for (size_t i = 0; i < a->count; i++) {
		const struct tally_line *line = &a->lines[i];
		const struct tally_line *other = find_line(b, &line->end[0], &line->end[1]);

		if (other && !memcmp(line->bytes, other->bytes, sizeof(line->bytes)) &&
		    !memcmp(line->packets, other->packets, sizeof(line->packets)))
			continue;
		printf("#   %s: ", title);
		print_line(line);
		equal = false;
	}
	return equal;
}

/* Whether so many packets of so many bytes could be messages that WireGuard sends on its own. */
static bool are_signs(uint64_t packets, uint64_t bytes, unsigned int header)
{
	/* drivers/net/wireguard/messages.h: initiation and response of a handshake, data that is
	 * empty */
	const unsigned int initiation = header + 148, response = header + 92, empty = header + 32;

	for (uint64_t i = 0; i <= packets; i++)
		for (uint64_t r = 0; i + r <= packets; r++)
			if (i * initiation + r * response + (packets - i - r) * empty == bytes)
				return true;
	return false;
}

static void expect_signs(struct tally *expected, const struct tally_line *got)
{
	const struct tally_line *line = find_line(expected, &got->end[0], &got->end[1]);
	unsigned int header = (address_is_ipv4(got->end[0].address) ? 20 : 40) + 8;

	for (int sender = 0; sender < 2; sender++) {
		uint64_t bytes = got->bytes[sender] - (line ? line->bytes[sender] : 0);
		uint64_t packets = got->packets[sender] - (line ? line->packets[sender] : 0);

		if (packets <= SIGNS_MAX && are_signs(packets, bytes, header))
			tally_add(expected, &got->end[sender], &got->end[!sender], bytes, packets);
	}
}

bool tally_compare(struct tally *expected, const struct tally *got)
{
	bool equal;

	for (size_t i = 0; i < got->count; i++)
		if (got->lines[i].end[0].port == WIREGUARD_PORT &&
		    got->lines[i].end[1].port == WIREGUARD_PORT)
			expect_signs(expected, &got->lines[i]);
	equal = compare_lines(expected, got, "expected");

	equal &= compare_lines(got, expected, "got     ");
	if (expected->bytes != got->bytes || expected->packets != got->packets) {
		printf("#   total expected: %" PRIu64 " bytes in %" PRIu64 ", got: %" PRIu64
		       " in %" PRIu64 "\n",
		       expected->bytes, expected->packets, got->bytes, got->packets);
		equal = false;
	}
	if (got->said_bytes != got->bytes || got->said_packets != got->packets) {
		printf("#   the report's lines add up to %" PRIu64 " bytes in %" PRIu64
		       ", its head says %" PRIu64 " in %" PRIu64 "\n",
		       got->bytes, got->packets, got->said_bytes, got->said_packets);
		equal = false;
	}
	if (strcmp(expected->unattributed, got->unattributed)) {
		printf("#   unattributed: %s\n", got->unattributed);
		equal = false;
	}
	return equal;
}
