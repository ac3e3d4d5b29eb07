// SPDX-License-Identifier: GPL-2.0-only
#include "config/config.h"
#include "lib/buffer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The file under test, and what was told about it: its lines "LINE: message\n". */
struct file {
	int fd;
	char path[64];
	struct buffer told;
};

static void file_open(struct file *file)
{
	*file = (struct file){.fd = memfd_create("flowtally.conf", MFD_CLOEXEC)};
	assert_true(file->fd >= 0);
	snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", file->fd);
}

static void file_close(struct file *file)
{
	close(file->fd);
	buffer_free(&file->told);
}

static void file_write(struct file *file, const void *content, size_t size)
{
	assert_int_equal(ftruncate(file->fd, 0), 0);
	assert_int_equal(pwrite(file->fd, content, size, 0), size);
}

static void file_complain(void *data, const char *message)
{
	struct file *file = data;
	size_t size = strlen(file->path);

	assert_int_equal(strncmp(message, file->path, size), 0);
	assert_int_equal(message[size], ':');
	buffer_printf(&file->told, "%s\n", message + size + 1);
}

static int load(struct config *config, struct file *file, const void *content, size_t size)
{
	file_write(file, content, size);
	buffer_reset(&file->told);
	return config_load(config, file->path, file_complain, file);
}

static void check_told(const struct file *file, const char *expected)
{
	if (file->told.size != strlen(expected) ||
	    (file->told.size && memcmp(file->told.data, expected, file->told.size)))
		fail_msg("told:\n%.*sexpected:\n%s", (int)file->told.size, file->told.data,
			 expected);
}

static void check_list(const struct match_list *list, const char *expected)
{
	struct buffer joined = {0};

	for (size_t i = 0; i < list->count; i++)
		buffer_printf(&joined, "%s ", list->patterns[i]);
	buffer_char(&joined, '\0');
	assert_string_equal(joined.data, expected);
	buffer_free(&joined);
}

static void check_defaults(const struct config *config)
{
	check_list(&config->include, "* ");
	check_list(&config->exclude, "");
	assert_int_equal(config->interval_s, 60);
	assert_int_equal(config->format, CONFIG_TEXT);
	assert_string_equal(config->output, "-");
	assert_int_equal(config->top, 0);
	assert_int_equal(config->map_entries, 65536);
	assert_int_equal(config->max_flows, 4000000);
	assert_int_equal(config->nat, CONFIG_NAT_AUTO);
	assert_int_equal(config->tunnels, CONFIG_TUNNELS_MARK);
	assert_int_equal(config->only.count, 0);
	assert_int_equal(config->ignore.count, 0);
	assert_int_equal(config->attach, CONFIG_ATTACH_AUTO);
	assert_string_equal(config->metrics_listen, "");
}

/* Loads content over other settings; the caller cleans *config. */
static void check_good_bytes(struct config *config, const char *content, size_t size)
{
	struct file file;
	int error;

	file_open(&file);
	assert_int_equal(config_init(config), 0);
	config->top = 99;
	error = load(config, &file, content, size);
	check_told(&file, "");
	assert_int_equal(error, 0);
	file_close(&file);
}

static void check_good(struct config *config, const char *content)
{
	check_good_bytes(config, content, strlen(content));
}

/* The mistakes are told, and nothing of the file is taken over. */
static void check_bad_bytes(const char *content, size_t size, const char *expected)
{
	struct config config;
	struct file file;
	int error;

	file_open(&file);
	assert_int_equal(config_init(&config), 0);
	error = load(&config, &file, content, size);
	check_told(&file, expected);
	assert_int_equal(error, -EINVAL);
	check_defaults(&config);
	config_clean(&config);
	file_close(&file);
}

static void check_bad(const char *content, const char *expected)
{
	check_bad_bytes(content, strlen(content), expected);
}

static void test_defaults(void **state)
{
	struct config config;

	(void)state;
	assert_int_equal(config_init(&config), 0);
	check_defaults(&config);
	config_clean(&config);
	config_clean(&config);
	assert_null(config.output);
}

static void test_files_that_say_nothing(void **state)
{
	static const char *const contents[] = {
		"",
		"\n",
		"\n\n\n",
		" \t \n",
		"; comment",
		"# x\n",
		"\r\n\r\n",
		"   ; indented = x\n",
		"[report]",
		"[report]\n[report]\n",
		"\t# x=",
		"[flows] ; c",
		"\xef\xbb\xbf",
		"\xef\xbb\xbf# x\n",
	};
	struct config config;

	(void)state;
	for (size_t i = 0; i < COUNT(contents); i++) {
		check_good(&config, contents[i]);
		check_defaults(&config);
		config_clean(&config);
	}
}

