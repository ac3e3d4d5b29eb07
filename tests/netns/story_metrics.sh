#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Metrics, as a scraper gets them.

metric() { # SERIES
	scrape | awk -v series="$1" 'index($0, series " ") == 1 { print $NF }'
}

sum_of() { # METRIC
	scrape | awk -v name="$1" 'index($0, name "{") == 1 { sum += $NF } END { print sum + 0 }'
}

start_agent_with_metrics() { # OPTIONS...
	printf '[metrics]\nlisten = %s\n' "$LISTEN" >"$WORK/flowtally.conf"
	start_agent host -c "$WORK/flowtally.conf" "$@"
	agent_log_has host "metrics: listening on http://$LISTEN/metrics" ||
		fail 'the agent does not listen'
}

# Counted once, each way, at the interface where it was seen first; more with every report.
story_metrics_of_traffic() {
	topology_containers
	# what a scrape is itself is no part of it, nor are devices that modules make in each namespace
	start_agent_with_metrics -i br0 -i p1 -i p2 -i wan
	udp -n 10 -s 100 -r 4 c1 10.2.0.2:40000 world 10.3.0.2:5001
	expect_equal 'bytes before the first report' 0 "$(metric flowtally_bytes_total)"
	report_now host
	udp -n 3 -s 100 c1 10.2.0.2:40000 c2 10.2.0.3:5001
	frames -n 2 world w0 "$(ethernet 88b5 "$(zeros 46)")"
	report_now host
	expect_equal 'bytes of all' $((17 * 128)) "$(metric flowtally_bytes_total)"
	expect_equal 'bytes of the interfaces' $((17 * 128)) "$(sum_of flowtally_interface_bytes_total)"
	expect_equal 'packets of the interfaces' 17 "$(sum_of flowtally_interface_packets_total)"
	expect_equal 'received by p1' $((13 * 128)) \
		"$(metric 'flowtally_interface_bytes_total{interface="p1",direction="receive"}')"
	expect_equal 'received by wan' 4 \
		"$(metric 'flowtally_interface_packets_total{interface="wan",direction="receive"}')"
	expect_equal 'sent by wan' 0 \
		"$(metric 'flowtally_interface_packets_total{interface="wan",direction="transmit"}')"
	expect_equal non_ip 92 "$(metric 'flowtally_unattributed_bytes_total{reason="non_ip"}')"
	expect_equal reports 2 "$(metric flowtally_reports_total)"
	expect_equal 'merges measured' 2 \
		"$(metric 'flowtally_report_stage_duration_seconds_count{stage="merge"}')"
	expect_equal monitored 4 "$(metric 'flowtally_interfaces{state="monitored"}')"
	expect_equal attaches 4 "$(sum_of flowtally_attaches_total)"
	ip_in host link del p2
	wait_for 'the detach of p2' has_detached
	expect_equal monitored 3 "$(metric 'flowtally_interfaces{state="monitored"}')"
	stop_agent host
}

has_detached() {
	[[ $(metric flowtally_detaches_total) == 1 ]]
}

# CPUs hold flows that they are in; those that they settle fill the map, which is swapped before it is full.
once_metrics_of_a_map() {
	local count=30000 flows

	topology_flood
	printf '[flows]\nmap_entries = 8192\n[metrics]\nlisten = %s\n' "$LISTEN" >"$WORK/flowtally.conf"
	start_agent host -c "$WORK/flowtally.conf" -x lo
	expect_equal 'room in a map' 8192 "$(metric flowtally_map_flows_limit)"
	expect_equal 'early swaps' 0 "$(metric flowtally_map_early_swaps_total)"
	expect_equal 'flows in an empty map' 0 "$(metric 'flowtally_map_flows{interface="v0"}')"
	"$TOOLS/flood" host "$count" 50 >/dev/null
	wait_for 'an early swap' has_swapped_early
	flows=$(metric 'flowtally_map_flows{interface="v0"}')
	((flows <= 8192)) || fail "$flows flows in a map of 8192"
	report_now host
	expect_equal 'flows in the map after a report' 0 "$(metric 'flowtally_map_flows{interface="v0"}')"
	expect_equal packets $count \
		"$(($(metric flowtally_packets_total) + $(metric 'flowtally_unattributed_packets_total{reason="map_full"}')))"
	stop_agent host
}

