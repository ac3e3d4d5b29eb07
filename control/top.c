// SPDX-License-Identifier: GPL-2.0-only
#include "control/top.h"
#include "control/client.h"
#include "control/query.h"
#include "control/request.h"
#include "control/screen.h"
#include "control/text.h"
#include "control/view.h"
#include "lib/buffer.h"
#include "lib/clock.h"
#include "lib/log.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PLAIN_FLOWS 20
#define PERIOD_MS   1000
/* Who looked at an agent that is gone may wait so long for the next. */
#define RESTART_NS (30 * NSEC_PER_SEC)

static const char top_keys[] = "q quit  s sort  i interfaces  n service names  / filter";

struct top {
	struct control_client *client; /* owned; NULL: the agent is gone */
	struct screen *screen;	       /* owned; NULL: plain text */
	enum query_sort sort;
	bool names;
	bool interfaces;		/* instead of flows */
	char filter[QUERY_FILTER_SIZE]; /* words, divided by blanks */
	char message[256];		/* of the last mistake; "": none */
	struct buffer text;
};

/* The request for what is wanted now. NULL with words in problem. */
static json_t *top_request(const struct top *top, size_t limit, char *problem, size_t size)
{
	json_t *request = json_pack("{s:s,s:s,s:i}", "request", control_request_name(CONTROL_FLOWS),
				    "sort", query_sort_name(top->sort), "limit", (int)limit);
	char wrong[200];
	struct query query;

	if (!request || json_object_set_new(request, "filter", control_string(top->filter))) {
		snprintf(problem, size, "%s", strerror(ENOMEM));
	} else if (query_parse(&query, request, wrong, sizeof(wrong))) {
		snprintf(problem, size, "filter: %s", wrong);
	} else {
		query_clean(&query);
		return request;
	}
	json_decref(request);
	return NULL;
}

/* ^C is to end a wait for an answer; without a screen it ends us. */
static int top_connect(struct top *top, char *problem, size_t size)
{
	int err = control_client_new(&top->client, problem, size);

	if (!err)
		control_client_heed(top->client, screen_was_interrupted);
	return err;
}

static void top_disconnect(struct top *top)
{
	control_client_free(top->client);
	top->client = NULL;
}

/* The agent sends away who asks nothing for a minute, and may have been restarted: so it is asked
 * on another connection then, once. As control_client_ask(). */
static int top_ask(struct top *top, json_t *request, json_t **answer, char *problem, size_t size)
{
	int err = -ECONNRESET;

	if (top->client)
		err = control_client_ask(top->client, json_incref(request), answer, problem, size);
	if (err == -ECONNRESET) {
		top_disconnect(top);
		err = top_connect(top, problem, size);
		if (!err)
			err = control_client_ask(top->client, json_incref(request), answer, problem,
						 size);
	}
	/* who answered is of another network namespace, and has the place of the one that is gone:
	 * the next look is for ours anew */
	if (err == -ESRCH)
		top_disconnect(top);
	json_decref(request);
	return err;
}

/* Writes what the agent answers into top->text. -EINVAL: the filter is wrong. */
static int top_look(struct top *top, size_t limit, char *problem, size_t size)
{
	json_t *request = top->interfaces ? json_pack("{s:s}", "request",
						      control_request_name(CONTROL_INTERFACES))
					  : top_request(top, limit, problem, size);
	json_t *answer;
	int err;

	if (!request)
		return -EINVAL;
	err = top_ask(top, request, &answer, problem, size);
	if (err)
		return err;
	buffer_reset(&top->text);
	if (top->interfaces)
		view_interfaces(&top->text, answer);
	else
		view_flows(&top->text, answer, top->names,
			   top->screen ? screen_columns(top->screen) : 0);
	json_decref(answer);
	err = buffer_error(&top->text);
	if (err)
		snprintf(problem, size, "%s", strerror(-err));
	return err;
}

static int top_plain(struct top *top, uint32_t count)
{
	const struct timespec period = {.tv_sec = PERIOD_MS / 1000};
	char problem[256];

	for (uint32_t i = 0; i < count; i++) {
		int err = 0;

		if (i) {
			putchar('\n');
			nanosleep(&period, NULL);
		}
		err = top_look(top, PLAIN_FLOWS, problem, sizeof(problem));
		if (err) {
			log_error("%s", problem);
			return err;
		}
		if (fwrite(top->text.data, 1, top->text.size, stdout) != top->text.size ||
		    fflush(stdout)) {
			err = -errno;
			log_error("standard output: %s", strerror(-err));
			return err;
		}
	}
	return 0;
}