static void test_every_key(void **state)
{
	struct config config;

	(void)state;
	check_good(&config, "[interfaces]\n"
			    "include = eth* kind:veth\tindex:3  ; patterns\n"
			    "exclude = docker0 ; wins\n"
			    "[report]\n"
			    "interval = 5 ; seconds\n"
			    "format=json\n"
			    "output =   /var/log/flow tally.log\t; a file\n"
			    "top\t=\t10\n"
			    "[flows]\n"
			    "map_entries = 1024\n"
			    "max_flows = 2000000\n"
			    "nat = off\n"
			    "tunnels = count\n"
			    "only = port:443 or proto:icmp ; two choices\n"
			    "ignore = net:10.0.0.0/8\n"
			    "[attach]\n"
			    "mode = clsact\n"
			    "[metrics]\n"
			    "listen = 127.0.0.1:9464");
	check_list(&config.include, "eth* kind:veth index:3 ");
	check_list(&config.exclude, "docker0 ");
	assert_int_equal(config.interval_s, 5);
	assert_int_equal(config.format, CONFIG_JSON);
	assert_string_equal(config.output, "/var/log/flow tally.log");
	assert_int_equal(config.top, 10);
	assert_int_equal(config.map_entries, 1024);
	assert_int_equal(config.max_flows, 2000000);
	assert_int_equal(config.nat, CONFIG_NAT_OFF);
	assert_int_equal(config.tunnels, CONFIG_TUNNELS_COUNT);
	assert_int_equal(config.only.count, 2);
	assert_int_equal(config.ignore.count, 1);
	assert_int_equal(config.attach, CONFIG_ATTACH_CLSACT);
	assert_string_equal(config.metrics_listen, "127.0.0.1:9464");
	config_clean(&config);
}

static void test_limits(void **state)
{
	struct config config;

	(void)state;
	check_good(&config, "[report]\ninterval=1\ntop=0\n[flows]\nmap_entries=1\n");
	assert_int_equal(config.interval_s, 1);
	assert_int_equal(config.top, 0);
	assert_int_equal(config.map_entries, 1);
	config_clean(&config);
	check_good(&config,
		   "[report]\ninterval=86400\ntop=4294967295\n[flows]\nmap_entries=16777216\n");
	assert_int_equal(config.interval_s, 86400);
	assert_int_equal(config.top, UINT32_MAX);
	assert_int_equal(config.map_entries, 16777216);
	config_clean(&config);
}

static void test_sections_may_come_again(void **state)
{
	struct config config;

	(void)state;
	check_good(&config, "[report]\ntop = 1\n[flows]\nnat = off\n[report]\ninterval = 2\n");
	assert_int_equal(config.top, 1);
	assert_int_equal(config.nat, CONFIG_NAT_OFF);
	assert_int_equal(config.interval_s, 2);
	config_clean(&config);
}

static void test_line_ends_and_byte_order_mark(void **state)
{
	struct config config;

	(void)state;
	check_good(&config, "\xef\xbb\xbf[interfaces]\r\ninclude = a\r\n b ; c\r\n\r\n[report]\r\n"
			    "format = table\r\noutput = /tmp/x\r\n");
	check_list(&config.include, "a b ");
	assert_int_equal(config.format, CONFIG_TABLE);
	assert_string_equal(config.output, "/tmp/x");
	config_clean(&config);
}

static void test_lists_go_on(void **state)
{
	struct config config;

	(void)state;
	check_good(&config, "[interfaces]\n"
			    "include =\n"
			    "\teth0 kind:veth ; one = 1\n"
			    "; a comment between\n"
			    "\n"
			    "   # and another\n"
			    "  br* [el]*\n"
			    "exclude = a\n"
			    " b\n");
	check_list(&config.include, "eth0 kind:veth br* [el]* ");
	check_list(&config.exclude, "a b ");
	config_clean(&config);
}

static void test_long_list(void **state)
{
	struct buffer content = {0};
	struct config config;

	(void)state;
	buffer_str(&content, "[interfaces]\nexclude = first\n");
	for (unsigned int i = 0; i < 3000; i++)
		buffer_printf(&content, "  veth%u\tindex:%u\n", i, i + 1);
	buffer_str(&content, "include = lo");
	check_good_bytes(&config, content.data, content.size);
	assert_int_equal(config.exclude.count, 6001);
	assert_string_equal(config.exclude.patterns[0], "first");
	assert_string_equal(config.exclude.patterns[1], "veth0");
	assert_string_equal(config.exclude.patterns[6000], "index:3000");
	check_list(&config.include, "lo ");
	config_clean(&config);
	buffer_free(&content);
}

