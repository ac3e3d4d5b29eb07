// SPDX-License-Identifier: GPL-2.0-only
#include "control/answer.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

const char control_nobody[] = "no flowtally runs in this network namespace";

static int answer_check(const json_t *answer, const char *path, uint64_t here, char *problem,
			size_t size)
{
	const json_t *netns = json_object_get(answer, "netns");
	const char *error = json_string_value(json_object_get(answer, "error"));

	if (!json_is_integer(netns)) {
		snprintf(problem, size,
			 "%s: what answers there is no flowtally, or one of another version", path);
		return -EPROTO;
	}
	if ((uint64_t)json_integer_value(netns) != here) {
		snprintf(problem, size, "%s", control_nobody);
		return -ESRCH;
	}
	if (error) {
		snprintf(problem, size, "the agent refused: %s", error);
		return -EPROTO;
	}
	return 0;
}

int control_answer_parse(json_t **answer, const char *line, size_t size, const char *path,
			 uint64_t netns, char *problem, size_t problem_size)
{
	json_t *object = json_loadb(line, size, 0, NULL);
	int err = answer_check(object, path, netns, problem, problem_size);

	if (err) {
		json_decref(object);
		return err;
	}
	*answer = object;
	return 0;
}
