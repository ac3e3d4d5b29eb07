// SPDX-License-Identifier: GPL-2.0-only
/* What an agent answers, or whoever sits at its socket, as the client parses and shows it. */
#include "control/answer.h"
#include "control/view.h"
#include "lib/buffer.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <jansson.h>
#include <locale.h>

#define NETNS 4026531840 /* of the answers in the corpus */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_require(setlocale(LC_CTYPE, "C.UTF-8"));
	return 0;
}

static void require_harmless(struct buffer *text)
{
	fuzz_require(!buffer_error(text));
	fuzz_require(fuzz_count_harmless_lines(text->data, text->size) > 0);
	buffer_reset(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer text = {0};
	char problem[256];
	json_t *answer;
	int r = control_answer_parse(&answer, (const char *)data, size, "socket", NETNS, problem,
				     sizeof(problem));

	fuzz_require(r == 0 || r == -EPROTO || r == -ESRCH);
	if (r < 0)
		return 0;
	view_status(&text, answer);
	require_harmless(&text);
	view_interfaces(&text, answer);
	require_harmless(&text);
	view_flows(&text, answer, false, 80);
	require_harmless(&text);
	(void)view_is_healthy(answer);
	(void)view_all_attached(answer);
	buffer_free(&text);
	json_decref(answer);
	return 0;
}