/* git's way to write INI: libinih alone would take the second key as more of the first one's list.
 */
static void test_indented_keys(void **state)
{
	struct config config;

	(void)state;
	check_good(&config, "  [interfaces]\n"
			    "\tinclude = eth0\n"
			    "\texclude = docker0\n"
			    "\t\tveth*\n"
			    "  [report]\n"
			    "\ttop = 3\n"
			    "\tinterval = 7\n");
	check_list(&config.include, "eth0 ");
	check_list(&config.exclude, "docker0 veth* ");
	assert_int_equal(config.top, 3);
	assert_int_equal(config.interval_s, 7);
	config_clean(&config);
}

static void test_numbers_refused(void **state)
{
	static const char *const bad[] = {
		"0",
		"86401",
		"-1",
		"+1",
		"1.5",
		"60s",
		"0x10",
		"1e3",
		"",
		"1 2",
		"one",
		"4294967297",
		"\xd9\xa1",
		"18446744073709551617",
		"99999999999999999999999999999999999",
	};
	char content[256], expected[256];

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		snprintf(content, sizeof(content), "[report]\n\ninterval = %s\n", bad[i]);
		snprintf(expected, sizeof(expected),
			 "3: interval: '%s' is not a number from 1 to 86400\n", bad[i]);
		check_bad(content, expected);
	}
	check_bad("[report]\ntop = 4294967296\n[flows]\nmap_entries = 0\n",
		  "2: top: '4294967296' is not a number from 0 to 4294967295\n"
		  "4: map_entries: '0' is not a number from 1 to 16777216\n");
	check_bad("[flows]\nmax_flows = 999\n",
		  "2: max_flows: '999' is not a number from 1000 to 100000000\n");
	check_bad("[flows]\nmax_flows = 100000001\n",
		  "2: max_flows: '100000001' is not a number from 1000 to 100000000\n");
	check_bad("[flows]\nmap_entries = 16777217\n",
		  "2: map_entries: '16777217' is not a number from 1 to 16777216\n");
}

static void test_words_refused(void **state)
{
	(void)state;
	check_bad("[report]\nformat = xml\noutput =\n[flows]\nnat = on\n[attach]\nmode = TCX\n",
		  "2: format: 'xml' is not text, table or json\n"
		  "3: output: '' is neither a path nor -\n"
		  "5: nat: 'on' is not auto or off\n"
		  "7: mode: 'TCX' is not auto, tcx or clsact\n");
}

static void test_patterns_refused(void **state)
{
	(void)state;
	check_bad("[interfaces]\n"
		  "include = eth[0 kind: ok\n"
		  "  index:0 fine\n"
		  "  a\\\n"
		  "exclude = index:x\n",
		  "2: include: 'eth[0': bad glob: '[' without ']'\n"
		  "2: include: 'kind:': kind: wants a glob\n"
		  "3: include: 'index:0': index: wants a number from 1 to 2147483647\n"
		  "4: include: 'a\\': bad glob: '\\' at the end\n"
		  "5: exclude: 'index:x': index: wants a number from 1 to 2147483647\n");
}

static void test_empty_lists(void **state)
{
	struct config config;

	(void)state;
	check_good(&config, "[interfaces]\nexclude =\n");
	assert_int_equal(config.exclude.count, 0);
	config_clean(&config);
	check_bad("[interfaces]\ninclude =\nexclude = a\n", "2: include: the list is empty\n");
	check_bad("[interfaces]\ninclude = ; all\n\n[report]\ntop = 1",
		  "2: include: the list is empty\n");
	check_bad("[interfaces]\n\n\ninclude=", "4: include: the list is empty\n");
	check_bad("[interfaces]\nexclude = a\ninclude =\n  [report]\ntop = x\n",
		  "3: include: the list is empty\n"
		  "5: top: 'x' is not a number from 0 to 4294967295\n");
	/* one mistake, told once */
	check_bad("[interfaces]\ninclude = [\n", "2: include: '[': bad glob: '[' without ']'\n");
}

