// SPDX-License-Identifier: GPL-2.0-only
#include "control/request.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *const request_names[CONTROL_REQUESTS] = {
	[CONTROL_STATUS] = "status", [CONTROL_INTERFACES] = "interfaces", [CONTROL_FLOWS] = "flows",
	[CONTROL_REPORT] = "report", [CONTROL_RELOAD] = "reload",
};

const char *control_request_name(enum control_request_kind kind)
{
	return request_names[kind];
}

static int request_fill(struct control_request *request, const json_t *object, char *problem,
			size_t problem_size)
{
	const char *name = json_string_value(json_object_get(object, "request"));

	if (!json_is_object(object) || !name) {
		snprintf(problem, problem_size, "a request is an object with a string \"request\"");
		return -EINVAL;
	}
	for (enum control_request_kind kind = 0; kind < CONTROL_REQUESTS; kind++) {
		if (strcmp(name, request_names[kind]))
			continue;
		*request = (struct control_request){.kind = kind};
		if (kind == CONTROL_FLOWS)
			return query_parse(&request->query, object, problem, problem_size);
		if (json_object_size(object) > 1) {
			snprintf(problem, problem_size, "request %s takes nothing else", name);
			return -EINVAL;
		}
		return 0;
	}
	snprintf(problem, problem_size, "the request is not known");
	return -EINVAL;
}

int control_request_parse(struct control_request *request, const char *line, size_t size,
			  char *problem, size_t problem_size)
{
	json_error_t error;
	json_t *object = json_loadb(line, size, JSON_REJECT_DUPLICATES, &error);
	int err;

	if (!object) {
		snprintf(problem, problem_size, "a request is a line with a JSON object");
		return -EINVAL;
	}
	err = request_fill(request, object, problem, problem_size);
	json_decref(object);
	return err;
}

void control_request_clean(struct control_request *request)
{
	query_clean(&request->query);
}
