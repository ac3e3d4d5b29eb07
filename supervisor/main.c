// SPDX-License-Identifier: GPL-2.0-only
#include "config/config.h"
#include "control/commands.h"
#include "control/top.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "supervisor/leftovers.h"
#include "supervisor/options.h"
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void main_complain(void *data, const char *message)
{
	_free_ char *text = strdup(message);

	(void)data;
	if (text)
		log_make_printable(text);
	fprintf(stderr, "%s\n", text ?: strerror(ENOMEM));
}

static int main_check_config(const struct options *options)
{
	struct config config = {0};
	int err = options_load_config(options, &config, main_complain, NULL);

	config_clean(&config);
	return err ? SUPERVISOR_MISUSE : SUPERVISOR_ENDED;
}

static int main_top(const struct options *options)
{
	const struct top_options top = {
		.count = options->count,
		.sort = options->sort,
		.names = options->names,
		.words = options->words,
		.word_count = options->word_count,
	};

	return control_command_top(&top);
}

static int main_command(const struct options *options)
{
	switch (options->command) {
	case COMMAND_RUN:
		return supervisor_run(options);
	case COMMAND_CHECK_CONFIG:
		return main_check_config(options);
	case COMMAND_CLEANUP:
		return leftovers_remove() ? SUPERVISOR_FAILED : SUPERVISOR_ENDED;
	case COMMAND_STATUS:
		return control_command_status(options->json);
	case COMMAND_INTERFACES:
		return control_command_interfaces(options->json);
	case COMMAND_TOP:
		return main_top(options);
	case COMMAND_HELP:
		options_print_help();
		break;
	case COMMAND_VERSION:
		puts("flowtally " FLOWTALLY_VERSION);
		break;
	}
	if (fflush(stdout)) {
		log_error("standard output: %s", strerror(errno));
		return SUPERVISOR_FAILED;
	}
	return SUPERVISOR_ENDED;
}

/* A closed one would be the number of the next thing that is opened, and what is meant for standard
 * error be written into that. What is open the wrong way fails like a closed one. */
static void main_occupy_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char *argv[])
{
	struct options options;
	int status = SUPERVISOR_MISUSE;

	main_occupy_standard_descriptors();
	if (!options_parse(&options, argc, argv)) {
		int level = LOG_LEVEL_NOTICE + options.verbosity;

		log_set_level(level < LOG_LEVEL_ERROR	? LOG_LEVEL_ERROR
			      : level > LOG_LEVEL_DEBUG ? LOG_LEVEL_DEBUG
							: (enum log_level)level);
		status = main_command(&options);
	}
	options_clean(&options);
	return status;
}
