// SPDX-License-Identifier: GPL-2.0-only
#include "config/config.h"

#include "config/listen.h"
#include "config/term.h"
#include "lib/array.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/decimal.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_BLANKS	" \t"
#define CONFIG_FILE_MAX (1024 * 1024) /* /dev/zero is no configuration */
#define CONFIG_WAIT_MS	2000

static const char *const config_format_names[] = {
	[CONFIG_TEXT] = "text",
	[CONFIG_TABLE] = "table",
	[CONFIG_JSON] = "json",
};

static const char *const config_attach_names[] = {
	[CONFIG_ATTACH_AUTO] = "auto",
	[CONFIG_ATTACH_TCX] = "tcx",
	[CONFIG_ATTACH_CLSACT] = "clsact",
};

static const char *const config_nat_names[] = {
	[CONFIG_NAT_OFF] = "off",
	[CONFIG_NAT_AUTO] = "auto",
};

static const char *const config_tunnels_names[] = {
	[CONFIG_TUNNELS_MARK] = "mark",
	[CONFIG_TUNNELS_COUNT] = "count",
};

const char *config_format_to_str(enum config_format format)
{
	return config_format_names[format];
}

const char *config_attach_to_str(enum config_attach attach)
{
	return config_attach_names[attach];
}

int config_init(struct config *config)
{
	struct config fresh = {
		.interval_s = 60,
		.format = CONFIG_TEXT,
		.top = 0,
		.map_entries = 65536,
		.max_flows = 4000000,
		.nat = CONFIG_NAT_AUTO,
		.tunnels = CONFIG_TUNNELS_MARK,
		.attach = CONFIG_ATTACH_AUTO,
	};

	fresh.output = strdup("-");
	fresh.metrics_listen = strdup("");
	if (!fresh.output || !fresh.metrics_listen || match_list_add(&fresh.include, "*")) {
		config_clean(&fresh);
		return -ENOMEM;
	}
	*config = fresh;
	return 0;
}

void config_clean(struct config *config)
{
	match_list_clean(&config->include);
	match_list_clean(&config->exclude);
	filter_clean(&config->only);
	filter_clean(&config->ignore);
	free(config->output);
	free(config->metrics_listen);
	*config = (struct config){0};
}

__attribute__((format(printf, 2, 3))) static int config_wrong(const char **problem,
							      const char *format, ...)
{
	static char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	*problem = text;
	return -EINVAL;
}

static int config_set_number(uint32_t *number, const char *value, uint32_t min, uint32_t max,
			     const char **problem)
{
	if (!decimal_parse(value, min, max, number))
		return config_wrong(problem, "'%.64s' is not a number from %u to %u", value, min,
				    max);
	return 0;
}

/* The place of value among names, or -1. */
static int config_find_name(const char *const *names, size_t count, const char *value)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(names[i], value))
			return (int)i;
	return -1;
}

static int config_set_interval(struct config *config, const char *value, const char **problem)
{
	return config_set_number(&config->interval_s, value, 1, 86400, problem);
}

static int config_set_top(struct config *config, const char *value, const char **problem)
{
	return config_set_number(&config->top, value, 0, UINT32_MAX, problem);
}

static int config_set_map_entries(struct config *config, const char *value, const char **problem)
{
	return config_set_number(&config->map_entries, value, 1, 16777216, problem);
}

static int config_set_max_flows(struct config *config, const char *value, const char **problem)
{
	return config_set_number(&config->max_flows, value, 1000, 100000000, problem);
}

static int config_set_format(struct config *config, const char *value, const char **problem)
{
	int format = config_find_name(config_format_names, ARRAY_SIZE(config_format_names), value);

	if (format < 0)
		return config_wrong(problem, "'%s' is not text, table or json", value);
	config->format = (enum config_format)format;
	return 0;
}

static int config_set_nat(struct config *config, const char *value, const char **problem)
{
	int nat = config_find_name(config_nat_names, ARRAY_SIZE(config_nat_names), value);

	if (nat < 0)
		return config_wrong(problem, "'%s' is not auto or off", value);
	config->nat = (enum config_nat)nat;
	return 0;
}

static int config_set_tunnels(struct config *config, const char *value, const char **problem)
{
	int tunnels =
		config_find_name(config_tunnels_names, ARRAY_SIZE(config_tunnels_names), value);

	if (tunnels < 0)
		return config_wrong(problem, "'%s' is not mark or count", value);
	config->tunnels = (enum config_tunnels)tunnels;
	return 0;
}

