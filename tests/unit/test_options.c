// SPDX-License-Identifier: GPL-2.0-only
#include "lib/array.h"
#include "supervisor/options.h"

#include <errno.h>
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/capture.h"

#define MAX_WORDS 32

/* Parses a command line, words divided by blanks; what was printed on standard error goes to said.
 */
static int parse(struct options *options, const char *line, char *said, size_t size)
{
	static char copy[512];
	char *argv[MAX_WORDS + 1] = {0};
	struct capture capture;
	int argc = 0, err;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word && argc < MAX_WORDS; word = strtok(NULL, " "))
		argv[argc++] = word;
	optind = 0; /* getopt(3): begin anew */
	capture = capture_begin();
	err = options_parse(options, argc, argv);
	capture_end(&capture, said, size);
	return err;
}

static void assert_refused(const char *line, const char *message)
{
	struct options options;
	char said[512], expected[512];

	snprintf(expected, sizeof(expected), "flowtally: %s; see flowtally --help\n", message);
	assert_int_equal(parse(&options, line, said, sizeof(said)), -EINVAL);
	assert_string_equal(said, expected);
	options_clean(&options);
}

static void ignore(void *data, const char *message)
{
	(void)data;
	(void)message;
}

static void test_defaults(void **state)
{
	struct options options;
	char said[512];

	(void)state;
	assert_int_equal(parse(&options, "flowtally", said, sizeof(said)), 0);
	assert_int_equal(options.command, COMMAND_RUN);
	assert_null(options.config_file);
	assert_int_equal(options.count, 0);
	assert_int_equal(options.verbosity, 0);
	assert_int_equal(options.setting_count, 0);
	assert_string_equal(said, "");
	options_clean(&options);
}

static void test_commands(void **state)
{
	static const struct {
		const char *line;
		enum command command;
	} cases[] = {
		{"flowtally run", COMMAND_RUN},
		{"flowtally check-config", COMMAND_CHECK_CONFIG},
		{"flowtally cleanup", COMMAND_CLEANUP},
		{"flowtally status --json", COMMAND_STATUS},
		{"flowtally interfaces", COMMAND_INTERFACES},
		{"flowtally top -n 2 -s rate --names port:443 proto:tcp", COMMAND_TOP},
		{"flowtally interfaces -v", COMMAND_INTERFACES},
		{"flowtally top -q", COMMAND_TOP},
		{"flowtally --help", COMMAND_HELP},
		{"flowtally run -h", COMMAND_HELP},
		{"flowtally --version", COMMAND_VERSION},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct options options;
		char said[512];

		assert_int_equal(parse(&options, cases[i].line, said, sizeof(said)), 0);
		assert_int_equal(options.command, cases[i].command);
		options_clean(&options);
	}
}

static void test_options_are_settings(void **state)
{
	struct options options;
	struct config config = {0};
	char said[512];

	(void)state;
	assert_int_equal(parse(&options,
			       "flowtally run -t 5 --format json -o /tmp/x -i eth* -i kind:bridge "
			       "--exclude veth* --attach=clsact -n 3 -vvq -c /dev/null",
			       said, sizeof(said)),
			 0);
	assert_string_equal(options.config_file, "/dev/null");
	assert_int_equal(options.count, 3);
	assert_int_equal(options.verbosity, 1);
	assert_int_equal(options_load_config(&options, &config, ignore, NULL), 0);
	assert_int_equal(config.interval_s, 5);
	assert_int_equal(config.format, CONFIG_JSON);
	assert_string_equal(config.output, "/tmp/x");
	assert_int_equal(config.include.count, 2);
	assert_string_equal(config.include.patterns[0], "eth*");
	assert_string_equal(config.include.patterns[1], "kind:bridge");
	assert_int_equal(config.exclude.count, 1);
	assert_int_equal(config.attach, CONFIG_ATTACH_CLSACT);
	config_clean(&config);
	options_clean(&options);
}

