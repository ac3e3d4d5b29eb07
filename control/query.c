// SPDX-License-Identifier: GPL-2.0-only
#include "control/query.h"
#include "config/term.h"
#include "lib/array.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_LIMIT 20

static const char *const sort_names[QUERY_SORTS] = {
	[QUERY_BYTES] = "bytes", [QUERY_PACKETS] = "packets",	[QUERY_RATE] = "rate",
	[QUERY_SENT] = "sent",	 [QUERY_RECEIVED] = "received",
};

const char *query_sort_name(enum query_sort sort)
{
	return sort_names[sort];
}

bool query_sort_from_name(const char *name, enum query_sort *ret)
{
	for (enum query_sort sort = 0; sort < QUERY_SORTS; sort++)
		if (!strcmp(name, sort_names[sort])) {
			*ret = sort;
			return true;
		}
	return false;
}

static bool parse_number(const json_t *value, uint32_t min, uint32_t max, uint32_t *ret)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < min || number > max)
		return false;
	*ret = (uint32_t)number;
	return true;
}

__attribute__((format(printf, 3, 4))) static int wrong(char *problem, size_t size,
						       const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(problem, size, format, args);
	va_end(args);
	return -EINVAL;
}

static int parse_limit(struct query *query, const json_t *value, char *problem, size_t size)
{
	return parse_number(value, 1, QUERY_LIMIT, &query->limit)
		       ? 0
		       : wrong(problem, size, "limit is a number from 1 to %d", QUERY_LIMIT);
}

static int parse_sort(struct query *query, const json_t *value, char *problem, size_t size)
{
	const char *name = json_string_value(value);

	if (name && query_sort_from_name(name, &query->sort))
		return 0;
	return wrong(problem, size, "sort is " QUERY_SORT_NAMES);
}

/* Bounded, as every flow is held against all of it while others wait. */
static int parse_filter(struct query *query, const json_t *value, char *problem, size_t size)
{
	if (!json_is_string(value))
		return wrong(problem, size, "filter is a string of terms");
	if (json_string_length(value) >= QUERY_FILTER_SIZE)
		return wrong(problem, size, "a filter has at most %d bytes", QUERY_FILTER_SIZE - 1);
	return term_add_all(&query->filter, json_string_value(value), problem, size);
}

static const struct {
	const char *name;
	int (*parse)(struct query *query, const json_t *value, char *problem, size_t size);
} query_members[] = {
	{"limit", parse_limit},
	{"sort", parse_sort},
	{"filter", parse_filter},
};

static int parse_member(struct query *query, const char *member, const json_t *value, char *problem,
			size_t size)
{
	if (!strcmp(member, "request"))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(query_members); i++)
		if (!strcmp(member, query_members[i].name))
			return query_members[i].parse(query, value, problem, size);
	return wrong(problem, size, "flows takes limit, sort and filter");
}

int query_parse(struct query *query, const json_t *request, char *problem, size_t size)
{
	struct query made = {.limit = DEFAULT_LIMIT};
	const char *member;
	json_t *value;

	json_object_foreach ((json_t *)request, member, value) {
		int err = parse_member(&made, member, value, problem, size);

		if (err) {
			query_clean(&made);
			return err;
		}
	}
	*query = made;
	return 0;
}

void query_clean(struct query *query)
{
	filter_clean(&query->filter);
}
