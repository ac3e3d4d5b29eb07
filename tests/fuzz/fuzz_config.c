// SPDX-License-Identifier: GPL-2.0-only
/* A configuration file, and its patterns and filters at work. */
#include "bpf/flow_types.h"
#include "config/config.h"
#include "lib/array.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static int file_fd;
static char path[32]; /* as config_load() is given one */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	file_fd = memfd_create("config", MFD_CLOEXEC);
	fuzz_require(file_fd >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file_fd);
	return 0;
}

static void complain(void *data, const char *message)
{
	size_t *complaints = data;

	fuzz_require(!strncmp(message, path, strlen(path)) && message[strlen(path)] == ':');
	for (const char *p = message; *p; p++)
		fuzz_require((unsigned char)*p >= ' ' || *p == '\t');
	(*complaints)++;
}

static void require_list(const struct match_list *list, const struct match_subject *subject)
{
	for (size_t i = 0; i < list->count; i++)
		fuzz_require(!match_check(list->patterns[i]));
	(void)match_list_find(list, subject);
}

static void use(const struct config *config)
{
	static const char *const names[] = {"docker0", "br-0123456789ab"};
	static const char altnames[][32] = {"enp0s31f6", "an alternative"};
	static const uint8_t addresses[2][16] = {{0xfd, [15] = 1},
						 {[10] = 0xff, [11] = 0xff, 10, 1, 0, 2}};
	static const uint32_t crossed[] = {1, 0};
	const struct match_subject link = {.ifindex = 7,
					   .name = names[0],
					   .kind = "bridge",
					   .altnames = altnames[0],
					   .altname_size = sizeof(altnames[0]),
					   .altname_count = ARRAY_SIZE(altnames)};
	struct filter_subject flow = {.family = FLOW_IPV4,
				      .protocol = 17,
				      .ends = {{addresses[0], 53}, {addresses[1], 40000}},
				      .end_count = 2,
				      .crossed = crossed,
				      .crossed_count = ARRAY_SIZE(crossed),
				      .names = names};

	require_list(&config->include, &link);
	require_list(&config->exclude, &link);
	for (flow.family = FLOW_IPV4; flow.family <= FLOW_IPV6; flow.family++) {
		fuzz_require(config->only.count || !filter_selects(&config->only, &flow));
		(void)filter_selects(&config->ignore, &flow);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config config = {0};
	size_t complaints = 0;
	int r;

	fuzz_require(!ftruncate(file_fd, 0));
	fuzz_require(pwrite(file_fd, data, size, 0) == (ssize_t)size);
	r = config_load(&config, path, complain, &complaints);
	fuzz_require(r == 0 || r == -EINVAL);
	fuzz_require((r == 0) == (complaints == 0));
	if (r == 0) {
		fuzz_require(config.include.count && *config.output);
		fuzz_require(config.interval_s >= 1 && config.interval_s <= 86400);
		fuzz_require(config.map_entries >= 1);
		use(&config);
	}
	config_clean(&config);
	return 0;
}
