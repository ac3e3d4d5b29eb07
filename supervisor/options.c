// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/options.h"
#include "lib/array.h"
#include "lib/decimal.h"
#include "lib/log.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char options_help[] =
	"Usage: flowtally [run] [OPTIONS]         watch and report until it is ended\n"
	"       flowtally check-config [-c FILE]  validate the configuration\n"
	"       flowtally cleanup                 remove what a dead agent left behind\n"
	"       flowtally status [--json]         the agent's health, totals, losses\n"
	"       flowtally interfaces [--json]     what it watches, and why not the rest\n"
	"       flowtally top [-n N] [-s KEY] [--names] [TERMS]   the largest flows, live\n"
	"       flowtally --help | --version\n"
	"\n"
	"  -c, --config FILE       configuration file (/etc/flowtally/flowtally.conf)\n"
	"  -t, --interval SECONDS  report period, 1 to 86400 (60)\n"
	"  -n, --count N           stop after N reports (0: never)\n"
	"  -f, --format FORMAT     text, table or json (text)\n"
	"  -o, --output PATH       file to append reports to, - is standard output (-)\n"
	"  -i, --include PATTERN   interface to monitor, may repeat (*)\n"
	"  -x, --exclude PATTERN   interface to leave alone, may repeat; both replace\n"
	"                          the file's; a glob on the name, kind:GLOB, or index:N\n"
	"  --only, --ignore TERMS  conversations to report (all), not to report (none),\n"
	"                          may repeat; terms, also of top: net:ADDRESS[/LENGTH]\n"
	"                          port:N[-M] proto:NAME interface:GLOB or\n"
	"  -a, --attach MODE       auto, tcx or clsact (auto)\n"
	"  -v, -q                  more, fewer log lines; may repeat\n"
	"Signals: SIGHUP reads the configuration again, SIGUSR1 reports now.\n"
	"Manual: flowtally(8), flowtally.conf(5).\n";

/* Options without a letter on the command line: options_short does not name these. */
#define OPTION_ONLY   'O'
#define OPTION_IGNORE 'I'

static const struct {
	const char *name;
	enum command command;
	const char *options; /* letters of those that it takes */
	bool words;	     /* takes some behind the options */
} options_commands[] = {
	{"run", COMMAND_RUN, "ctnfoixOIavqhV", false},
	{"check-config", COMMAND_CHECK_CONFIG, "cvqhV", false},
	{"cleanup", COMMAND_CLEANUP, "vqhV", false},
	{"status", COMMAND_STATUS, "jvqhV", false},
	{"interfaces", COMMAND_INTERFACES, "jvqhV", false},
	{"top", COMMAND_TOP, "nsNvqhV", true},
};

/* getopt_long(3): + stops at the first argument, : tells a missing value from an unknown option */
static const char options_short[] = "+:c:t:n:f:o:i:x:a:jNs:vqhV";

