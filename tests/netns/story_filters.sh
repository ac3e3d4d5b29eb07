#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Reports of chosen conversations.

CLIENT=10.2.0.2:40000
SERVER=10.3.0.2

web_and_dns() {
	udp -n 4 -s 100 -r 2 c1 "$CLIENT" world "$SERVER:443"
	udp -n 3 -s 100 c1 "$CLIENT" world "$SERVER:53"
	udp -n 2 -s 100 c1 '[fd02::2]:40000' c2 '[fd02::3]:443'
}

once_only_some() {
	topology_containers
	start_agent host --only 'port:443 net:10.0.0.0/8'
	web_and_dns
	report_now host
	expect_report host 6 "$CLIENT - $SERVER:443 Bytes: $((6 * 128))" \
		"# filtered flows=2 bytes=$((3 * 128 + 2 * 148)) packets=5"
	stop_agent host
}

# The pattern excludes conversations, not interfaces: what crossed br0 is still counted once.
once_ignore_by_interface() {
	topology_containers
	start_agent host --ignore interface:wan --ignore net:fd02::3
	web_and_dns
	udp -n 5 -s 100 c1 "$CLIENT" c2 10.2.0.3:5001
	stop_agent host
	expect_report host 5 "$CLIENT - 10.2.0.3:5001 Bytes: $((5 * 128))" \
		"# filtered flows=3 bytes=$((9 * 128 + 2 * 148)) packets=11"
}

# A new filter holds for the whole of the interval that is running; what is left out is counted.
once_filter_after_reload() {
	topology_containers
	printf '[flows]\nignore = port:53\n[report]\ntop = 1\n' >"$WORK/flowtally.conf"
	start_agent host -c "$WORK/flowtally.conf"
	web_and_dns
	printf '[flows]\nonly = port:53 or net:fd02::/64\n[report]\ntop = 1\n' >"$WORK/flowtally.conf"
	signal_agent host HUP
	wait_for_log host 'configuration is read again'
	stop_agent host
	expect_equal report "$CLIENT - $SERVER:53 Bytes: $((3 * 128))
# other flows=1 bytes=$((2 * 148)) packets=2
# filtered flows=1 bytes=$((6 * 128)) packets=6" "$(last_report host | tail -n +2)"
	expect_equal 'flows of the header' 2 "$(header_field host flows)"
}

# By the address that the world sees, too.
once_filter_by_translated_address() {
	topology_containers
	in_ns host nft -f - <<-'EOF'
		table ip nat {
			chain postrouting {
				type nat hook postrouting priority 100
				oifname "wan" masquerade
			}
		}
	EOF
	start_agent host --only net:10.3.0.1
	udp -n 4 -s 100 -r 2 c1 "$CLIENT" world "$SERVER:443"
	udp -n 3 -s 100 c1 "$CLIENT" c2 10.2.0.3:5001
	stop_agent host
	expect_report host 6 "$CLIENT - $SERVER:443 Bytes: $((6 * 128))" \
		"# filtered flows=1 bytes=$((3 * 128)) packets=3"
}

once_filter_mistakes() {
	topology_wire
	expect_status 2 "--only: 'net:10.1.2.3/8': net: the address has bits set behind its length" \
		--only net:10.1.2.3/8
	expect_status 2 "--ignore: 'or' at the end" --ignore 'port:53 or'
}
