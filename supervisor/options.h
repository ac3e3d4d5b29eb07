/* SPDX-License-Identifier: GPL-2.0-only */
/* The command line, and the configuration that it and the file make together. */
#ifndef FLOWTALLY_OPTIONS_H
#define FLOWTALLY_OPTIONS_H

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum command {
	COMMAND_RUN,
	COMMAND_CHECK_CONFIG,
	COMMAND_CLEANUP,
	COMMAND_STATUS,
	COMMAND_INTERFACES,
	COMMAND_TOP,
	COMMAND_HELP,
	COMMAND_VERSION,
};

/* A setting that an option makes, over the file's. */
struct option_setting {
	const char *section, *key; /* static */
	char *value;		   /* owned */
};

struct options {
	enum command command;
	const char *config_file; /* borrowed from argv; NULL: the default one, if it exists */
	uint32_t count;		 /* reports, or pictures of top; 0: no end */
	int verbosity;		 /* -v less -q */
	bool json;
	bool names;	    /* of services */
	const char *sort;   /* borrowed from argv; NULL: as usual */
	char *const *words; /* borrowed from argv: what stands behind the options */
	size_t word_count;
	struct option_setting settings[16];
	size_t setting_count;
};

/* Parses argv. 0; -EINVAL: one line that names the mistake was printed; -ENOMEM. */
int options_parse(struct options *options, int argc, char *argv[]);
void options_clean(struct options *options);
void options_print_help(void);

/* The file that the configuration is read from; NULL: none, as no default one exists. */
const char *options_config_file(const struct options *options);

/*
 * Makes the configuration: defaults, the file over them, the options over that. *config is left
 * alone on failure, which is told through complain: -EINVAL for mistakes, another negative errno if
 * the file cannot be read.
 */
int options_load_config(const struct options *options, struct config *config,
			config_complain complain, void *data);

#endif