static void test_filters(void **state)
{
	struct config config;

	(void)state;
	check_good(&config, "[flows]\nonly = net:10.0.0.0/8 ; a comment\n  port:443\n"
			    "  or proto:icmp\nignore = port:53\n");
	assert_int_equal(config.only.count, 2);
	assert_int_equal(config.ignore.count, 1);
	config_clean(&config);
	check_good(&config, "[flows]\nonly =\nignore =\n");
	check_defaults(&config);
	config_clean(&config);

	check_bad("[flows]\nonly = port:1 port:x\n  or\n\nignore = or port:2\n  net:1.2.3.4/8\n",
		  "2: only: 'port:x': port: wants N or N-M, from 1 to 65535\n"
		  "2: only: 'or' at the end\n"
		  "5: ignore: 'or': there is no term before it\n"
		  "6: ignore: 'net:1.2.3.4/8': net: the address has bits set behind its length\n");
	/* a wrong word is told once */
	check_bad("[flows]\nonly = bogus or port:1\nignore = port:1 or bogus\n",
		  "2: only: 'bogus': is not net:ADDRESS[/LENGTH], port:N[-M], proto:NAME, "
		  "interface:GLOB or 'or'\n"
		  "3: ignore: 'bogus': is not net:ADDRESS[/LENGTH], port:N[-M], proto:NAME, "
		  "interface:GLOB or 'or'\n");
}

static void test_unknown_keys_and_sections(void **state)
{
	(void)state;
	check_bad("[report]\ncolour = red\nInterval = 5\n[colours]\nred = 1\nblue = 2\n  more\n"
		  "[attach]\ninterval = 5\n[Report]\n[ report ]\n[]\n",
		  "2: unknown key 'colour' in [report]\n"
		  "3: unknown key 'Interval' in [report]\n"
		  "4: unknown section [colours]\n"
		  "9: unknown key 'interval' in [attach]\n"
		  "10: unknown section [Report]\n"
		  "11: unknown section [ report ]\n"
		  "12: unknown section []\n");
	/* told even if it has no key, where libinih keeps quiet */
	check_bad("[nothing]", "1: unknown section [nothing]\n");
}

static void test_unknown_key_takes_its_list_with_it(void **state)
{
	(void)state;
	check_bad("[interfaces]\ninclude = a\nincldue = b\n  c [ \n\td\nexclude = [\n",
		  "3: unknown key 'incldue' in [interfaces]\n"
		  "6: exclude: '[': bad glob: '[' without ']'\n");
}

static void test_keys_before_any_section(void **state)
{
	(void)state;
	check_bad("interval = 5\nformat = json\n", "1: key 'interval' before the first [section]\n"
						   "2: key 'format' before the first [section]\n");
}

static void test_duplicate_keys(void **state)
{
	(void)state;
	check_bad("; x\n\n[report]\n\n\n\ninterval = 5\ntop = 1\ninterval = 5\n[flows]\nnat = off\n"
		  "[report]\ntop = 2\ninterval = bad\n",
		  "9: duplicate key 'interval' in [report], first on line 7\n"
		  "13: duplicate key 'top' in [report], first on line 8\n"
		  "14: duplicate key 'interval' in [report], first on line 7\n");
	check_bad("[interfaces]\ninclude = a\n b\ninclude = c\n d [\n",
		  "4: duplicate key 'include' in [interfaces], first on line 2\n");
}

static void test_syntax(void **state)
{
	(void)state;
	check_bad("[report]\n"
		  "interval\n"
		  "interval: 60\n"
		  "kind:veth = x\n"
		  "= 5\n"
		  "=\n"
		  "top ; = 5\n"
		  "]\n"
		  "interval 60 = 5\n",
		  "2: neither [section] nor key = value\n"
		  "3: neither [section] nor key = value\n"
		  "4: neither [section] nor key = value\n"
		  "5: neither [section] nor key = value\n"
		  "6: neither [section] nor key = value\n"
		  "7: neither [section] nor key = value\n"
		  "8: neither [section] nor key = value\n"
		  "9: unknown key 'interval 60' in [report]\n");
	/* nothing to go on with */
	check_bad("[interfaces]\n  eth0\n  kind:veth\n", "2: neither [section] nor key = value\n"
							 "3: neither [section] nor key = value\n");
}

static void test_section_headers(void **state)
{
	(void)state;
	check_bad("[flows]\n"
		  "nat = off\n"
		  "[report\n"
		  "interval = 0\n"
		  "[report ; x]\n"
		  "[report] # x\n"
		  "top = x\n"
		  "[attach];\n"
		  "[\n"
		  "[interfaces]]\n",
		  "3: '[report' without ']'\n"
		  "5: '[report' without ']'\n"
		  "6: unexpected '# x' behind [report]\n"
		  "7: top: 'x' is not a number from 0 to 4294967295\n"
		  "8: unexpected ';' behind [attach]\n"
		  "9: '[' without ']'\n"
		  "10: unexpected ']' behind [interfaces]\n");
}

