// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/link_tunnel.h"

#include "lib/address.h"
#include "lib/array.h"
#include "netlink/attr.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/in.h>
#include <string.h>

/* 4 bytes or 16, whichever IP version the device runs over. */
static int parse_address(const struct nlattr *attr, uint8_t address[16])
{
	static const uint8_t any[4];
	const uint8_t *bytes = mnl_attr_get_payload(attr);

	switch (mnl_attr_get_payload_len(attr)) {
	case 4:
		if (memcmp(bytes, any, sizeof(any)) != 0)
			address_from_ipv4(address, bytes);
		return 0;
	case 16:
		memcpy(address, bytes, 16);
		return 0;
	default:
		return -EBADMSG;
	}
}

/* The remote end: a group stands for all its members. */
static int parse_remote(const struct nlattr *attr, struct link_tunnel *tunnel)
{
	int r = parse_address(attr, tunnel->remote);

	if (!r && address_is_multicast(tunnel->remote))
		memset(tunnel->remote, 0, sizeof(tunnel->remote));
	return r;
}

static int parse_vxlan(const struct nlattr *attr, void *data)
{
	struct link_tunnel *tunnel = data;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_VXLAN_PORT:
		return attr_be16(attr, &tunnel->port);
	case IFLA_VXLAN_LOCAL:
	case IFLA_VXLAN_LOCAL6:
		return parse_address(attr, tunnel->local);
	case IFLA_VXLAN_GROUP:
	case IFLA_VXLAN_GROUP6:
		return parse_remote(attr, tunnel);
	default:
		return 0;
	}
}

static int parse_geneve(const struct nlattr *attr, void *data)
{
	struct link_tunnel *tunnel = data;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_GENEVE_PORT:
		return attr_be16(attr, &tunnel->port);
	case IFLA_GENEVE_REMOTE:
	case IFLA_GENEVE_REMOTE6:
		return parse_remote(attr, tunnel);
	default:
		return 0;
	}
}

/* The only one that outer packets have. */
static void set_protocol(struct link_tunnel *tunnel, uint8_t protocol)
{
	memset(tunnel->protocols, 0, sizeof(tunnel->protocols));
	tunnel->protocols[0] = protocol;
}

/* Inside UDP (FOU, GUE) instead of right behind the IP header. */
static int parse_encapsulation(const struct nlattr *attr, struct link_tunnel *tunnel)
{
	uint16_t type;
	int r = attr_u16(attr, &type);

	if (!r && type != TUNNEL_ENCAP_NONE)
		set_protocol(tunnel, IPPROTO_UDP);
	return r;
}

static int parse_gre(const struct nlattr *attr, void *data)
{
	struct link_tunnel *tunnel = data;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_GRE_LOCAL:
		return parse_address(attr, tunnel->local);
	case IFLA_GRE_REMOTE:
		return parse_remote(attr, tunnel);
	case IFLA_GRE_ENCAP_TYPE:
		return parse_encapsulation(attr, tunnel);
	case IFLA_GRE_ENCAP_DPORT:
		return attr_be16(attr, &tunnel->port);
	default:
		return 0;
	}
}

static int parse_carried(const struct nlattr *attr, struct link_tunnel *tunnel)
{
	uint8_t protocol;
	int r = attr_u8(attr, &protocol);

	/* 0: all that the device can carry, which is what is there already */
	if (!r && protocol && tunnel->protocols[0] != IPPROTO_UDP)
		set_protocol(tunnel, protocol);
	return r;
}

static int parse_iptun(const struct nlattr *attr, void *data)
{
	struct link_tunnel *tunnel = data;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_IPTUN_LOCAL:
		return parse_address(attr, tunnel->local);
	case IFLA_IPTUN_REMOTE:
		return parse_remote(attr, tunnel);
	case IFLA_IPTUN_PROTO:
		return parse_carried(attr, tunnel);
	case IFLA_IPTUN_ENCAP_TYPE:
		return parse_encapsulation(attr, tunnel);
	case IFLA_IPTUN_ENCAP_DPORT:
		return attr_be16(attr, &tunnel->port);
	default:
		return 0;
	}
}

static const struct tunnel_kind {
	const char *name;
	attr_callback parse;
	uint8_t protocols[4];
	bool other_remotes; /* a VXLAN device sends where its forwarding table says, and receives
			       from everywhere (kernel drivers/net/vxlan) */
} tunnel_kinds[] = {
	{"vxlan", parse_vxlan, {IPPROTO_UDP}, .other_remotes = true},
	{"geneve", parse_geneve, {IPPROTO_UDP}, .other_remotes = false},
	{"gre", parse_gre, {IPPROTO_GRE}, .other_remotes = false},
	{"gretap", parse_gre, {IPPROTO_GRE}, .other_remotes = false},
	{"erspan", parse_gre, {IPPROTO_GRE}, .other_remotes = false},
	{"ip6gre", parse_gre, {IPPROTO_GRE}, .other_remotes = false},
	{"ip6gretap", parse_gre, {IPPROTO_GRE}, .other_remotes = false},
	{"ip6erspan", parse_gre, {IPPROTO_GRE}, .other_remotes = false},
	{"ipip", parse_iptun, {IPPROTO_IPIP, IPPROTO_MPLS}, .other_remotes = false},
	{"sit", parse_iptun, {IPPROTO_IPV6, IPPROTO_IPIP, IPPROTO_MPLS}, .other_remotes = false},
	{"ip6tnl", parse_iptun, {IPPROTO_IPV6, IPPROTO_IPIP, IPPROTO_MPLS}, .other_remotes = false},
};

int link_tunnel_parse(struct link_tunnel *tunnel, const char *kind, const struct nlattr *data)
{
	const struct tunnel_kind *known = NULL;
	int r;

	*tunnel = (struct link_tunnel){0};
	for (size_t i = 0; i < ARRAY_SIZE(tunnel_kinds) && !known; i++)
		if (!strcmp(tunnel_kinds[i].name, kind))
			known = &tunnel_kinds[i];
	if (!known)
		return 0;
	memcpy(tunnel->protocols, known->protocols, sizeof(tunnel->protocols));
	tunnel->other_remotes = known->other_remotes;
	r = attr_each_nested(data, known->parse, tunnel);
	/* without its port, UDP says nothing */
	if (r < 0 || (tunnel->protocols[0] == IPPROTO_UDP && !tunnel->port))
		*tunnel = (struct link_tunnel){0};
	return r;
}

/* Its peers may be anywhere, and move. */
void link_tunnel_of_wireguard(struct link_tunnel *tunnel, __be16 port)
{
	*tunnel = (struct link_tunnel){0};
	if (!port)
		return;
	tunnel->protocols[0] = IPPROTO_UDP;
	tunnel->port = port;
	tunnel->port_is_local = true;
}
