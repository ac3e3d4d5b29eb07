// SPDX-License-Identifier: GPL-2.0-only
#include "control/text.h"
#include "lib/buffer.h"
#include "lib/utf8.h"

#include <jansson.h>
#include <string.h>

json_t *control_string(const char *text)
{
	struct buffer valid = {0};
	json_t *string;

	while (*text) {
		size_t length = utf8_length(text);

		if (length)
			buffer_append(&valid, text, length);
		else
			buffer_str(&valid, "\xef\xbf\xbd");
		text += length ? length : utf8_broken_length(text);
	}
	string = buffer_error(&valid) ? NULL
				      : json_stringn(valid.size ? valid.data : "", valid.size);
	buffer_free(&valid);
	return string;
}

json_t *control_at(const json_t *object, const char *path)
{
	json_t *at = (json_t *)object;

	while (at && *path) {
		size_t length = strcspn(path, ".");
		char key[32];

		if (length >= sizeof(key))
			return NULL;
		memcpy(key, path, length);
		key[length] = 0;
		at = json_object_get(at, key);
		path += length + (path[length] == '.');
	}
	return at;
}

uint64_t control_u64(const json_t *object, const char *path)
{
	json_int_t number = json_integer_value(control_at(object, path));

	return number > 0 ? (uint64_t)number : 0;
}

double control_real(const json_t *object, const char *path)
{
	return json_number_value(control_at(object, path));
}

const char *control_text(const json_t *object, const char *path)
{
	const char *text = json_string_value(control_at(object, path));

	return text ? text : "";
}

uint64_t control_whole(double number)
{
	if (!(number > 0))
		return 0;
	return number < 0x1p64 ? (uint64_t)number : UINT64_MAX;
}

void control_put_time(struct buffer *out, double seconds)
{
	static const struct {
		const char *name;
		uint64_t seconds;
	} units[] = {{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}};
	uint64_t whole = control_whole(seconds);
	size_t unit = 0;

	while (units[unit].seconds > 1 && whole < units[unit].seconds)
		unit++;
	buffer_u64(out, whole / units[unit].seconds);
	buffer_printf(out, " %s", units[unit].name);
	whole %= units[unit].seconds;
	if (units[unit].seconds > 1 && whole >= units[unit + 1].seconds)
		buffer_printf(out, " %u %s", (unsigned int)(whole / units[unit + 1].seconds),
			      units[unit + 1].name);
}