static void test_only_lists_go_on(void **state)
{
	(void)state;
	check_bad("[report]\ninterval = 6\n  0\noutput = /a\n\tb\n",
		  "3: the value of 'interval' cannot go on on another line\n"
		  "5: the value of 'output' cannot go on on another line\n");
	/* a new section is a new beginning */
	check_bad("[interfaces]\ninclude = a\n[interfaces]\n  b\n",
		  "4: neither [section] nor key = value\n");
}

static void test_comments_gone_wrong(void **state)
{
	struct config config;

	(void)state;
#define STRAY "in the value: a comment behind a value begins with a blank and ';'\n"
	check_bad("[interfaces]\n"
		  "include = eth0; the uplink\n"
		  "  eth1 # the other\n"
		  "exclude = # none\n"
		  "[report]\n"
		  "interval = 60 # seconds\n"
		  "output = /tmp/a;b\n"
		  "top =;\n",
		  "2: include: ';' " STRAY "3: include: '#' " STRAY "4: exclude: '#' " STRAY
		  "6: interval: '#' " STRAY "7: output: ';' " STRAY "8: top: ';' " STRAY);
#undef STRAY
	check_good(&config, "[report]\noutput = /tmp/a#b#\n");
	assert_string_equal(config.output, "/tmp/a#b#");
	config_clean(&config);
}

static void test_control_characters(void **state)
{
	static const char nul[] = "[report]\ninter\0val = 5\ntop = 1\n\0";

	(void)state;
	check_bad_bytes(nul, sizeof(nul) - 1,
			"2: control character 0x00\n4: control character 0x00\n");
	check_bad("[report]\rtop = 1\r", "1: control character 0x0d\n");
	check_bad("[report]\noutput = /tmp/\x1b[31m\n# \x7f\n",
		  "2: control character 0x1b\n3: control character 0x7f\n");
	check_bad_bytes("\xff\xfe[\0r\0", 6, "1: control character 0x00\n");
}

static void repeat(struct buffer *content, char c, size_t count)
{
	while (count--)
		buffer_char(content, c);
}

#define Z16 "zzzzzzzzzzzzzzzz"
#define Z64 Z16 Z16 Z16 Z16

static void test_long_lines(void **state)
{
	struct buffer content = {0};
	struct config config;

	(void)state;
	/* the longest that is taken, and comments of any length */
	buffer_str(&content, "[interfaces]\nexclude = ");
	repeat(&content, 'x', 188);
	buffer_str(&content, "   ; ");
	repeat(&content, 'c', 5000);
	buffer_str(&content, "\n#");
	repeat(&content, '=', 100000);
	buffer_str(&content, "\n ");
	repeat(&content, 'y', 197);
	check_good_bytes(&config, content.data, content.size);
	assert_int_equal(config.exclude.count, 2);
	assert_int_equal(strlen(config.exclude.patterns[0]), 188);
	assert_int_equal(strlen(config.exclude.patterns[1]), 197);
	config_clean(&config);

	buffer_reset(&content);
	buffer_str(&content, "[interfaces]\nexclude = ");
	repeat(&content, 'x', 189);
	buffer_str(&content, "\n more [\ninclude = a\n  ");
	repeat(&content, 'y', 197);
	buffer_str(&content, "\n [\n[");
	repeat(&content, 'z', 300);
	buffer_str(&content, "]\n[report]\noutput = /");
	repeat(&content, 'a', 200000);
	buffer_str(&content, "\ntop = x");
	check_bad_bytes(content.data, content.size,
			"2: longer than 198 bytes (a list may go on on indented lines)\n"
			"5: longer than 198 bytes (a list may go on on indented lines)\n"
			"6: '[' without ']'\n"
			"7: unknown section [" Z64 "]\n"
			"9: longer than 198 bytes (a list may go on on indented lines)\n"
			"10: top: 'x' is not a number from 0 to 4294967295\n");
	buffer_free(&content);
}