static int config_set_attach(struct config *config, const char *value, const char **problem)
{
	int attach = config_find_name(config_attach_names, ARRAY_SIZE(config_attach_names), value);

	if (attach < 0)
		return config_wrong(problem, "'%s' is not auto, tcx or clsact", value);
	config->attach = (enum config_attach)attach;
	return 0;
}

static int config_set_text(char **text, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

static int config_set_output(struct config *config, const char *value, const char **problem)
{
	if (!*value)
		return config_wrong(problem, "'' is neither a path nor -");
	return config_set_text(&config->output, value);
}

static int config_set_listen(struct config *config, const char *value, const char **problem)
{
	struct sockaddr_storage address;
	socklen_t size;

	if (!strcmp(value, "off"))
		return config_set_text(&config->metrics_listen, "");
	if (!listen_parse(value, &address, &size))
		return config_wrong(problem, "'%s' is not off, IPv4:PORT or [IPv6]:PORT", value);
	return config_set_text(&config->metrics_listen, value);
}

/* What the kinds of lists have in common; a list that is all zeros is empty. */
struct config_list {
	size_t size;
	/* 0; -EINVAL, then *problem says what is wrong with the word; -ENOMEM */
	int (*add)(void *list, const char *word, const char **problem);
	/* NULL, or why the list may not end here */
	const char *(*check_end)(const void *list);
	void (*clean)(void *list);
};

static int config_add_pattern(void *list, const char *word, const char **problem)
{
	*problem = match_check(word);
	return *problem ? -EINVAL : match_list_add(list, word);
}

static const char *config_check_patterns(const void *list)
{
	(void)list;
	return NULL;
}

static void config_clean_patterns(void *list)
{
	match_list_clean(list);
}

static const struct config_list config_patterns = {sizeof(struct match_list), config_add_pattern,
						   config_check_patterns, config_clean_patterns};

static int config_add_term(void *list, const char *word, const char **problem)
{
	return term_add(list, word, problem);
}

static const char *config_check_terms(const void *list)
{
	return term_check_end(list);
}

static void config_clean_terms(void *list)
{
	filter_clean(list);
}

static const struct config_list config_terms = {sizeof(struct filter), config_add_term,
						config_check_terms, config_clean_terms};

/* A key has one value (set), or is a list of words (list, which is at offset in struct config). */
struct config_key {
	const char *section;
	const char *name;
	int (*set)(struct config *config, const char *value, const char **problem);
	const struct config_list *list;
	size_t offset;
	bool may_be_empty;
};

#define CONFIG_LIST(kind, member) .list = &(kind), .offset = offsetof(struct config, member)

static const struct config_key config_keys[] = {
	{"interfaces", "include", CONFIG_LIST(config_patterns, include)},
	{"interfaces", "exclude", CONFIG_LIST(config_patterns, exclude), .may_be_empty = true},
	{"report", "interval", .set = config_set_interval},
	{"report", "format", .set = config_set_format},
	{"report", "output", .set = config_set_output},
	{"report", "top", .set = config_set_top},
	{"flows", "map_entries", .set = config_set_map_entries},
	{"flows", "max_flows", .set = config_set_max_flows},
	{"flows", "nat", .set = config_set_nat},
	{"flows", "tunnels", .set = config_set_tunnels},
	{"flows", "only", CONFIG_LIST(config_terms, only), .may_be_empty = true},
	{"flows", "ignore", CONFIG_LIST(config_terms, ignore), .may_be_empty = true},
	{"attach", "mode", .set = config_set_attach},
	{"metrics", "listen", .set = config_set_listen},
};

static void *config_list_of(struct config *config, const struct config_key *key)
{
	return (char *)config + key->offset;
}

static const struct config_key *config_find_key(const char *section, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(config_keys); i++)
		if (!strcmp(config_keys[i].section, section) && !strcmp(config_keys[i].name, name))
			return &config_keys[i];
	return NULL;
}

/* Adds the first word of *value to list and moves *value behind it. -ENOENT: there is none. */
static int config_take_word(const struct config_list *kind, void *list, const char **value,
			    const char **problem)
{
	const char *start = *value + strspn(*value, CONFIG_BLANKS);
	size_t size = strcspn(start, CONFIG_BLANKS);
	_free_ char *word = NULL;
	const char *bad;
	int err;

	*value = start + size;
	if (!size)
		return -ENOENT;
	word = strndup(start, size);
	if (!word)
		return -ENOMEM;
	err = kind->add(list, word, &bad);
	return err == -EINVAL ? config_wrong(problem, "'%s': %s", word, bad) : err;
}

