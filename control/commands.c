// SPDX-License-Identifier: GPL-2.0-only
#include "control/commands.h"
#include "control/answer.h"
#include "control/client.h"
#include "control/request.h"
#include "control/view.h"
#include "lib/buffer.h"
#include "lib/log.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Asks one thing. */
static int command_ask(enum control_request_kind kind, json_t **answer)
{
	struct control_client *client;
	char problem[256];
	int err = control_client_new(&client, problem, sizeof(problem));

	if (!err) {
		err = control_client_ask(client,
					 json_pack("{s:s}", "request", control_request_name(kind)),
					 answer, problem, sizeof(problem));
		control_client_free(client);
	}
	if (err)
		log_error("%s", problem);
	return err;
}

static int command_print(const struct buffer *text)
{
	int err = buffer_error(text);

	if (!err && (fwrite(text->data, 1, text->size, stdout) != text->size || fflush(stdout)))
		err = errno ? -errno : -EIO;
	if (err)
		log_error("standard output: %s", strerror(-err));
	return err;
}

static int command_put_json(const char *data, size_t size, void *out)
{
	/* the only control that jansson leaves as it is */
	for (const char *del; (del = memchr(data, '\x7f', size)); data = del + 1) {
		buffer_append(out, data, (size_t)(del - data));
		buffer_str(out, "\\u007f");
		size -= (size_t)(del + 1 - data);
	}
	buffer_append(out, data, size);
	return 0;
}

static int command_show(const json_t *answer, bool json,
			void (*view)(struct buffer *out, const json_t *answer))
{
	struct buffer text = {0};
	int err;

	if (json) {
		/* no name in it can then steer a terminal */
		if (json_dump_callback(answer, command_put_json, &text,
				       CONTROL_ANSWER_FORMAT | JSON_ENSURE_ASCII))
			text.error = -ENOMEM;
		buffer_char(&text, '\n');
	} else {
		view(&text, answer);
	}
	err = command_print(&text);
	buffer_free(&text);
	return err;
}

static int command_show_answer(enum control_request_kind kind, bool json,
			       void (*view)(struct buffer *out, const json_t *answer),
			       bool (*is_well)(const json_t *answer))
{
	json_t *answer;
	int err = command_ask(kind, &answer);
	bool well;

	if (err)
		return control_exit_status(err);
	err = command_show(answer, json, view);
	well = is_well(answer);
	json_decref(answer);
	if (err)
		return CONTROL_FAILED;
	return well ? CONTROL_OK : CONTROL_DEGRADED;
}

int control_command_status(bool json)
{
	return command_show_answer(CONTROL_STATUS, json, view_status, view_is_healthy);
}

int control_command_interfaces(bool json)
{
	return command_show_answer(CONTROL_INTERFACES, json, view_interfaces, view_all_attached);
}
