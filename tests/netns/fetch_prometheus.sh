#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Fetches Prometheus (tests/fetch.sh); installed, its package would run it on this machine:
#   tests/netns/fetch_prometheus.sh FOLDER
# leaves FOLDER/prometheus and FOLDER/promtool.
set -euo pipefail

# shellcheck source=tests/fetch.sh
. "$(dirname "$0")/../fetch.sh"
folder=$1

begin_fetch "$folder"
fetch_lists
fetch_package prometheus
"$work/root/usr/bin/promtool" --version >"$work/log" 2>&1 || cannot "promtool: $(tail -n 1 "$work/log")"
# the last one is what tells that all are there
mv "$work/root/usr/bin/promtool" "$work/root/usr/bin/prometheus" "$folder/"