/* Adds all words of value. */
static int config_take_words(const struct config_key *key, void *list, const char *value,
			     const char **problem)
{
	bool empty = true;
	const char *bad;
	int err;

	while (!(err = config_take_word(key->list, list, &value, problem)))
		empty = false;
	if (err != -ENOENT)
		return err;
	if (empty && !key->may_be_empty)
		return config_wrong(problem, "the list is empty");
	bad = key->list->check_end(list);
	return bad ? config_wrong(problem, "%s", bad) : 0;
}

static int config_set_list(struct config *config, const struct config_key *key, const char *value,
			   const char **problem)
{
	_free_ void *fresh = calloc(1, key->list->size);
	void *list = config_list_of(config, key);
	int err = fresh ? config_take_words(key, fresh, value, problem) : -ENOMEM;

	if (err) {
		if (fresh)
			key->list->clean(fresh);
		return err;
	}
	key->list->clean(list);
	memcpy(list, fresh, key->list->size);
	return 0;
}

int config_set(struct config *config, const char *section, const char *key, const char *value,
	       const char **problem)
{
	const struct config_key *known = config_find_key(section, key);

	if (!known)
		return config_wrong(problem, "unknown key '%s' in [%s]", key, section);
	if (known->list)
		return config_set_list(config, known, value, problem);
	return known->set(config, value, problem);
}

enum config_section {
	CONFIG_SECTION_NONE, /* before the first header */
	CONFIG_SECTION_KNOWN,
	CONFIG_SECTION_BAD, /* its header was told to be wrong: nothing more is told of its keys */
};

/*
 * A file being read. libinih splits the lines into sections, keys and values, but its handler does
 * not know the line, it cuts long lines in pieces, keeps quiet about sections without keys and
 * about what stands behind a header, and takes an indented "key = value" as more of the value
 * before. So it gets its lines from config_read_line(), which counts them, tells what is wrong with
 * a line as such, and passes an empty line in its place.
 */
struct config_parse {
	struct config *config;
	const char *path;
	config_complain complain;
	void *data;
	unsigned int mistakes;
	int err; /* 0 or -ENOMEM, which ends the reading */

	char *rest; /* the lines not yet read, up to end */
	char *end;
	unsigned int line; /* the one read last */
	bool continued;	   /* it goes on with the list of the key line before */
	enum config_section section;
	unsigned int key_line;	      /* of the last key in this section; 0: none yet */
	const struct config_key *key; /* the one there; NULL if it was told to be wrong */
	bool listed; /* the list of key has a word, or something was told about it */
	unsigned int first_line[ARRAY_SIZE(config_keys)]; /* 0: not set yet */
};

__attribute__((format(printf, 3, 4))) static void
config_mistake(struct config_parse *parse, unsigned int line, const char *format, ...)
{
	char text[PATH_MAX + 1024];
	va_list args;
	int size;

	parse->mistakes++;
	size = snprintf(text, PATH_MAX + 16, "%s:%u: ", parse->path, line);
	if (size >= PATH_MAX + 16)
		size = PATH_MAX + 15;
	va_start(args, format);
	vsnprintf(text + size, sizeof(text) - (size_t)size, format, args);
	va_end(args);
	parse->complain(parse->data, text);
}

/* Is told when the list ends, as it may go on on the next lines. */
static void config_end_list(struct config_parse *parse)
{
	const struct config_key *key = parse->key;
	const char *bad = NULL;

	if (key && key->list && !key->may_be_empty && !parse->listed)
		bad = "the list is empty";
	else if (key && key->list)
		bad = key->list->check_end(config_list_of(parse->config, key));
	if (bad)
		config_mistake(parse, parse->key_line, "%s: %s", key->name, bad);
	parse->key = NULL;
}

static void config_add_to_list(struct config_parse *parse, const char *value)
{
	const struct config_list *kind = parse->key->list;
	void *list = config_list_of(parse->config, parse->key);
	const char *problem;
	int err;

	while ((err = config_take_word(kind, list, &value, &problem)) != -ENOENT) {
		parse->listed = true;
		if (err == -EINVAL) {
			config_mistake(parse, parse->line, "%s: %s", parse->key->name, problem);
		} else if (err) {
			parse->err = err;
			return;
		}
	}
}

/* A comment that is none, and so became part of the value: ';' without a blank before it, or '#'.
 */
