#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Copies the agent's sources to FOLDER and makes a later version of them: maps are laid out otherwise and are of other
# sizes, and all records have grown. The stories of upgrades let the two follow each other (story_upgrade.sh).
#
#   later.sh FOLDER
set -euo pipefail

cd "$(dirname "$0")/.."
to=$1
next=$(mktemp -d)
trap 'rm -rf "$next"' EXIT

# It must find what it is to change.
edit() { # FILE SED-SCRIPT...
	local file=$1 script

	shift
	for script; do
		sed "$script" "$file" >"$next/$file"
		! cmp -s "$file" "$next/$file" || {
			echo "later.sh: nothing in $file for: $script" >&2
			exit 1
		}
	done
	sed -f <(printf '%s\n' "$@") "$file" >"$next/$file"
}

define() { # STRUCT FIELDS
	printf '/^struct %s {/,/^};/c\\\nstruct %s {\\\n%s\\\n};' "$1" "$1" "$2"
}

grow() { # STRUCT [FIELD]
	printf '/^struct %s {/,/^};/s/^};/\\t%s;\\n};/' "$1" "${2:-uint64_t later}"
}

cp --parents Makefile {bpf,lib,netlink,config,report,metrics,control,supervisor}/*.[chS] "$next"
edit bpf/flow_types.h \
	's/^#define FLOW_LAYOUT .*/#define FLOW_LAYOUT 1000/' \
	"$(define flow_key '	union {\
		struct {\
			__u8 unsure, zero, family, protocol;\
			__be16 port[2];\
		};\
		__u64 tail;\
	};\
	union {\
		__u8 bytes[16];\
		__u32 words[4];\
		__u64 halves[2];\
	} addr[2];')" \
	"$(define flow_count '	__u64 packets, bytes;')" \
	"$(define flow_value '	__u64 later[2];\
	struct flow_count count[2][FLOW_CLASSES];')" \
	's/sizeof(struct flow_value) == 96/sizeof(struct flow_value) == 112/' \
	"$(define flow_train '	__u64 packets;\
	__u16 class, slot;\
	__u32 zero;\
	struct flow_key key;\
	__u64 bytes;')" \
	"$(define flow_slot '	__u8 zero, flags;\
	__u16 slot;\
	__u32 ifindex;')" \
	"$(define flow_control '	__u64 later;\
	__u8 fragments_covered[FLOW_BANKS], zero[6];\
	__u32 bank, trains, epoch;')" \
	"$(define flow_cpu '	__u32 tagged, in_vain, alone, unused[12];\
	volatile __u32 bank;')" \
	"$(define flow_turner '	__u8 address[6], zero[2];\
	__u32 ifindex;')" \
	's/^#define FLOW_TRAINS_MAX .*/#define FLOW_TRAINS_MAX 2048/' \
	's/^#define FLOW_SLOT_TABLE_SIZE [0-9]*/#define FLOW_SLOT_TABLE_SIZE 32768/' \
	's/^#define FLOW_SLOTS\([[:space:]]*\)[0-9]*/#define FLOW_SLOTS\18192/'
# a key's tail in one word
edit bpf/parse.bpf.h '/^\t\t\t__u32 ports;/,/^\t\t\t__u8 zero\[2\];/c\
			__u8 zero[2];\
			__u8 family;\
			__u8 protocol;\
			__u32 ports;'
edit supervisor/layout.h "$(grow layout 'struct layout_field later')"
# at the end of every record of a checkpoint
edit supervisor/checkpoint.c '/^static void code_end/,/^}/s/^\tif (!codec->out) {/\tif (codec->out)\
		buffer_append(codec->out, "later", 5);\
&/'
edit report/flow_bytes.c "$(grow cell_bytes)"
edit report/debt.c "$(grow debt_hook)"
edit report/summed.c "$(grow summed_bytes)" "$(grow interface_bytes)"
edit supervisor/held.c "$(grow train_bytes)"

# what has not changed keeps its time, and so does what was built of it
(cd "$next" && find . -type f) | while read -r file; do
	mkdir -p "$to/${file%/*}"
	cmp -s "$next/$file" "$to/$file" || cp "$next/$file" "$to/$file"
done
