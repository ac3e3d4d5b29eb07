#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Frames that no socket sends: what is behind the link header decides, and nothing is dropped in silence.

story_not_ip() {
	topology_wire
	start_agent host
	frames -n 3 peer v1 "$(ethernet 88b5 "$(zeros 46)")"
	stop_agent host
	expect_report host 0 '# unattributed interface=v0 reason=non_ip bytes=138 packets=3'
}

# No version, a header length that no header has, a total length below the header's, a cut header.
story_malformed() {
	local good

	topology_wire
	good=$(ipv4 10.1.0.2 10.1.0.1 17 "$(udp_payload 40000 5001 20)")
	start_agent host
	frames peer v1 \
		"$(ethernet 0800 "05${good:2}")" \
		"$(ethernet 0800 "44${good:2}")" \
		"$(ethernet 0800 "${good:0:4}0010${good:8}")" \
		"$(ethernet 0800 "${good:0:32}")"
	stop_agent host
	expect_report host 0 \
		'# unattributed interface=v0 reason=malformed bytes=160 packets=4'
}

# The padding of a short frame is not of the packet.
story_padding() {
	topology_wire
	start_agent host
	frames -n 5 peer v1 "$(ethernet 0800 \
		"$(ipv4 10.1.0.2 10.1.0.1 17 "$(udp_payload 40000 5001 1)")$(zeros 17)")"
	stop_agent host
	expect_report host 5 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((5 * 29))"
}

story_vlan_tags() {
	local packet

	topology_wire
	packet=$(ipv4 10.1.0.2 10.1.0.1 17 "$(udp_payload 40000 5001 100)")
	start_agent host
	frames peer v1 "$(ethernet 8100 "00050800$packet")" \
		"$(ethernet 88a8 "000681000005""0800$packet")"
	stop_agent host
	expect_report host 2 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: 256"
}

story_protocol_without_ports() {
	topology_wire
	start_agent host
	frames -n 2 peer v1 "$(ethernet 0800 "$(ipv4 10.1.0.2 10.1.0.1 47 "$(zeros 80)")")"
	stop_agent host
	expect_report host 2 "10.1.0.1:0 - 10.1.0.2:0 Bytes: 200"
}

# Later fragments have no ports: they follow the first one, and have port 0 where it has not come yet.
story_fragments_out_of_order() {
	local first second

	topology_wire
	# more fragments, offset 0; then offset 13, eight bytes each
	first=$(ipv4 10.1.0.2 10.1.0.1 17 "$(udp_payload 40000 5001 96)" $((0x2000)))
	second=$(ipv4 10.1.0.2 10.1.0.1 17 "$(zeros 60)" 13)
	start_agent host
	frames peer v1 "$(ethernet 0800 "$second")" "$(ethernet 0800 "$first")" \
		"$(ethernet 0800 "$second")"
	stop_agent host
	expect_report host 3 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((124 + 80))" \
		"10.1.0.1:0 - 10.1.0.2:0 Bytes: 80"
}