static char config_stray_comment(const char *value)
{
	const char *hash = strchr(value, '#');

	if (strchr(value, ';'))
		return ';';
	while (hash && hash > value && !strchr(CONFIG_BLANKS, hash[-1]))
		hash = strchr(hash + 1, '#');
	return hash ? '#' : '\0';
}

static void config_take_value(struct config_parse *parse, const char *value)
{
	const struct config_key *key = parse->key;
	char stray = config_stray_comment(value);
	const char *problem;
	int err;

	if (stray) {
		parse->listed = true;
		config_mistake(
			parse, parse->line,
			"%s: '%c' in the value: a comment behind a value begins with a blank "
			"and ';'",
			key->name, stray);
		return;
	}
	if (key->list) {
		config_add_to_list(parse, value);
		return;
	}
	err = key->set(parse->config, value, &problem);
	if (err == -EINVAL)
		config_mistake(parse, parse->line, "%s: %s", key->name, problem);
	else
		parse->err = err;
}

static void config_take_key(struct config_parse *parse, const char *section, const char *name,
			    const char *value)
{
	const struct config_key *key = config_find_key(section, name);
	unsigned int *first_line;

	if (!key) {
		config_mistake(parse, parse->line, "unknown key '%s' in [%s]", name, section);
		return;
	}
	first_line = &parse->first_line[key - config_keys];
	if (*first_line) {
		config_mistake(parse, parse->line, "duplicate key '%s' in [%s], first on line %u",
			       name, section, *first_line);
		return;
	}
	*first_line = parse->line;
	parse->key = key;
	parse->listed = false;
	if (key->list)
		key->list->clean(config_list_of(parse->config, key));
	config_take_value(parse, value);
}

static void config_take_continuation(struct config_parse *parse, const char *value)
{
	if (!parse->key)
		return;
	if (parse->key->list)
		config_take_value(parse, value);
	else
		config_mistake(parse, parse->line, "the value of '%s' cannot go on on another line",
			       parse->key->name);
}

/* The handler of libinih. Mistakes are counted here, so it always returns 1: well done. */
static int config_handle(void *data, const char *section, const char *name, const char *value)
{
	struct config_parse *parse = data;

	if (parse->section == CONFIG_SECTION_BAD)
		return 1;
	if (parse->continued)
		config_take_continuation(parse, value);
	else if (parse->section == CONFIG_SECTION_NONE)
		config_mistake(parse, parse->line, "key '%s' before the first [section]", name);
	else
		config_take_key(parse, section, name, value);
	return 1;
}

static bool config_is_section(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(config_keys); i++)
		if (!strcmp(config_keys[i].section, name))
			return true;
	return false;
}

/* The header for libinih, or "". */
static const char *config_read_header(struct config_parse *parse, char *text)
{
	size_t size = strcspn(text + 1, "]");
	_free_ char *name = strndup(text + 1, size);
	char *behind = text + 1 + size;

	parse->section = CONFIG_SECTION_BAD;
	parse->key_line = 0;
	if (!name) {
		parse->err = -ENOMEM;
		return "";
	}
	if (!*behind) {
		config_mistake(parse, parse->line, "'%.64s' without ']'", text);
		return "";
	}
	if (!config_is_section(name)) {
		config_mistake(parse, parse->line, "unknown section [%.64s]", name);
		return "";
	}
	parse->section = CONFIG_SECTION_KNOWN;
	if (!behind[1])
		return text;
	config_mistake(parse, parse->line, "unexpected '%.64s' behind [%s]",
		       behind + 1 + strspn(behind + 1, CONFIG_BLANKS), name);
	behind[1] = '\0'; /* it may be too long for libinih */
	return text;
}

/* Cuts the comment off: libinih 55 does so behind a key's value, but not on the lines that go on
 * with it. */
static void config_cut_comment(char *text)
{
	char *p = text;

	while (*p && !(*p == ';' && strchr(CONFIG_BLANKS, p[-1])))
		p++;
	while (p > text && strchr(CONFIG_BLANKS, p[-1]))
		p--;
	*p = '\0';
}

static const char *config_find_control(const char *text, size_t size)
{
	for (const char *p = text; p < text + size; p++)
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return p;
	return NULL;
}

/* What libinih shall see of a line: text or a part of it, or "". It takes no more than max bytes.
 */
