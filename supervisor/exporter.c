// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/exporter.h"
#include "config/config.h"
#include "lib/buffer.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "metrics/server.h"
#include "netlink/rtnl.h"
#include "supervisor/interface_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct exporter {
	struct loop *loop;		     /* borrowed */
	const struct interface_table *table; /* borrowed */
	const struct rtnl *rtnl;	     /* borrowed */
	const struct monitor_counts *counts; /* borrowed */
	const struct config *config;	     /* borrowed */
	struct metrics *metrics;
	struct metrics_server *server; /* NULL: it does not listen */
	char *address;		       /* of the server */
	int error;		       /* negative errno: why it does not listen though it should */
};

int exporter_new(struct exporter **ret, struct loop *loop, const struct interface_table *table,
		 const struct rtnl *rtnl, const struct monitor_counts *counts,
		 const struct config *config)
{
	struct exporter *exporter = calloc(1, sizeof(*exporter));
	int err;

	if (!exporter)
		return -ENOMEM;
	*exporter = (struct exporter){
		.loop = loop,
		.table = table,
		.rtnl = rtnl,
		.counts = counts,
		.config = config,
	};
	err = metrics_new(&exporter->metrics);
	if (err) {
		free(exporter);
		return err;
	}
	*ret = exporter;
	return 0;
}

static void exporter_close(struct exporter *exporter)
{
	metrics_server_free(exporter->server);
	exporter->server = NULL;
	free(exporter->address);
	exporter->address = NULL;
}

void exporter_free(struct exporter *exporter)
{
	if (!exporter)
		return;
	exporter_close(exporter);
	metrics_free(exporter->metrics);
	free(exporter);
}

struct exporter_maps {
	const struct interface_table *table;
	struct metrics_now *now;
};

static void exporter_look_at(void *data, const struct interface *interface)
{
	struct exporter_maps *maps = data;
	struct metrics_map *map = &maps->now->maps[maps->now->map_count];

	if (interface->state != INTERFACE_COUNTING)
		return;
	memcpy(map->name, interface->link.name, sizeof(map->name));
	map->flows = interface_table_fill(maps->table, interface);
	maps->now->map_count++;
}

static int exporter_look(const struct exporter *exporter, struct metrics_now *now)
{
	struct interface_table_counts counts = interface_table_count(exporter->table);
	struct exporter_maps maps = {.table = exporter->table, .now = now};

	*now = (struct metrics_now){
		.links = counts.links,
		.wanted = counts.wanted,
		.monitored = counts.monitored,
		.attached_tcx = exporter->counts->attached_tcx,
		.attached_clsact = exporter->counts->attached_clsact,
		.attach_failures = exporter->counts->attach_failures,
		.detached = exporter->counts->detached,
		.overruns = rtnl_overruns(exporter->rtnl),
		.early_swaps = exporter->counts->early_swaps,
		.unread = interface_table_losses(exporter->table),
		.map_entries = exporter->config->map_entries,
		.maps = calloc(counts.monitored + 1, sizeof(*now->maps)),
	};
	if (!now->maps)
		return -ENOMEM;
	interface_table_each(exporter->table, exporter_look_at, &maps);
	return 0;
}

static void exporter_tell(void *data, struct buffer *out, bool open)
{
	struct exporter *exporter = data;
	struct metrics_now now;
	int err = exporter_look(exporter, &now);

	if (err)
		out->error = err;
	else
		metrics_format(out, exporter->metrics, &now, open);
	free(now.maps);
}

void exporter_listen(struct exporter *exporter)
{
	const char *address = exporter->config->metrics_listen;
	int err;

	if (exporter->server && !strcmp(exporter->address, address))
		return;
	exporter_close(exporter);
	exporter->error = 0;
	if (!*address)
		return;
	exporter->address = strdup(address);
	err = exporter->address ? metrics_server_new(&exporter->server, exporter->loop, address,
						     exporter_tell, exporter)
				: -ENOMEM;
	if (err)
		log_error("metrics: cannot listen on %s: %s; going on without (SIGHUP tries again)",
			  address, strerror(-err));
	else
		log_notice("metrics: listening on http://%s/metrics", address);
	exporter->error = err;
}

int exporter_error(const struct exporter *exporter)
{
	return exporter->error;
}

void exporter_add_report(struct exporter *exporter, const struct report *report)
{
	if (!report) {
		metrics_add_failure(exporter->metrics);
		return;
	}
	if (metrics_add_report(exporter->metrics, report))
		log_error("metrics: some interfaces of a report are missing: %s", strerror(ENOMEM));
}

int64_t exporter_end_stage(struct exporter *exporter, enum metrics_stage stage, int64_t begin_ns)
{
	int64_t now_ns = clock_boottime_ns();

	metrics_add_duration(exporter->metrics, stage, now_ns - begin_ns);
	return now_ns;
}