static void test_many_mistakes_in_one_file(void **state)
{
	(void)state;
	check_bad("lost = 1\n"
		  "[interfaces]\n"
		  "include = eth* kind:\n"
		  "          index:9999999999\n"
		  "include = *\n"
		  "exclude\n"
		  "[reports]\n"
		  "interval = 0\n"
		  "[report]\n"
		  "interval = 0\n"
		  "format = XML ; no\n"
		  "top = -1\n"
		  "[flows\n"
		  "map_entries = many\n"
		  "[flows] x\n"
		  "map_entries = many",
		  "1: key 'lost' before the first [section]\n"
		  "3: include: 'kind:': kind: wants a glob\n"
		  "4: include: 'index:9999999999': index: wants a number from 1 to 2147483647\n"
		  "5: duplicate key 'include' in [interfaces], first on line 3\n"
		  "6: neither [section] nor key = value\n"
		  "7: unknown section [reports]\n"
		  "10: interval: '0' is not a number from 1 to 86400\n"
		  "11: format: 'XML' is not text, table or json\n"
		  "12: top: '-1' is not a number from 0 to 4294967295\n"
		  "13: '[flows' without ']'\n"
		  "15: unexpected 'x' behind [flows]\n"
		  "16: map_entries: 'many' is not a number from 1 to 16777216\n");
}

static void keep_message(void *data, const char *message)
{
	snprintf(data, 256, "%s", message);
}

static void test_unreadable_files(void **state)
{
	char message[256] = "", long_path[8192];
	struct config config;

	(void)state;
	assert_int_equal(config_init(&config), 0);
	assert_int_equal(config_load(&config, "/nonexistent/x", keep_message, message), -ENOENT);
	assert_string_equal(message, "/nonexistent/x: No such file or directory");
	assert_int_equal(config_load(&config, "/", keep_message, message), -EISDIR);
	assert_string_equal(message, "/: Is a directory");
	assert_int_equal(config_load(&config, "/dev/zero", keep_message, message), -EFBIG);
	assert_string_equal(message, "/dev/zero: File too large");
	assert_int_equal(config_load(&config, "", keep_message, message), -ENOENT);
	memset(long_path, 'p', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(config_load(&config, long_path, keep_message, message), -ENAMETOOLONG);
	check_defaults(&config);

	message[0] = '\0';
	assert_int_equal(config_load(&config, "/dev/null", keep_message, message), 0);
	assert_string_equal(message, "");
	check_defaults(&config);
	config_clean(&config);
}

/* An agent that is told to read one again goes on counting. */
static void test_fifo(void **state)
{
	char directory[] = "/tmp/config.XXXXXX", path[64], message[256] = "";
	static const char text[] = "[report]\ninterval = 9\n";
	struct config config;
	int ends[2];

	(void)state;
	assert_int_equal(config_init(&config), 0);
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/fifo", directory);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(config_load(&config, path, keep_message, message), -ETIMEDOUT);
	assert_non_null(strstr(message, "/fifo: nobody writes to it"));
	check_defaults(&config);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(directory), 0);

	/* as a shell gives it: -c <(...) */
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], text, strlen(text)), strlen(text));
	assert_int_equal(close(ends[1]), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
	assert_int_equal(config_load(&config, path, keep_message, message), 0);
	assert_int_equal(config.interval_s, 9);
	assert_int_equal(close(ends[0]), 0);
	config_clean(&config);
}

/* What a reload does: the new file stands alone, a bad one changes nothing. */
static void test_load_replaces_the_whole(void **state)
{
	static const char first[] = "[interfaces]\ninclude = a b\nexclude = c\n[report]\ntop = 5\n";
	static const char bad[] = "[interfaces]\ninclude = z\n[report]\ntop = 6\nformat = x\n";
	static const char second[] = "[report]\ninterval = 9\n";
	struct config config = {0};
	struct file file;

	(void)state;
	file_open(&file);
	assert_int_equal(load(&config, &file, first, strlen(first)), 0);
	assert_int_equal(load(&config, &file, bad, strlen(bad)), -EINVAL);
	check_told(&file, "5: format: 'x' is not text, table or json\n");
	check_list(&config.include, "a b ");
	assert_int_equal(config.top, 5);
	assert_int_equal(load(&config, &file, second, strlen(second)), 0);
	check_list(&config.include, "* ");
	check_list(&config.exclude, "");
	assert_int_equal(config.top, 0);
	assert_int_equal(config.interval_s, 9);
	config_clean(&config);
	file_close(&file);
}

static void check_set(struct config *config, const char *section, const char *key,
		      const char *value)
{
	const char *problem = NULL;

	assert_int_equal(config_set(config, section, key, value, &problem), 0);
}

static void check_set_refused(struct config *config, const char *section, const char *key,
			      const char *value, const char *expected)
{
	const char *problem = NULL;

	assert_int_equal(config_set(config, section, key, value, &problem), -EINVAL);
	assert_string_equal(problem, expected);
}