static const char *config_read_text(struct config_parse *parse, char *text, size_t size, size_t max)
{
	const char *control = config_find_control(text, size);
	char *body = text + strspn(text, CONFIG_BLANKS);

	if (control) {
		config_mistake(parse, parse->line, "control character 0x%02x",
			       (unsigned char)*control);
		config_end_list(parse);
		return "";
	}
	if (!*body || *body == ';' || *body == '#')
		return "";
	config_cut_comment(body);

	parse->continued = body > text && parse->key_line && *body != '[' && !strchr(body, '=');
	if (!parse->continued)
		config_end_list(parse);
	if (*body == '[')
		return config_read_header(parse, body);
	if (strlen(text) > max) {
		config_mistake(parse, parse->line,
			       "longer than %zu bytes (a list may go on on indented lines)", max);
		if (!parse->continued)
			parse->key_line = parse->line; /* what goes on with it is not told again */
		return "";
	}
	if (parse->continued)
		return text;
	if (*body == '=' || body[strcspn(body, "=:")] != '=') {
		config_mistake(parse, parse->line, "neither [section] nor key = value");
		return "";
	}
	parse->key_line = parse->line;
	return body;
}

/* The reader of libinih, in place of fgets(3). */
static char *config_read_line(char *line, int size, void *stream)
{
	struct config_parse *parse = stream;
	char *text = parse->rest, *end;
	const char *seen;

	if (parse->err || text == parse->end)
		return NULL;
	parse->line++;
	end = memchr(text, '\n', (size_t)(parse->end - text));
	parse->rest = end ? end + 1 : parse->end;
	if (!end)
		end = parse->end;
	if (end > text && end[-1] == '\r')
		end--;
	*end = '\0'; /* at parse->end there is room for it */
	seen = config_read_text(parse, text, (size_t)(end - text), (size_t)size - 2);
	snprintf(line, (size_t)size, "%s\n", seen);
	return line;
}

/* Parses content, whose last byte is room for a terminator. */
static int config_parse(struct config_parse *parse, const struct buffer *content)
{
	int err;

	parse->rest = content->data;
	parse->end = content->data + content->size - 1;
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): it has a terminator at least */
	if (!strncmp(parse->rest, "\xef\xbb\xbf", 3)) /* UTF-8's byte order mark */
		parse->rest += 3;
	err = ini_parse_stream(config_read_line, parse, config_handle, parse);
	if (parse->err)
		return parse->err;
	if (err < 0)
		return -ENOMEM; /* the only failure of libinih itself here */
	config_end_list(parse);
	if (err && !parse->mistakes)
		config_mistake(parse, (unsigned int)err, "syntax error");
	return parse->mistakes ? -EINVAL : 0;
}

/* A FIFO to which nobody writes would hold the agent for ever. */
static int config_wait(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	int ready = poll(&poll_fd, 1, CONFIG_WAIT_MS);

	if (ready < 0)
		return errno == EINTR ? 0 : -errno;
	return ready ? 0 : -ETIMEDOUT;
}

/* Appends the content of the file and a terminator. */
static int config_read_file(const char *path, struct buffer *content)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int err = fd < 0 ? -errno : config_wait(fd);
	char chunk[4096];
	ssize_t size;

	if (err)
		return err;
	while ((size = read(fd, chunk, sizeof(chunk))) != 0) {
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0 && errno == EAGAIN) {
			err = config_wait(fd);
			if (err)
				return err;
			continue;
		}
		if (size < 0)
			return -errno;
		buffer_append(content, chunk, (size_t)size);
		if (content->size > CONFIG_FILE_MAX)
			return -EFBIG;
	}
	buffer_char(content, '\0');
	return buffer_error(content);
}

static void config_unread(const char *path, int err, config_complain complain, void *data)
{
	char text[PATH_MAX + 256];

	snprintf(text, sizeof(text), "%.*s: %s", PATH_MAX, path,
		 err == -ETIMEDOUT ? "nobody writes to it" : strerror(-err));
	complain(data, text);
}

int config_load(struct config *config, const char *path, config_complain complain, void *data)
{
	struct config fresh = {0};
	struct config_parse parse = {
		.config = &fresh,
		.path = path,
		.complain = complain,
		.data = data,
	};
	struct buffer content = {0};
	int err = config_init(&fresh);
	bool unread;

	if (!err)
		err = config_read_file(path, &content);
	unread = err;
	if (!err) {
		err = config_parse(&parse, &content);
		unread = err == -ENOMEM;
	}
	if (unread)
		config_unread(path, err, complain, data);
	if (!err) {
		config_clean(config);
		*config = fresh;
		fresh = (struct config){0};
	}
	config_clean(&fresh);
	buffer_free(&content);
	return err;
}
