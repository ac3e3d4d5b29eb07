/* SPDX-License-Identifier: GPL-2.0-only */
/* The configuration: defaults, the INI file (flowtally.conf(5)), and the options of the command
 * line over it. */
#ifndef FLOWTALLY_CONFIG_H
#define FLOWTALLY_CONFIG_H

#include "config/match.h"
#include "lib/filter.h"

#include <stdint.h>

#define CONFIG_DEFAULT_FILE "/etc/flowtally/flowtally.conf"

enum config_format { CONFIG_TEXT, CONFIG_TABLE, CONFIG_JSON };
enum config_attach { CONFIG_ATTACH_AUTO, CONFIG_ATTACH_TCX, CONFIG_ATTACH_CLSACT };
enum config_nat { CONFIG_NAT_OFF, CONFIG_NAT_AUTO };
/* What becomes of a tunnel's outer packets when its inner ones are counted. */
enum config_tunnels { CONFIG_TUNNELS_MARK, CONFIG_TUNNELS_COUNT };

struct config {
	struct match_list include;
	struct match_list exclude;
	uint32_t interval_s; /* 1 to 86400 */
	enum config_format format;
	char *output;	      /* owned; "-" is standard output */
	uint32_t top;	      /* flows a report names; 0: all */
	uint32_t map_entries; /* per interface */
	uint32_t max_flows;   /* that a report names and user space holds; 1000 to 100000000 */
	enum config_nat nat;
	enum config_tunnels tunnels;
	struct filter only;   /* conversations to report; empty: all */
	struct filter ignore; /* of those, the ones not to report */
	enum config_attach attach;
	char *metrics_listen; /* owned; as listen_parse() takes it; "": nowhere */
};

/* Called for each mistake: message is complete ("FILE:LINE: unknown key 'colour' in [report]"). */
typedef void (*config_complain)(void *data, const char *message);

/* Sets *config to the built-in defaults. 0 or -ENOMEM. */
int config_init(struct config *config);
void config_clean(struct config *config);

/*
 * Reads the file over the defaults into *config, which is left alone unless everything in the file
 * is right. Every mistake is told through complain as "FILE:LINE: message". 0; -EINVAL: mistakes
 * were told; another negative errno: the file could not be read (told through complain as well, as
 * "FILE: message").
 */
int config_load(struct config *config, const char *path, config_complain complain, void *data);

/*
 * One setting by its section and key, as the file would have it. The options of the command line
 * come through here, so that both have the same rules. Lists: the value is split at blanks and
 * replaces the list. 0, or -EINVAL with *problem pointing to what is wrong ("'0' is not a number
 * from 1 to 86400"), valid until the next call; -ENOMEM.
 */
int config_set(struct config *config, const char *section, const char *key, const char *value,
	       const char **problem);

const char *config_format_to_str(enum config_format format);
const char *config_attach_to_str(enum config_attach attach);

#endif