has_swapped_early() {
	(($(metric flowtally_map_early_swaps_total) > 0))
}

# A filter hides conversations from reports, not from these sums.
once_metrics_count_what_is_filtered() {
	topology_wire
	start_agent_with_metrics -x lo --ignore port:5001
	udp -n 6 -s 100 peer 10.1.0.2:40000 host 10.1.0.1:5001
	report_now host
	expect_report host 0 "# filtered flows=1 bytes=$((6 * 128)) packets=6"
	expect_equal bytes $((6 * 128)) "$(metric flowtally_bytes_total)"
	stop_agent host
}

once_metrics_over_http() {
	topology_wire
	start_agent_with_metrics
	[[ $(http 'GET /metrics HTTP/1.1') == 'HTTP/1.1 200 OK'*'text/plain; version=0.0.4'* ]]
	[[ $(http 'GET /metrics HTTP/1.1' 'Accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1') \
		== 'HTTP/1.1 200 OK'*'application/openmetrics-text; version=1.0.0'*$'\n# EOF' ]]
	[[ $(http 'HEAD /metrics HTTP/1.1') == 'HTTP/1.1 200 OK'* ]]
	[[ -z $(http 'HEAD /metrics HTTP/1.1' | sed '1,/^\r$/d') ]]
	[[ $(http 'GET / HTTP/1.1') == 'HTTP/1.1 404 '* ]]
	[[ $(http 'POST /metrics HTTP/1.1' 'Content-Length: 5') == 'HTTP/1.1 405 '* ]]
	[[ $(http 'nonsense') != 'HTTP/1.1 200 '* ]]
	# more than a request may hold: refused, or the connection is reset while it is sent
	[[ $(http "GET /$(zeros 20000) HTTP/1.1" 2>/dev/null || true) != 'HTTP/1.1 200 '* ]]
	[[ $(http 'GET /metrics HTTP/1.1') == 'HTTP/1.1 200 OK'* ]]
	stop_agent host
}

# Clients that connect and say nothing hold up neither reports nor, when there are fewer of them than
# may be connected, other clients; and they are not waited for at the end.
once_metrics_clients_that_say_nothing() {
	local holder

	topology_wire
	start_agent_with_metrics
	# shellcheck disable=SC2016
	in_ns host bash -c '
		for ((i = 0; i < 30; i++)); do
			exec {fd}<>"/dev/tcp/${1/://}" && printf "GET /metr" >&"$fd"
		done
		echo connected
		exec sleep 60' holder "$LISTEN" >"$WORK/holder" &
	holder=$!
	wait_for 'the silent clients' grep -q connected "$WORK/holder"
	report_now host
	expect_equal reports 1 "$(metric flowtally_reports_total)"
	report_now host
	stop_agent host
	kill "$holder" 2>/dev/null || true
}

agent_cpu_ticks() {
	awk '{ print $14 + $15 }' "/proc/${AGENT[host]}/stat"
}

# Who cannot be let in for lack of descriptors waits, and does not keep the agent busy.
once_metrics_without_descriptors() {
	local before

	topology_wire
	start_agent_with_metrics
	prlimit --pid "${AGENT[host]}" --nofile=9:
	! answers_scrape || fail 'the limit is not reached'
	before=$(agent_cpu_ticks)
	sleep 3
	(($(agent_cpu_ticks) - before < 10)) || fail "ticks in 3 s: $(($(agent_cpu_ticks) - before))"
	prlimit --pid "${AGENT[host]}" --nofile=1000:
	wait_for 'an answer' answers_scrape
	stop_agent host
}

