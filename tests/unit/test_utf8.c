// SPDX-License-Identifier: GPL-2.0-only
/* Text of strangers, against the C library's own idea of UTF-8. */
#include "lib/array.h"
#include "lib/utf8.h"

#include <limits.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <wchar.h>
#include <wctype.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static int setup(void **state)
{
	(void)state;
	return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

/* Every string of up to four bytes, as far as its last one matters. */
static void test_lengths(void **state)
{
	static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0,
					0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xff};

	(void)state;
	for (unsigned int n = 0; n < 256 * 16 * 16 * 16; n++) {
		const char text[5] = {(char)(n >> 12), (char)edges[n >> 8 & 15],
				      (char)edges[n >> 4 & 15], (char)edges[n & 15]};
		mbstate_t shift = {0};
		wchar_t c = 0;
		size_t expected = mbrtowc(&c, text, sizeof(text), &shift);

		/* it knows what Unicode will never have */
		if (expected > sizeof(text) || c > 0x10ffff)
			expected = 0;
		if (utf8_length(text) != expected)
			fail_msg("%08x: %zu, not %zu", n, utf8_length(text), expected);
	}
}

/* As Python's decode(errors="replace") and browsers do. */
static void test_broken(void **state)
{
	static const struct {
		const char *text;
		size_t length;
	} cases[] = {
		{"\x80", 1},	     {"\xff\x80", 1},	      {"\xc0\xaf", 1}, {"\xe2", 1},
		{"\xe2\x82", 2},     {"\xe2\x82z", 2},	      {"\xe0\x80", 1}, {"\xed\xa0\x80", 1},
		{"\xf0\x9f\x98", 3}, {"\xf0\x9f\xe2\x82", 2}, {"\xf4\x90", 1}, {"\xf8\x80\x80", 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(utf8_length(cases[i].text), 0);
		assert_int_equal(utf8_broken_length(cases[i].text), cases[i].length);
	}
}

/* What the C library calls no graphic character is never printable, whatever it is. */
static void test_printable(void **state)
{
	static const wchar_t hidden[] = {0xad,	 0x61c,	 0x890,	 0x1d173, 0x200b, 0x202e,
					 0x2066, 0x3000, 0xfeff, 0xfe0f,  0xe0041};
	size_t printable = 0;
	char text[MB_LEN_MAX];

	(void)state;
	for (wchar_t c = 1; c < 0x110000; c++) {
		mbstate_t shift = {0};
		size_t length = wcrtomb(text, c, &shift);

		if (length == (size_t)-1)
			continue;
		printable += utf8_is_printable(text, length);
		if (utf8_is_printable(text, length) && (iswcntrl(c) || iswspace(c)))
			fail_msg("U+%04X is printable", (unsigned int)c);
		if (iswalnum(c) && !utf8_is_printable(text, length))
			fail_msg("U+%04X is not printable", (unsigned int)c);
	}
	assert_true(printable >= 1000000 && printable <= 0x110000);
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
		mbstate_t shift = {0};

		assert_false(utf8_is_printable(text, wcrtomb(text, hidden[i], &shift)));
	}
	assert_false(utf8_is_printable("\xff", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_printable),
	};

	return cmocka_run_group_tests_name("utf8", tests, setup, NULL);
}