static const struct option options_long[] = {
	{"config", required_argument, NULL, 'c'},
	{"interval", required_argument, NULL, 't'},
	{"count", required_argument, NULL, 'n'},
	{"format", required_argument, NULL, 'f'},
	{"output", required_argument, NULL, 'o'},
	{"include", required_argument, NULL, 'i'},
	{"exclude", required_argument, NULL, 'x'},
	{"only", required_argument, NULL, OPTION_ONLY},
	{"ignore", required_argument, NULL, OPTION_IGNORE},
	{"attach", required_argument, NULL, 'a'},
	{"names", no_argument, NULL, 'N'},
	{"sort", required_argument, NULL, 's'},
	{"json", no_argument, NULL, 'j'},
	{"verbose", no_argument, NULL, 'v'},
	{"quiet", no_argument, NULL, 'q'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

/* Options that are settings of the file. */
static const struct option_key {
	int letter;
	const char *section, *key;
	const char
		*joint; /* it may repeat, with that between its values; NULL: the last one holds */
} options_settings[] = {
	{'t', "report", "interval", NULL},
	{'f', "report", "format", NULL},
	{'o', "report", "output", NULL},
	{'i', "interfaces", "include", " "},
	{'x', "interfaces", "exclude", " "},
	{OPTION_ONLY, "flows", "only", " or "},
	{OPTION_IGNORE, "flows", "ignore", " or "},
	{'a', "attach", "mode", NULL},
};

void options_print_help(void)
{
	fputs(options_help, stdout);
}

void options_clean(struct options *options)
{
	for (size_t i = 0; i < options->setting_count; i++)
		free(options->settings[i].value);
	*options = (struct options){0};
}

static int __attribute__((format(printf, 1, 2))) options_misuse(const char *format, ...)
{
	char mistake[512]; /* the words of the command line have any length */
	va_list args;

	va_start(args, format);
	vsnprintf(mistake, sizeof(mistake), format, args);
	va_end(args);
	log_error("%s; see flowtally --help", mistake);
	return -EINVAL;
}

static const char *options_long_name(int letter)
{
	for (size_t i = 0; options_long[i].name; i++)
		if (options_long[i].val == letter)
			return options_long[i].name;
	return "?";
}

/* A setting is tried on a scratch configuration, so that a mistake is told before anything else is
 * done. */
static int options_check_setting(const struct option_key *key, const char *value)
{
	struct config scratch = {0};
	const char *problem = NULL;
	int err = config_init(&scratch);

	if (!err)
		err = config_set(&scratch, key->section, key->key, value, &problem);
	config_clean(&scratch);
	if (err == -EINVAL)
		return options_misuse("option --%s: %s", options_long_name(key->letter), problem);
	return err;
}

static bool options_is_blank(const char *value)
{
	return !value[strspn(value, " \t")];
}

static int options_add_setting(struct options *options, const struct option_key *key,
			       const char *value)
{
	struct option_setting *setting = NULL;
	char *joined;
	int err = options_check_setting(key, value);

	if (err)
		return err;
	for (size_t i = 0; i < options->setting_count; i++)
		if (options->settings[i].section == key->section &&
		    options->settings[i].key == key->key)
			setting = &options->settings[i];
	if (setting && key->joint) {
		bool both = !options_is_blank(setting->value) && !options_is_blank(value);

		if (asprintf(&joined, "%s%s%s", setting->value, both ? key->joint : " ", value) < 0)
			return -ENOMEM;
	} else {
		joined = strdup(value);
		if (!joined)
			return -ENOMEM;
	}
	if (!setting) {
		setting = &options->settings[options->setting_count++];
		*setting = (struct option_setting){.section = key->section, .key = key->key};
	}
	free(setting->value);
	setting->value = joined;
	return 0;
}

static int options_parse_count(struct options *options, const char *text)
{
	if (!decimal_parse(text, 0, UINT32_MAX, &options->count))
		return options_misuse("option --count: '%.64s' is not a number from 0 to %u", text,
				      UINT32_MAX);
	return 0;
}

static int options_take(struct options *options, int letter)
{
	switch (letter) {
	case 'c':
		if (!*optarg)
			return options_misuse("option --config: '' is no path");
		options->config_file = optarg;
		return 0;
	case 'n':
		return options_parse_count(options, optarg);
	case 'N':
		options->names = true;
		return 0;
	case 's':
		options->sort = optarg;
		return 0;
	case 'j':
		options->json = true;
		return 0;
	case 'v':
		options->verbosity++;
		return 0;
	case 'q':
		options->verbosity--;
		return 0;
	case 'h':
		options->command = COMMAND_HELP;
		return 0;
	case 'V':
		options->command = COMMAND_VERSION;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(options_settings); i++)
		if (options_settings[i].letter == letter)
			return options_add_setting(options, &options_settings[i], optarg);
	return -EINVAL;
}

/* What getopt_long(3) objects to: the word before optind for long options, the letter for short
 * ones. before: optind before it; within a word of letters it stays, and what is before is another
 * option or its value. */
static int options_unknown(int result, char *argv[], int before)
{
	const char *what = result == ':' ? "wants a value" : "is not known";
	bool is_long = optind > before && !strncmp(argv[optind - 1], "--", 2);

	if (optopt && (optopt < 0x100) && !is_long)
		return options_misuse("option -%c %s", optopt, what);
	if (result == '?' && optopt)
		return options_misuse("option %s takes no value", argv[optind - 1]);
	return options_misuse("option %s %s", argv[optind - 1], what);
}

/* Its place among the commands, or their number. */
static size_t options_find_command(const char *name)
{
	size_t command = 0;

	while (command < ARRAY_SIZE(options_commands) &&
	       strcmp(name, options_commands[command].name))
		command++;
	return command;
}

int options_parse(struct options *options, int argc, char *argv[])
{
	bool named = argc > 1 && argv[1][0] != '-';
	size_t command = 0;
	int letter, before, err;

	*options = (struct options){0};
	if (named) {
		command = options_find_command(argv[1]);
		if (command == ARRAY_SIZE(options_commands))
			return options_misuse("'%s' is not a command", argv[1]);
		argc--;
		argv++;
	}
	options->command = options_commands[command].command;
	while (before = optind,
	       (letter = getopt_long(argc, argv, options_short, options_long, NULL)) != -1) {
		if (letter == '?' || letter == ':')
			return options_unknown(letter, argv, before);
		if (!strchr(options_commands[command].options, letter))
			return options_misuse("'%s' does not take option --%s",
					      options_commands[command].name,
					      options_long_name(letter));
		err = options_take(options, letter);
		if (err || options->command == COMMAND_HELP || options->command == COMMAND_VERSION)
			return err;
	}
	options->words = argv + optind;
	options->word_count = (size_t)(argc - optind);
	if (!options->word_count || options_commands[command].words)
		return 0;
	if (!named && options_find_command(argv[optind]) < ARRAY_SIZE(options_commands))
		return options_misuse("command '%s' comes before the options", argv[optind]);
	return options_misuse("argument '%s' is not expected", argv[optind]);
}

const char *options_config_file(const struct options *options)
{
	if (options->config_file)
		return options->config_file;
	return access(CONFIG_DEFAULT_FILE, F_OK) && errno == ENOENT ? NULL : CONFIG_DEFAULT_FILE;
}

static int options_load_file(const struct options *options, struct config *config,
			     config_complain complain, void *data)
{
	const char *file = options_config_file(options);

	return file ? config_load(config, file, complain, data) : 0;
}

int options_load_config(const struct options *options, struct config *config,
			config_complain complain, void *data)
{
	struct config made = {0};
	int err = config_init(&made);

	if (!err)
		err = options_load_file(options, &made, complain, data);
	for (size_t i = 0; !err && i < options->setting_count; i++) {
		const struct option_setting *setting = &options->settings[i];
		const char *problem;

		/* was tried when the options were parsed: only memory can fail */
		err = config_set(&made, setting->section, setting->key, setting->value, &problem);
	}
	if (err) {
		config_clean(&made);
		return err;
	}
	config_clean(config);
	*config = made;
	return 0;
}