# As many as there may be, who never stop to say something, for longer than any of them is heard.
once_metrics_clients_that_never_finish() {
	topology_wire
	start_agent_with_metrics
	# shellcheck disable=SC2016
	in_ns host bash -c '
		for ((i = 0; i < 32; i++)); do
			exec {fd[i]}<>"/dev/tcp/${1/://}" && printf "GET /metrics HTTP/1.1\r\nX: " >&"${fd[i]}"
		done
		echo connected
		trap "" PIPE
		while sleep 1; do
			for ((i = 0; i < 32; i++)); do
				printf x >&"${fd[i]}"
			done
		done' talker "$LISTEN" >"$WORK/talkers" 2>/dev/null &
	wait_for 'the clients' grep -q connected "$WORK/talkers"
	PATIENCE_S=60 wait_for 'room for another client' answers_scrape
	kill $!
	stop_agent host
}

answers_scrape() {
	[[ $(http 'GET /metrics HTTP/1.1' 2>/dev/null || true) == 'HTTP/1.1 200 OK'* ]]
}

# As at boot: the agent is there before the network, and nobody tells it to try again.
once_metrics_before_the_address() {
	make_ns host peer
	wire host v0 peer v1
	LISTEN='[fd01::1]:9464'
	start_agent_with_metrics
	add_addresses host v0 fd01::1/64
	in_ns host bash -c 'exec 3<>/dev/tcp/fd01::1/9464' || fail 'nobody listens on fd01::1'
	stop_agent host
	LISTEN=10.1.0.1:9464
	start_agent_with_metrics
	! answers_scrape || fail 'it answers at an address that is not there'
	add_addresses host v0 10.1.0.1/24
	answers_scrape || fail 'it does not answer at 10.1.0.1'
	stop_agent host
}

problems() {
	{ in_ns host "$FLOWTALLY" status --json || true; } | jq -r '.problems[]'
}

once_metrics_port_in_use() {
	local other

	type iperf3 >/dev/null 2>&1 || skip 'iperf3 is not installed'
	topology_wire
	printf '[metrics]\nlisten = %s\n' "$LISTEN" >"$WORK/flowtally.conf"
	ip netns exec "$PREFIX-host" iperf3 -s -B "${LISTEN%:*}" -p "${LISTEN#*:}" >/dev/null 2>&1 &
	other=$!
	wait_for 'the other listener' in_ns host bash -c "exec 3<>/dev/tcp/${LISTEN/://}"
	start_agent host -c "$WORK/flowtally.conf" -x lo
	expect_equal 'log lines' 1 "$(agent_log_count host \
		"metrics: cannot listen on $LISTEN: Address already in use; going on without")"
	udp -n 5 -s 100 peer 10.1.0.2:40000 host 10.1.0.1:5001
	report_now host
	expect_report host 5 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((5 * 128))"

	expect_equal problems "metrics: cannot listen on $LISTEN: Address already in use" "$(problems)"

	# it tries again when the configuration is read again
	kill "$other"
	wait "$other" || true
	signal_agent host HUP
	wait_for_log host "metrics: listening on http://$LISTEN/metrics"
	expect_equal problems '' "$(problems)"
	expect_equal reports 1 "$(metric flowtally_reports_total)"

	printf '[metrics]\nlisten = off\n' >"$WORK/flowtally.conf"
	signal_agent host HUP
	wait_for_log host 'configuration is read again' 1
	! http 'GET /metrics HTTP/1.1' 2>/dev/null || fail 'it still listens'
	stop_agent host
}

once_metrics_bad_address() {
	local address

	topology_wire
	for address in localhost:9464 127.0.0.1 :9464 127.0.0.1:0 127.0.0.1:65536 ::1:9464 '[::1]' \
		'[127.0.0.1]:9464' '[::1]9464' '[]:9464' yes; do
		printf '\n[metrics]\nlisten = %s\n' "$address" >"$WORK/bad.conf"
		expect_status 2 "$WORK/bad.conf:3: listen: '$address' is not off, IPv4:PORT or [IPv6]:PORT" \
			check-config -c "$WORK/bad.conf"
	done
}

# run.sh has found or fetched them, or knows why not.
need_prometheus() {
	[[ -z $NO_PROMETHEUS ]] || skip "$NO_PROMETHEUS"
	export PATH=${PROMETHEUS:+$PROMETHEUS:}$PATH
}