static void test_set(void **state)
{
	struct config config;

	(void)state;
	assert_int_equal(config_init(&config), 0);
	check_set(&config, "interfaces", "include", " eth0\tbr* ");
	check_set(&config, "interfaces", "exclude", "a b");
	check_set(&config, "interfaces", "exclude", "");
	check_set(&config, "report", "interval", "86400");
	check_set(&config, "report", "format", "table");
	check_set(&config, "report", "output", "/a;b # c");
	check_set(&config, "report", "top", "007");
	check_set(&config, "flows", "map_entries", "1");
	check_set(&config, "flows", "max_flows", "1000");
	check_set(&config, "flows", "nat", "off");
	check_set(&config, "flows", "tunnels", "count");
	check_set(&config, "attach", "mode", "tcx");
	check_set(&config, "metrics", "listen", "off");
	check_set(&config, "metrics", "listen", "[::]:65535");

	check_set_refused(&config, "interfaces", "include", "", "the list is empty");
	check_set_refused(&config, "interfaces", "include", "ok [",
			  "'[': bad glob: '[' without ']'");
	check_set_refused(&config, "report", "interval", "0",
			  "'0' is not a number from 1 to 86400");
	check_set_refused(&config, "report", "interval", " 5",
			  "' 5' is not a number from 1 to 86400");
	check_set_refused(&config, "report", "format", "", "'' is not text, table or json");
	check_set_refused(&config, "report", "output", "", "'' is neither a path nor -");
	check_set_refused(&config, "flows", "nat", "no", "'no' is not auto or off");
	check_set_refused(&config, "flows", "tunnels", "both", "'both' is not mark or count");
	check_set_refused(&config, "attach", "mode", "tc", "'tc' is not auto, tcx or clsact");
	check_set_refused(&config, "metrics", "listen", "",
			  "'' is not off, IPv4:PORT or [IPv6]:PORT");
	check_set_refused(&config, "report", "mode", "tcx", "unknown key 'mode' in [report]");

	check_list(&config.include, "eth0 br* ");
	check_list(&config.exclude, "");
	assert_int_equal(config.interval_s, 86400);
	assert_int_equal(config.format, CONFIG_TABLE);
	assert_string_equal(config.output, "/a;b # c");
	assert_int_equal(config.top, 7);
	assert_int_equal(config.map_entries, 1);
	assert_int_equal(config.max_flows, 1000);
	assert_int_equal(config.nat, CONFIG_NAT_OFF);
	assert_int_equal(config.tunnels, CONFIG_TUNNELS_COUNT);
	assert_int_equal(config.attach, CONFIG_ATTACH_TCX);
	config_clean(&config);
}