/* Each --only and --ignore is a choice of its own; an empty one takes the file's away. */
static void test_filters_are_choices(void **state)
{
	static const struct {
		const char *line;
		size_t only, ignore; /* choices */
	} cases[] = {
		{"flowtally -c /dev/null", 0, 0},
		{"flowtally -c /dev/null --only port:1 --only=port:2", 2, 0},
		{"flowtally -c /dev/null --ignore net:10.0.0.0/8", 0, 1},
		{"flowtally -c /dev/null --only= --only port:1 --ignore=", 1, 0},
		{"flowtally -c /dev/null --only port:1 --only= --only=", 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct options options;
		struct config config = {0};
		char said[512];

		assert_int_equal(parse(&options, cases[i].line, said, sizeof(said)), 0);
		assert_int_equal(options_load_config(&options, &config, ignore, NULL), 0);
		assert_int_equal(config.only.count, cases[i].only);
		assert_int_equal(config.ignore.count, cases[i].ignore);
		config_clean(&config);
		options_clean(&options);
	}
}

/* Options override the file, and do so again when it is read again. */
static void test_options_override_the_file(void **state)
{
	char path[] = "/tmp/flowtally-XXXXXX", line[128], said[512];
	int fd = mkstemp(path);
	struct options options;
	struct config config = {0};

	(void)state;
	assert_return_code(fd, errno);
	assert_true(dprintf(fd, "[report]\ninterval = 7\ntop = 9\n[interfaces]\ninclude = a b\n") >
		    0);
	close(fd);
	snprintf(line, sizeof(line), "flowtally -t 5 -c %s", path);
	assert_int_equal(parse(&options, line, said, sizeof(said)), 0);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(options_load_config(&options, &config, ignore, NULL), 0);
		assert_int_equal(config.interval_s, 5);
		assert_int_equal(config.top, 9);
		assert_int_equal(config.include.count, 2);
	}
	unlink(path);
	assert_int_not_equal(options_load_config(&options, &config, ignore, NULL), 0);
	assert_int_equal(config.top, 9);
	config_clean(&config);
	options_clean(&options);
}

static void test_misuse(void **state)
{
	(void)state;
	assert_refused("flowtally nonsense", "'nonsense' is not a command");
	assert_refused("flowtally run nonsense", "argument 'nonsense' is not expected");
	assert_refused("flowtally -t 1 nonsense", "argument 'nonsense' is not expected");
	assert_refused("flowtally run run", "argument 'run' is not expected");
	assert_refused("flowtally -v status", "command 'status' comes before the options");
	assert_refused("flowtally --config=", "option --config: '' is no path");
	assert_refused("flowtally wa\ntch\x1b[2J", "'wa?tch?[2J' is not a command");
	assert_refused("flowtally --colour", "option --colour is not known");
	assert_refused("flowtally -z", "option -z is not known");
	assert_refused("flowtally -vz", "option -z is not known");
	assert_refused("flowtally --quiet -zv", "option -z is not known");
	assert_refused("flowtally --interval=5 -vzv", "option -z is not known");
	assert_refused("flowtally -c --zzz -zv", "option -z is not known");
	assert_refused("flowtally -t", "option -t wants a value");
	assert_refused("flowtally --interval", "option --interval wants a value");
	assert_refused("flowtally --only", "option --only wants a value");
	assert_refused("flowtally -O port:1", "option -O is not known");
	assert_refused("flowtally --only=port:1 --ignore=port:x",
		       "option --ignore: 'port:x': port: wants N or N-M, from 1 to 65535");
	assert_refused("flowtally --ignore=or",
		       "option --ignore: 'or': there is no term before it");
	assert_refused("flowtally --quiet=3", "option --quiet=3 takes no value");
	assert_refused("flowtally --in 3", "option --in is not known");
	assert_refused("flowtally -n x",
		       "option --count: 'x' is not a number from 0 to 4294967295");
	assert_refused("flowtally -n -1",
		       "option --count: '-1' is not a number from 0 to 4294967295");
	assert_refused(
		"flowtally -n 99999999999999999999",
		"option --count: '99999999999999999999' is not a number from 0 to 4294967295");
	assert_refused("flowtally -t 0", "option --interval: '0' is not a number from 1 to 86400");
	assert_refused("flowtally check-config -t 5",
		       "'check-config' does not take option --interval");
	assert_refused("flowtally cleanup --count 5", "'cleanup' does not take option --count");
}

/* However long the word, the line tells where to read on. */
static void test_misuse_by_a_long_word(void **state)
{
	struct options options;
	char line[512], said[2048];
	const char *end = "; see flowtally --help\n";

	(void)state;
	snprintf(line, sizeof(line), "flowtally --interval=%0480d", 0);
	assert_int_equal(parse(&options, line, said, sizeof(said)), -EINVAL);
	assert_string_equal(said + strlen(said) - strlen(end), end);
	options_clean(&options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_options_are_settings),
		cmocka_unit_test(test_filters_are_choices),
		cmocka_unit_test(test_options_override_the_file),
		cmocka_unit_test(test_misuse),
		cmocka_unit_test(test_misuse_by_a_long_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
