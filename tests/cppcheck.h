/* SPDX-License-Identifier: GPL-2.0-only */
/* What cppcheck has to know of macros of libraries, whose headers it does not read. */
#define LIBBPF_OPTS(TYPE, NAME, ...) struct TYPE NAME = {0}
#define json_array_foreach(a, i, v)  for (i = 0; (v = json_array_get(a, i)); i++)
#define json_object_foreach(o, k, v) for (k = ""; (v = json_object_get(o, k));)