static void test_set_with_a_huge_value(void **state)
{
	char value[4096];
	const char *problem = NULL;
	struct config config;

	(void)state;
	memset(value, '9', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	assert_int_equal(config_init(&config), 0);
	assert_int_equal(config_set(&config, "report", "top", value, &problem), -EINVAL);
	assert_int_equal(strncmp(problem, "'9999", 5), 0);
	check_defaults(&config);
	config_clean(&config);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(config_format_to_str(CONFIG_TEXT), "text");
	assert_string_equal(config_format_to_str(CONFIG_TABLE), "table");
	assert_string_equal(config_format_to_str(CONFIG_JSON), "json");
	assert_string_equal(config_attach_to_str(CONFIG_ATTACH_AUTO), "auto");
	assert_string_equal(config_attach_to_str(CONFIG_ATTACH_TCX), "tcx");
	assert_string_equal(config_attach_to_str(CONFIG_ATTACH_CLSACT), "clsact");
}

static void read_shipped_file(struct buffer *content)
{
	const char *source = getenv("FLOWTALLY_SOURCE");
	char path[4096], chunk[4096];
	FILE *stream;
	size_t size;

	snprintf(path, sizeof(path), "%s/config/flowtally.conf", source ? source : ".");
	stream = fopen(path, "re");
	assert_non_null(stream);
	while ((size = fread(chunk, 1, sizeof(chunk), stream)) > 0)
		buffer_append(content, chunk, size);
	fclose(stream);
}

/* It says the defaults, and has every key: one more of each is a duplicate. */
static void test_shipped_file(void **state)
{
	static const char *const keys[][2] = {
		{"interfaces", "include"}, {"interfaces", "exclude"}, {"report", "interval"},
		{"report", "format"},	   {"report", "output"},      {"report", "top"},
		{"flows", "map_entries"},  {"flows", "max_flows"},    {"flows", "nat"},
		{"flows", "tunnels"},	   {"flows", "only"},	      {"flows", "ignore"},
		{"attach", "mode"},	   {"metrics", "listen"},
	};
	struct buffer content = {0};
	struct config config;
	struct file file;
	size_t size;

	(void)state;
	read_shipped_file(&content);
	size = content.size;
	check_good_bytes(&config, content.data, size);
	check_defaults(&config);

	file_open(&file);
	for (size_t i = 0; i < COUNT(keys); i++) {
		content.size = size;
		buffer_printf(&content, "\n[%s]\n%s = x\n", keys[i][0], keys[i][1]);
		assert_int_equal(load(&config, &file, content.data, content.size), -EINVAL);
		buffer_char(&file.told, '\0');
		assert_non_null(strstr(file.told.data, "duplicate key"));
	}
	file_close(&file);
	config_clean(&config);
	buffer_free(&content);
}

/* Either everything is right, or something is told. */
static void check_random(struct config *config, struct file *file, const char *content, size_t size)
{
	int error = load(config, file, content, size);

	if (error)
		assert_int_equal(error, -EINVAL);
	assert_int_equal(error != 0, file->told.size != 0);
	assert_true(config->interval_s >= 1 && config->interval_s <= 86400);
	assert_true(config->map_entries >= 1 && config->map_entries <= 16777216);
	assert_true(config->include.count > 0);
	assert_non_null(config->output);
}

static void test_random_bytes(void **state)
{
	char content[600];
	struct config config;
	struct file file;

	(void)state;
	srand(1);
	file_open(&file);
	assert_int_equal(config_init(&config), 0);
	for (int round = 0; round < 4000; round++) {
		size_t size = (size_t)rand() % sizeof(content);

		for (size_t i = 0; i < size; i++)
			content[i] = (char)rand();
		check_random(&config, &file, content, size);
	}
	config_clean(&config);
	file_close(&file);
}

/* Pieces of the grammar in any order come deeper than bytes do. */
static void test_random_pieces(void **state)
{
	static const char *const pieces[] = {
		"[interfaces]",
		"[report]",
		"[flows]",
		"[attach]",
		"[metrics]",
		"listen",
		"[::1]:1",
		"[",
		"]",
		"include",
		"exclude",
		"interval",
		"format",
		"output",
		"top",
		"map_entries",
		"max_flows",
		"nat",
		"tunnels",
		"only",
		"ignore",
		"port:1",
		"or",
		"mode",
		"=",
		" = ",
		":",
		"\n",
		"\n",
		"\n",
		"\n ",
		"\n\t",
		"\r\n",
		" ",
		"\t",
		";",
		" ;",
		"#",
		"*",
		"eth0",
		"kind:",
		"index:",
		"1",
		"60",
		"-",
		"json",
		"auto",
		"\\",
		"\xef\xbb\xbf",
		"\xc3",
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
	};
	unsigned int good = 0;
	struct buffer content = {0};
	struct config config;
	struct file file;

	(void)state;
	srand(2);
	file_open(&file);
	assert_int_equal(config_init(&config), 0);
	for (int round = 0; round < 20000; round++) {
		buffer_reset(&content);
		for (int n = rand() % 40; n; n--)
			buffer_str(&content, pieces[(size_t)rand() % COUNT(pieces)]);
		buffer_char(&content, '\n');
		check_random(&config, &file, content.data, content.size);
		good += !file.told.size;
	}
	assert_true(good > 100);
	config_clean(&config);
	buffer_free(&content);
	file_close(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_files_that_say_nothing),
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_sections_may_come_again),
		cmocka_unit_test(test_line_ends_and_byte_order_mark),
		cmocka_unit_test(test_lists_go_on),
		cmocka_unit_test(test_long_list),
		cmocka_unit_test(test_indented_keys),
		cmocka_unit_test(test_numbers_refused),
		cmocka_unit_test(test_words_refused),
		cmocka_unit_test(test_patterns_refused),
		cmocka_unit_test(test_empty_lists),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_unknown_keys_and_sections),
		cmocka_unit_test(test_unknown_key_takes_its_list_with_it),
		cmocka_unit_test(test_keys_before_any_section),
		cmocka_unit_test(test_duplicate_keys),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_section_headers),
		cmocka_unit_test(test_only_lists_go_on),
		cmocka_unit_test(test_comments_gone_wrong),
		cmocka_unit_test(test_control_characters),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_many_mistakes_in_one_file),
		cmocka_unit_test(test_unreadable_files),
		cmocka_unit_test(test_fifo),
		cmocka_unit_test(test_load_replaces_the_whole),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_set_with_a_huge_value),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_shipped_file),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_random_pieces),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