# Several interfaces, a name to be escaped, and something that is in no flow.
traffic_for_prometheus() {
	topology_containers
	ip_in host link add 'a"b\c' type veth peer name v9
	start_agent_with_metrics -x lo
	udp -n 10 -s 100 -r 4 c1 10.2.0.2:40000 world 10.3.0.2:5001
	frames -n 2 world w0 "$(ethernet 88b5 "$(zeros 46)")"
	report_now host
	expect_report host 14 "10.2.0.2:40000 - 10.3.0.2:5001 Bytes: $((14 * 128))" \
		'# unattributed interface=wan reason=non_ip bytes=92 packets=2'
}

once_metrics_pass_promtool() {
	need_prometheus
	traffic_for_prometheus
	scrape >"$WORK/metrics"
	expect_equal 'series of the quoted name' 2 "$(grep -cF 'bytes_total{interface="a\"b\\x5Cc"' "$WORK/metrics")"
	expect_equal 'promtool says' '' "$(promtool check metrics <"$WORK/metrics" 2>&1)"
	expect_equal bytes "$(header_field host bytes)" "$(metric flowtally_bytes_total)"
	expect_equal 'bytes of the interfaces' "$(header_field host bytes)" "$(sum_of flowtally_interface_bytes_total)"
	expect_equal packets "$(header_field host packets)" "$(metric flowtally_packets_total)"
	expect_equal flows "$(header_field host flows)" "$(metric flowtally_report_flows)"
	stop_agent host
}

# The consumer itself, which asks for OpenMetrics.
once_metrics_scraped_by_prometheus() {
	local prometheus

	need_prometheus
	traffic_for_prometheus
	cat >"$WORK/prometheus.yml" <<-EOF
		global: { scrape_interval: 1s }
		scrape_configs:
		  - job_name: flowtally
		    static_configs: [{ targets: ["$LISTEN"] }]
	EOF
	ip netns exec "$PREFIX-host" prometheus --config.file="$WORK/prometheus.yml" \
		--storage.tsdb.path="$WORK/tsdb" --web.listen-address=127.0.0.1:9090 \
		>"$WORK/prometheus.log" 2>&1 &
	prometheus=$!
	PATIENCE_S=30 wait_for 'a scrape' prometheus_says 1 'up'
	expect_prometheus_agrees 1
	expect_prometheus 92 'flowtally_unattributed_bytes_total{reason="non_ip"}'
	expect_prometheus 1 'flowtally_build_info'
	expect_prometheus 3 'count(histogram_quantile(0.9, flowtally_report_stage_duration_seconds_bucket) > 0)'
	expect_prometheus 2 'count(flowtally_interface_bytes_total{interface="a\"b\\x5Cc"})'
	udp -n 3 -s 100 c1 10.2.0.2:40000 c2 10.2.0.3:5001
	report_now host
	wait_for 'the second report' prometheus_says 2 flowtally_reports_total
	expect_prometheus_agrees 2
	kill "$prometheus"
	stop_agent host
}

# Its sums are those of the REPORTS written so far.
expect_prometheus_agrees() { # REPORTS
	expect_prometheus "$1" flowtally_reports_total
	expect_prometheus "$(sum_of_headers bytes)" flowtally_bytes_total
	expect_prometheus "$(sum_of_headers bytes)" 'sum(flowtally_interface_bytes_total)'
	expect_prometheus "$(sum_of_headers packets)" flowtally_packets_total
	expect_prometheus "$(sum_of_headers packets)" 'sum(flowtally_interface_packets_total)'
	expect_prometheus "$(sum_of_headers flows)" flowtally_flows_total
	expect_prometheus "$(header_field host flows)" flowtally_report_flows
}

sum_of_headers() { # FIELD
	sed -nE "s/^# flowtally .* $1=([0-9]+).*/\\1/p" "$WORK/host.report" | awk '{ sum += $1 } END { print sum }'
}

expect_prometheus() { # VALUE QUERY
	expect_equal "$2" "$1" "$(ask_prometheus "$2")"
}

prometheus_says() { # VALUE QUERY
	[[ $(ask_prometheus "$2") == "$1" ]]
}

# The value of a query with one.
ask_prometheus() { # QUERY
	in_ns host promtool query instant http://127.0.0.1:9090 "$1" 2>/dev/null |
		sed -nE 's/.* => ([^ ]+) @.*/\1/p'
}