static void top_ask_filter(struct top *top)
{
	char filter[QUERY_FILTER_SIZE], problem[256];
	char before[QUERY_FILTER_SIZE];
	json_t *request;

	if (!screen_ask(top->screen, "filter (net: port: proto: interface: or): ", filter,
			sizeof(filter)))
		return;
	memcpy(before, top->filter, sizeof(before));
	memcpy(top->filter, filter, sizeof(filter));
	request = top_request(top, 1, problem, sizeof(problem));
	if (!request) {
		/* the old one stays */
		memcpy(top->filter, before, sizeof(before));
		snprintf(top->message, sizeof(top->message), "%s", problem);
	}
	json_decref(request);
}

/* Returns whether it goes on. */
static bool top_obey(struct top *top, int key)
{
	if (key)
		top->message[0] = 0;
	switch (key) {
	case 'q':
		return false;
	case 's':
		top->sort = (top->sort + 1) % QUERY_SORTS;
		break;
	case 'i':
		top->interfaces = !top->interfaces;
		break;
	case 'n':
		top->names = !top->names;
		break;
	case '/':
		top_ask_filter(top);
		break;
	}
	return true;
}

/* Whether the next look may find an agent again; *gone_ns: since when none was found, 0: one was.
 */
static bool top_may_wait(const struct top *top, int err, int64_t *gone_ns)
{
	int64_t now_ns = clock_boottime_ns();

	if (!*gone_ns)
		*gone_ns = now_ns;
	return (err == -ESRCH || err == -ECONNRESET) && top->text.size &&
	       now_ns - *gone_ns < RESTART_NS;
}

/* Negative errno: it cannot go on. While there is no agent the last picture stays. */
static int top_show(struct top *top, int64_t *gone_ns, char *problem, size_t size)
{
	size_t lines = screen_lines(top->screen);
	char footer[1024];
	int err = top_look(top, lines < QUERY_LIMIT ? lines : QUERY_LIMIT, problem, size);

	if (!err)
		*gone_ns = 0;
	else if (!top_may_wait(top, err, gone_ns))
		return err;
	if (err)
		snprintf(footer, sizeof(footer), "%s", problem);
	else if (top->message[0])
		snprintf(footer, sizeof(footer), "%s", top->message);
	else
		snprintf(footer, sizeof(footer), "%s%s%s", top_keys,
			 top->filter[0] && !top->interfaces ? ": " : "",
			 top->interfaces ? "" : top->filter);
	screen_show(top->screen, &top->text, footer);
	return 0;
}

static int top_live(struct top *top)
{
	char problem[256];
	int64_t gone_ns = 0;
	int err;

	do
		err = top_show(top, &gone_ns, problem, sizeof(problem));
	while (!err && top_obey(top, screen_key(top->screen, PERIOD_MS)));
	screen_free(top->screen);
	top->screen = NULL;
	/* while the agent was slow: a 'q', too */
	if (screen_was_interrupted())
		return 0;
	if (err)
		log_error("%s", problem);
	return err;
}

static int top_set_sort(struct top *top, const char *name)
{
	if (!name || query_sort_from_name(name, &top->sort))
		return 0;
	log_error("option --sort: '%s' is not " QUERY_SORT_NAMES "; see flowtally --help", name);
	return -EINVAL;
}

static int top_set_filter(struct top *top, const struct top_options *options)
{
	char problem[256];
	size_t size = 0;
	json_t *request;

	for (size_t i = 0; i < options->word_count && size < sizeof(top->filter); i++)
		size += (size_t)snprintf(top->filter + size, sizeof(top->filter) - size, "%s%s",
					 i ? " " : "", options->words[i]);
	if (size >= sizeof(top->filter)) {
		log_error("the filter is longer than %d bytes; see flowtally --help",
			  QUERY_FILTER_SIZE - 1);
		return -EINVAL;
	}
	request = top_request(top, 1, problem, sizeof(problem));
	if (!request) {
		log_error("%s; see flowtally --help", problem);
		return -EINVAL;
	}
	json_decref(request);
	return 0;
}

int control_command_top(const struct top_options *options)
{
	struct top top = {.names = options->names};
	char problem[256];
	int err = top_set_sort(&top, options->sort);

	if (!err)
		err = top_set_filter(&top, options);
	if (err)
		return CONTROL_MISUSE;
	err = top_connect(&top, problem, sizeof(problem));
	if (err) {
		log_error("%s", problem);
		return control_exit_status(err);
	}
	/* without one as plain text */
	if (!options->count)
		(void)screen_new(&top.screen);
	err = top.screen ? top_live(&top) : top_plain(&top, options->count ? options->count : 1);
	control_client_free(top.client);
	buffer_free(&top.text);
	return control_exit_status(err);
}
