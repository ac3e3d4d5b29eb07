// SPDX-License-Identifier: GPL-2.0-only
#include "tests/unit/stack_fixture.h"

static const struct topology_role *role(const char *name)
{
	return &stack.roles[stack_find(&stack, name)];
}

/* "first", "repeat", "any", or the references: "br0.out eth0.in" in order of their ids. */
static const char *sight(const char *name, enum hook hook)
{
	const struct topology_hook *h = &role(name)->hook[hook];
	static const char *const names[HOOKS] = {"in", "out", "unsure", "turned"};
	static char text[256];

	if (h->sight != SIGHT_JUDGED) {
		assert_int_equal(h->reference_count, 0);
		return h->sight == SIGHT_FIRST ? "first" : "repeat";
	}
	text[0] = 0;
	for (size_t i = 0; i < h->reference_count; i++) {
		const struct topology_reference *r = &h->references[i];

		if (r->id == TOPOLOGY_ANY) {
			assert_int_equal(h->reference_count, 1);
			return "any";
		}
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s.%s", i ? " " : "",
			 stack.names[r->id - 101], names[r->hook]);
	}
	return text;
}

static void assert_sights(const char *name, const char *in, const char *out)
{
	assert_string_equal(sight(name, HOOK_INGRESS), in);
	assert_string_equal(sight(name, HOOK_EGRESS), out);
}

/* A container host: uplink, bridge with two containers' veths. */
static void container_host(void **state)
{
	(void)state;
	add_container_host();
	stack_resolve(&stack);
	assert_sights("lo", "repeat", "first");
	assert_sights("eth0", "first", "first");
	assert_sights("br0", "repeat", "first");
	/* what is born is a repeat by class; judged is only what came in unseen: nothing here */
	assert_sights("vc1", "first", "br0.out");
	assert_true(role("vc1")->born_repeat);
	assert_false(role("br0")->born_repeat);
	for (size_t i = 0; i < stack.count; i++) {
		assert_true(stack.roles[i].covered);
		assert_int_equal(stack.roles[i].id, stack.links[i].id);
	}
	assert_int_equal(role("vc1")->level, 0);
	assert_int_equal(role("br0")->level, 1);
}

static void bridge_excluded(void **state)
{
	(void)state;
	add_container_host();
	stack_exclude(&stack, "br0");
	stack_resolve(&stack);
	assert_true(role("br0")->covered);
	assert_int_equal(role("br0")->id, 0);
	assert_false(role("vc1")->born_repeat);
	assert_sights("vc1", "first", "first");
	assert_sights("eth0", "first", "first");
}

static void port_excluded(void **state)
{
	(void)state;
	add_container_host();
	stack_exclude(&stack, "vc1");
	stack_resolve(&stack);
	assert_false(role("vc1")->covered);
	assert_true(role("br0")->covered);
	assert_sights("br0", "vc2.in", "first");
	assert_sights("vc2", "first", "br0.out");
}

static void bridge_and_port_excluded(void **state)
{
	(void)state;
	add_container_host();
	stack_exclude(&stack, "br0");
	stack_exclude(&stack, "vc1");
	stack_resolve(&stack);
	/* iif = br0 at eth0: came from vc1, unseen, or from vc2, seen */
	assert_false(role("br0")->covered);
	assert_true(role("br0")->partial);
	assert_false(role("vc1")->partial || role("vc2")->partial);
	assert_sights("eth0", "first", "first");
	assert_string_equal(sight("eth0", HOOK_UNSURE), "vc2.in");
	assert_string_equal(sight("lo", HOOK_UNSURE), "vc2.in");
}

/* Every egress hook would refer to them all: no more than 16 are listed. */
static void many_ports_of_a_partial_bridge(void **state)
{
	(void)state;
	add_container_host();
	stack_exclude(&stack, "br0");
	stack_exclude(&stack, "vc1");
	for (int i = 2; i <= 17; i++) {
		char name[16];

		snprintf(name, sizeof(name), "port%d", i);
		stack_add(&stack, name, "physical");
		if (i == 17) {
			stack_resolve(&stack);
			assert_string_equal(sight("eth0", HOOK_UNSURE),
					    "vc2.in port2.in port3.in port4.in port5.in port6.in "
					    "port7.in port8.in port9.in port10.in port11.in "
					    "port12.in port13.in port14.in port15.in port16.in");
		}
		stack_port(&stack, name, "br0");
	}
	stack_resolve(&stack);
	assert_string_equal(sight("eth0", HOOK_UNSURE), "any");
}

static void all_ports_excluded(void **state)
{
	(void)state;
	add_container_host();
	stack_exclude(&stack, "vc1");
	stack_exclude(&stack, "vc2");
	stack_resolve(&stack);
	assert_sights("br0", "first", "first");
	stack_exclude(&stack, "br0");
	stack_resolve(&stack);
	assert_false(role("br0")->covered || role("br0")->partial);
	assert_string_equal(sight("eth0", HOOK_UNSURE), "first");
	assert_sights("eth0", "first", "first");
}

static void empty_bridge(void **state)
{
	(void)state;
	stack_add(&stack, "br0", "bridge");
	stack_add(&stack, "br1", "bridge");
	stack_exclude(&stack, "br1");
	stack_resolve(&stack);
	assert_sights("br0", "first", "first");
	assert_false(role("br1")->covered);
}

static void stacked_devices(void **state)
{
	static const char *const kinds[] = {"vlan", "macvlan", "macvtap", "ipvlan", "ipvtap"};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		stack.count = 0;
		stack_add(&stack, "eth0", "physical");
		stack_over(&stack, "up", kinds[i], "eth0");
		stack_resolve(&stack);
		assert_sights("up", "repeat", "first");
		assert_string_equal(sight("eth0", HOOK_EGRESS), "up.out");
		/* a macvlan's packet to a sibling is received by the lower device */
		assert_string_equal(sight("eth0", HOOK_INGRESS),
				    strncmp(kinds[i], "macv", 4) ? "first" : "up.out");
		assert_int_equal(role("up")->level, 1);

		stack_exclude(&stack, "eth0");
		stack_resolve(&stack);
		assert_sights("up", "first", "first");
		assert_true(role("up")->covered);
		assert_false(role("eth0")->covered);
		for (size_t l = 0; l < stack.count; l++)
			topology_role_clean(&stack.roles[l]);
		stack.resolved = false;
	}
}

static void lower_in_other_netns_is_none(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_over(&stack, "mv", "macvlan", "eth0");
	stack.links[1].lower_in_other_netns = true;
	stack_resolve(&stack);
	assert_sights("mv", "first", "first");
	assert_sights("eth0", "first", "first");
	assert_int_equal(role("mv")->level, 0);
}

static void tunnels_carry_other_packets(void **state)
{
	static const char *const kinds[] = {"vxlan", "geneve", "gre", "gretap", "ipip",
					    "sit",   "ip6tnl", "vti", "xfrm",	"wireguard"};

	(void)state;
	stack_add(&stack, "eth0", "physical");
	for (size_t i = 0; i < 10; i++)
		stack_over(&stack, kinds[i], kinds[i], "eth0");
	stack_resolve(&stack);
	for (size_t i = 0; i < stack.count; i++) {
		assert_sights(stack.names[i], "first", "first");
		assert_int_equal(stack.roles[i].level, 0);
	}
}

static void macsec_shows_other_packets_but_for_offload(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_over(&stack, "ms0", "macsec", "eth0");
	stack_resolve(&stack);
	assert_sights("ms0", "eth0.in", "first");
	assert_sights("eth0", "first", "ms0.out");
	stack_exclude(&stack, "ms0");
	stack_resolve(&stack);
	assert_false(role("ms0")->covered);
	assert_sights("eth0", "first", "first");
}

/* hv_netvsc: the rest comes from the host past the virtual function. */
static void master_that_receives_by_itself(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_add(&stack, "vf", "physical");
	stack_add(&stack, "eth1", "physical");
	stack_port(&stack, "vf", "eth0");
	stack_resolve(&stack);
	assert_sights("eth0", "vf.in", "first");
	assert_sights("vf", "first", "eth0.out");
	assert_false(role("vf")->born_repeat);
	stack_exclude(&stack, "vf");
	stack_resolve(&stack);
	assert_sights("eth0", "first", "first");
	assert_true(role("eth0")->covered);
	stack.links[1].id = 102;
	stack_exclude(&stack, "eth0");
	stack_resolve(&stack);
	assert_true(role("eth0")->partial && !role("eth0")->covered);
	assert_sights("vf", "first", "first");
	assert_string_equal(sight("eth1", HOOK_UNSURE), "vf.in");
}

static void master_whose_ports_carry_other_packets(void **state)
{
	(void)state;
	stack_add(&stack, "bat0", "batadv");
	stack_add(&stack, "eth0", "physical");
	stack_port(&stack, "eth0", "bat0");
	stack_resolve(&stack);
	assert_sights("bat0", "first", "first");
	assert_sights("eth0", "first", "first");
	assert_int_equal(role("bat0")->level, 0);
	stack_exclude(&stack, "bat0");
	stack_resolve(&stack);
	assert_false(role("bat0")->covered || role("bat0")->partial);
}

static void bond_under_bridge(void **state)
{
	(void)state;
	stack_add(&stack, "s1", "physical");
	stack_add(&stack, "s2", "physical");
	stack_add(&stack, "bd", "bond");
	stack_add(&stack, "br", "bridge");
	stack_over(&stack, "br.5", "vlan", "br");
	stack_port(&stack, "s1", "bd");
	stack_port(&stack, "s2", "bd");
	stack_port(&stack, "bd", "br");
	stack_resolve(&stack);
	assert_sights("s1", "first", "bd.out");
	assert_sights("bd", "repeat", "br.out");
	assert_sights("br", "repeat", "br.5.out");
	assert_sights("br.5", "repeat", "first");
	assert_true(role("s1")->born_repeat && role("bd")->born_repeat);
	assert_int_equal(role("br.5")->level, 3);

	stack_exclude(&stack, "bd");
	stack_resolve(&stack);
	assert_true(role("bd")->covered);
	assert_false(role("s1")->born_repeat);
	assert_sights("s1", "first", "br.out");
	assert_sights("br", "repeat", "br.5.out");

	stack_exclude(&stack, "s1");
	stack_resolve(&stack);
	assert_false(role("bd")->covered);
	assert_string_equal(sight("br", HOOK_INGRESS), "s2.in");
}

static void vlan_as_bridge_port(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_over(&stack, "eth0.5", "vlan", "eth0");
	stack_add(&stack, "br", "bridge");
	stack_port(&stack, "eth0.5", "br");
	stack_resolve(&stack);
	/* born at br: EGRESS there, a repeat by class at eth0.5, EGRESS again at eth0 */
	assert_sights("eth0", "first", "eth0.5.out br.out");
	assert_sights("eth0.5", "repeat", "br.out");
	assert_true(role("eth0.5")->born_repeat);
}

static void born_repeat_needs_all_uppers(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_over(&stack, "eth0.5", "vlan", "eth0");
	stack_add(&stack, "br", "bridge");
	stack_port(&stack, "eth0", "br");
	stack_resolve(&stack);
	assert_true(role("eth0")->born_repeat);
	stack_exclude(&stack, "eth0.5");
	stack_resolve(&stack);
	/* what is born at eth0.5 shows at eth0 first */
	assert_false(role("eth0")->born_repeat);
	assert_sights("eth0", "first", "br.out");
}

static void tags_tell_of_vlans_abroad(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_add(&stack, "bd", "bond")->keeps_tags = true;
	stack_add(&stack, "br", "bridge")->keeps_tags = true;
	stack_port(&stack, "eth0", "bd");
	stack_resolve(&stack);
	assert_true(role("bd")->tags && role("eth0")->tags);
	/* what a port noted it would take for its master's */
	stack_port(&stack, "bd", "br");
	stack_resolve(&stack);
	assert_true(role("br")->tags && role("bd")->tags);
	assert_true(role("eth0")->born_repeat);
	assert_false(role("eth0")->tags);
}

static void tags_tell_nothing(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_add(&stack, "br", "bridge");
	stack_port(&stack, "eth0", "br");
	stack_resolve(&stack);
	/* the bridge gives tags itself, or a queue is between */
	assert_false(role("br")->tags || role("eth0")->tags);
	stack.links[stack_find(&stack, "br")].keeps_tags = true;
	stack_over(&stack, "eth0.5", "vlan", "eth0");
	stack_resolve(&stack);
	/* what eth0.5 sends has got its tag behind its hook */
	assert_true(role("eth0")->born_repeat && role("br")->tags);
	assert_false(role("eth0")->tags);
	stack_exclude(&stack, "br");
	stack_resolve(&stack);
	assert_false(role("br")->tags || role("eth0")->tags);
}

/* The kernel has told of one end only, or what it told of the other is from before that end came
 * here. */
static void veth_pair_known_from_one_end(void **state)
{
	struct topology_link *other;

	(void)state;
	stack_veth_pair(&stack, "va", "vb");
	other = &stack.links[stack_find(&stack, "vb")];
	other->lower = 0;
	stack_resolve(&stack);
	assert_sights("va", "repeat", "first");
	assert_sights("vb", "repeat", "first");
	other->lower = 77;
	other->lower_in_other_netns = true;
	stack_resolve(&stack);
	assert_sights("va", "repeat", "first");
	assert_sights("vb", "repeat", "first");
}

static void veth_pair(void **state)
{
	static const char *const kinds[] = {"veth", "netkit"};

	(void)state;
	stack_veth_pair(&stack, "va", "vb");
	stack_add(&stack, "eth0", "physical");
	for (int k = 0; k < 2; k++) {
		stack.links[0].kind = stack.links[1].kind = kinds[k];
		stack.links[1].id = 102;
		stack_resolve(&stack);
		assert_sights("va", "repeat", "first");
		assert_sights("vb", "repeat", "first");
		assert_sights("eth0", "first", "first");
		stack_exclude(&stack, "vb");
		stack_resolve(&stack);
		assert_sights("va", "any", "first");
		assert_true(role("vb")->covered);
	}
	/* nobody sees what comes out of the pair: it may have gone in seen */
	stack_exclude(&stack, "va");
	stack_resolve(&stack);
	assert_false(role("va")->covered || role("vb")->covered);
	assert_true(role("va")->partial && role("vb")->partial);
	assert_sights("eth0", "first", "first");
	assert_string_equal(sight("eth0", HOOK_UNSURE), "any");
}

/* iif stays what it was on the way down: unsure above is unsure below. */
static void unsure_through_a_stack(void **state)
{
	(void)state;
	stack_veth_pair(&stack, "va", "vb");
	stack_exclude(&stack, "va");
	stack_exclude(&stack, "vb");
	stack_add(&stack, "br0", "bridge");
	stack_veth_abroad(&stack, "vc1");
	stack_veth_abroad(&stack, "vc2");
	stack_port(&stack, "vc1", "br0");
	stack_port(&stack, "vc2", "br0");
	stack_exclude(&stack, "vc2");
	stack_add(&stack, "eth0", "physical");
	stack_over(&stack, "eth0.5", "vlan", "eth0");
	stack_resolve(&stack);
	assert_string_equal(sight("eth0", HOOK_EGRESS), "eth0.5.out");
	assert_string_equal(sight("eth0", HOOK_UNSURE), "any");
	assert_string_equal(sight("eth0.5", HOOK_UNSURE), "any");

	/* now only of the bridge a part is covered */
	stack.links[stack_find(&stack, "va")].id = 500;
	stack.links[stack_find(&stack, "vb")].id = 501;
	stack_exclude(&stack, "br0");
	stack_resolve(&stack);
	assert_true(role("br0")->partial);
	assert_string_equal(sight("eth0", HOOK_EGRESS), "eth0.5.out");
	assert_string_equal(sight("eth0.5", HOOK_UNSURE), "vc1.in");
	assert_string_equal(sight("eth0", HOOK_UNSURE), "vc1.in eth0.5.unsure");
}

static void vrf(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_add(&stack, "red", "vrf");
	stack_port(&stack, "eth0", "red");
	stack_resolve(&stack);
	assert_sights("eth0", "first", "red.out");
	assert_false(role("eth0")->born_repeat);
	assert_sights("red", "repeat", "first");
	stack_exclude(&stack, "red");
	stack_resolve(&stack);
	assert_true(role("red")->covered); /* iif is the VRF, what it received was seen at eth0 */
	assert_sights("eth0", "first", "first");
	stack_exclude(&stack, "eth0");
	stack_resolve(&stack);
	assert_false(role("red")->covered);
}

/* Its own hooks do not show what its slaves receive, though that has it as iif. */
static void vrf_that_is_monitored_and_a_slave_that_is_not(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_add(&stack, "eth1", "physical");
	stack_add(&stack, "red", "vrf");
	stack_port(&stack, "eth0", "red");
	stack_port(&stack, "eth1", "red");
	stack_exclude(&stack, "eth0");
	stack_resolve(&stack);
	assert_false(role("red")->covered);
	assert_true(role("red")->partial);
	assert_string_equal(sight("eth1", HOOK_UNSURE), "eth1.in red.unsure");
}

/* What a macvlan sends to its sibling comes in below after it left: that is no reference of it. */
static void covered_in_part_by_a_device_that_turns_back(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_add(&stack, "eth1", "physical");
	stack_over(&stack, "m1", "macvlan", "eth1");
	stack_add(&stack, "red", "vrf");
	stack_port(&stack, "eth0", "red");
	stack_port(&stack, "eth1", "red");
	stack_exclude(&stack, "eth0");
	stack_resolve(&stack);
	assert_string_equal(sight("m1", HOOK_UNSURE), "any");
	assert_string_equal(sight("eth1", HOOK_UNSURE), "any");
	assert_sights("eth1", "m1.out", "m1.out red.out");
	/* its own entries tell */
	stack_exclude(&stack, "m1");
	stack_resolve(&stack);
	assert_string_equal(sight("eth1", HOOK_UNSURE), "eth1.in red.unsure");
	assert_string_equal(sight("eth1", HOOK_TURNED), "any");
}

/* What hooks show of its packets changes, though none is another hook's reference. */
static void class_of_an_unwatched_bridge(void **state)
{
	struct topology_role before;

	(void)state;
	add_container_host();
	stack_exclude(&stack, "br0");
	stack_exclude(&stack, "vc1");
	stack_resolve(&stack);
	assert_int_equal(topology_role_copy(&before, role("br0")), 0);
	assert_true(topology_class_same(&before, role("br0")));
	stack_exclude(&stack, "vc2");
	stack_resolve(&stack);
	assert_true(topology_role_same(&before, role("br0")));
	assert_false(topology_class_same(&before, role("br0")));
	topology_role_clean(&before);
}

static void openvswitch(void **state)
{
	(void)state;
	stack_add(&stack, "ovs-system", "openvswitch");
	stack_add(&stack, "br-int", "openvswitch");
	stack_add(&stack, "eth0", "physical");
	stack_port(&stack, "eth0", "ovs-system");
	stack_resolve(&stack);
	assert_sights("eth0", "first", "any");
	assert_sights("br-int", "any", "first");
}

/* What nobody saw where it came in is seen here, and later again. */
static void ifb(void **state)
{
	(void)state;
	add_container_host();
	stack_add(&stack, "ifb0", "ifb");
	stack_resolve(&stack);
	assert_sights("ifb0", "first", "first");
	assert_sights("eth0", "first", "first");
	stack_exclude(&stack, "br0");
	stack_resolve(&stack);
	assert_sights("ifb0", "first", "first");
	stack_exclude(&stack, "vc1");
	stack_resolve(&stack);
	assert_sights("ifb0", "first", "any");
}

static void only_ifb_excluded(void **state)
{
	(void)state;
	add_container_host();
	stack_add(&stack, "ifb0", "ifb");
	stack_add(&stack, "ifb1", "ifb");
	stack_exclude(&stack, "ifb1");
	stack_resolve(&stack);
	assert_sights("ifb0", "first", "first");
	assert_true(role("ifb1")->covered);
	stack_exclude(&stack, "br0");
	stack_resolve(&stack);
	assert_true(role("br0")->covered);
	assert_false(role("ifb1")->covered);
}

/* By tc mirred at egress: what was born here says that it was received there. */
static void diverted_at_egress(void **state)
{
	(void)state;
	add_container_host();
	stack.links[stack_find(&stack, "vc1")].diverted = true;
	stack_resolve(&stack);
	assert_true(role("vc1")->partial && !role("vc1")->covered);
	assert_true(role("br0")->covered && role("eth0")->covered);
	assert_sights("vc1", "first", "br0.out");
	/* its ingress hook shows what comes in there as ever */
	assert_sights("br0", "repeat", "first");
	assert_sights("eth0", "first", "first");
	assert_string_equal(sight("eth0", HOOK_UNSURE), "any");
}

static void excluded_macvlan(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_over(&stack, "m1", "macvlan", "eth0");
	stack_over(&stack, "v1", "vlan", "eth0");
	stack_exclude(&stack, "v1");
	stack_resolve(&stack);
	assert_false(role("eth0")->turns);
	assert_string_equal(sight("eth0", HOOK_TURNED), "first");
	stack_exclude(&stack, "m1");
	stack_resolve(&stack);
	assert_true(role("eth0")->turns);
	assert_sights("eth0", "first", "first");
	assert_string_equal(sight("eth0", HOOK_TURNED), "any");
	stack_port(&stack, "eth0", "v1"); /* as a bridge would have it */
	stack.links[stack_find(&stack, "v1")].kind = "bridge";
	stack.links[stack_find(&stack, "m1")].lower = stack.links[stack_find(&stack, "v1")].ifindex;
	stack.links[stack_find(&stack, "v1")].id = 500;
	stack_resolve(&stack);
	assert_false(role("eth0")->turns);
	assert_true(role("v1")->turns);
	assert_sights("v1", "repeat", "first");
	assert_string_equal(sight("v1", HOOK_TURNED), "any");
}

/* Another program may take packets of vc1 away before our hook there. */
static void others_in_front(void **state)
{
	(void)state;
	add_container_host();
	stack.links[stack_find(&stack, "vc1")].preceded = true;
	stack_resolve(&stack);
	assert_sights("vc1", "first", "br0.out");
	assert_false(role("vc1")->covered);
	assert_true(role("vc1")->partial);
	assert_sights("br0", "vc1.in vc2.in", "first");
	assert_true(role("br0")->covered);
	assert_string_equal(sight("eth0", HOOK_UNSURE), "vc1.in");
	assert_true(role("vc2")->covered);
	assert_true(role("eth0")->covered);
	/* what the other end of a pair sends is shown there */
	stack_veth_pair(&stack, "a", "b");
	stack.links[stack_find(&stack, "a")].preceded = true;
	stack_resolve(&stack);
	assert_true(role("a")->covered);
}

static void be_below_strangers(const char *name)
{
	stack.links[stack_find(&stack, name)].strangers = true;
}

/* Containers' macvlans send to each other by way of the VLAN, and nothing shows that below it. */
static void strangers_over_a_vlan(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_over(&stack, "eth0.5", "vlan", "eth0");
	be_below_strangers("eth0");
	be_below_strangers("eth0.5");
	stack_resolve(&stack);
	assert_sights("eth0.5", "repeat", "first");
	assert_true(role("eth0.5")->turns);
	assert_string_equal(sight("eth0.5", HOOK_TURNED), "first");
	/* it shows first whatever comes */
	assert_sights("eth0", "first", "eth0.5.out");
	assert_false(role("eth0")->turns);
	stack_exclude(&stack, "eth0");
	stack_resolve(&stack);
	assert_sights("eth0.5", "first", "first");
	assert_false(role("eth0.5")->turns);
}

static void strangers_over_excluded(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_over(&stack, "eth0.5", "vlan", "eth0");
	stack_over(&stack, "mv", "macvlan", "eth0.5");
	stack_exclude(&stack, "eth0.5");
	stack_resolve(&stack);
	assert_true(role("eth0.5")->covered);
	assert_sights("mv", "repeat", "first");
	be_below_strangers("eth0.5");
	stack_resolve(&stack);
	assert_false(role("eth0.5")->covered);
	assert_true(role("eth0.5")->partial);
	assert_sights("mv", "eth0.in", "first");
	/* another one of this namespace */
	stack_over(&stack, "mv2", "macvlan", "eth0.5");
	stack_exclude(&stack, "mv2");
	stack.links[stack_find(&stack, "eth0.5")].strangers = false;
	stack_resolve(&stack);
	assert_false(role("eth0.5")->covered);
	assert_sights("mv", "any", "first");
}

static void strangers_over_a_pair(void **state)
{
	(void)state;
	stack_veth_pair(&stack, "a", "b");
	be_below_strangers("a");
	stack_resolve(&stack);
	assert_sights("a", "repeat", "first");
	assert_true(role("a")->turns);
	assert_true(role("a")->covered);
	stack_exclude(&stack, "a");
	stack_resolve(&stack);
	assert_true(role("a")->partial);
}

/* A container's ipvlan sends to the host's, past the device below. */
static void ipvlan_beside_strangers(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_over(&stack, "iv", "ipvlan", "eth0");
	stack_resolve(&stack);
	assert_sights("iv", "repeat", "first");
	assert_true(role("iv")->turns);
	assert_string_equal(sight("iv", HOOK_TURNED), "first");
	assert_false(role("eth0")->turns);
	/* in a VRF it talks to the others of this namespace, too */
	stack_over(&stack, "iv2", "ipvlan", "eth0");
	stack_add(&stack, "red", "vrf");
	stack_port(&stack, "iv2", "red");
	stack_resolve(&stack);
	assert_string_equal(sight("iv", HOOK_TURNED), "any");
	assert_string_equal(sight("iv2", HOOK_TURNED), "any");
}

static void macvlan_siblings_over_excluded(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_over(&stack, "m1", "macvlan", "eth0");
	stack_over(&stack, "m2", "macvlan", "eth0");
	stack_exclude(&stack, "eth0");
	stack_resolve(&stack);
	assert_sights("m1", "any", "first");
}

static void loops_are_cut(void **state)
{
	(void)state;
	stack_add(&stack, "a", "vlan")->lower = 2;
	stack_add(&stack, "b", "vlan")->lower = 3;
	stack_add(&stack, "c", "vlan")->lower = 1;
	stack_add(&stack, "self", "bridge")->master = 4;
	stack_add(&stack, "self2", "vlan")->lower = 5;
	stack_add(&stack, "x", "bridge")->master = 7;
	stack_add(&stack, "y", "bridge")->master = 6;
	stack_add(&stack, "lost", "vlan")->lower = 99;
	stack_resolve(&stack);
	for (size_t i = 0; i < stack.count; i++)
		assert_true(stack.roles[i].level < stack.count);
	assert_sights("lost", "first", "first");
	assert_sights("self", "first", "first");
	assert_int_equal(role("a")->level + role("b")->level + role("c")->level, 0 + 1 + 2);
	for (size_t i = 0; i < stack.count; i++)
		stack.links[i].id = 0;
	stack_resolve(&stack);
	for (size_t i = 0; i < stack.count; i++)
		assert_false(stack.roles[i].covered);
}

/* A packet under way at the swap must be at the judged hook in the new interval. */
static void judged_are_swapped_first(void **state)
{
	(void)state;
	/* not in the order that is to come out */
	stack_add(&stack, "br0", "bridge");
	stack_add(&stack, "eth0", "physical");
	stack_add(&stack, "eth1", "physical");
	stack_over(&stack, "eth0.5", "vlan", "eth0");
	stack_port(&stack, "eth0.5", "br0");
	stack_port(&stack, "eth1", "br0");
	stack_veth_pair(&stack, "a", "b");
	stack_resolve(&stack);
	/* at egress what is below is judged */
	assert_true(role("eth0")->swap_rank < role("eth0.5")->swap_rank);
	assert_true(role("eth0.5")->swap_rank < role("br0")->swap_rank);
	stack_exclude(&stack, "a");
	stack_resolve(&stack);
	/* against anything, so before anything */
	assert_int_equal(role("b")->swap_rank, 0);
	stack_exclude(&stack, "eth1");
	stack_exclude(&stack, "eth0.5");
	stack_resolve(&stack);
	/* at ingress what is above; here eth0 judges br0's as well, and one of them must be first
	 */
	assert_true(role("eth0")->swap_rank != role("br0")->swap_rank);
}

static void nothing(void **state)
{
	(void)state;
	assert_int_equal(topology_resolve(NULL, 0, NULL), 0);
}

/* A bridge with thousands of ports and VLANs, all excluded but these: lists must not multiply. */
static void thousands(void **state)
{
	enum { COUNT = 4000 };
	struct topology_link *links = calloc(COUNT, sizeof(*links));
	struct topology_role *roles = calloc(COUNT, sizeof(*roles));
	size_t references = 0;

	(void)state;
	for (uint32_t i = 0; i < COUNT; i++) {
		links[i] = (struct topology_link){.ifindex = i + 1, .id = i + 1};
		links[i].kind = i % 2 ? "physical" : "vlan";
		links[i].master = i % 2 ? 1 : 0;
		links[i].lower = i % 2 ? 0 : 1;
	}
	links[0] = (struct topology_link){.ifindex = 1, .kind = "bridge"};
	links[1].id = 0;
	assert_int_equal(topology_resolve(links, COUNT, roles), 0);
	for (size_t i = 0; i < COUNT; i++) {
		for (int h = 0; h < 2; h++)
			references += roles[i].hook[h].reference_count;
		topology_role_clean(&roles[i]);
	}
	assert_true(references >= COUNT - 2 && references <= COUNT * 40);
	free(links);
	free(roles);
}

/* What says that a new phase has to begin. */
static void same_roles(void **state)
{
	struct topology_role before = {0};

	(void)state;
	add_container_host();
	stack_resolve(&stack);
	assert_int_equal(topology_role_copy(&before, role("br0")), 0);
	assert_true(topology_role_same(&before, role("br0")));
	stack_exclude(&stack, "vc1");
	stack_resolve(&stack);
	assert_false(topology_role_same(&before, role("br0")));
	topology_role_clean(&before);

	assert_int_equal(topology_role_copy(&before, role("br0")), 0);
	assert_true(topology_role_same(&before, role("br0")));
	topology_role_clean(&before);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup_stack, teardown_stack)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(container_host),
		test(bridge_excluded),
		test(port_excluded),
		test(bridge_and_port_excluded),
		test(many_ports_of_a_partial_bridge),
		test(all_ports_excluded),
		test(empty_bridge),
		test(stacked_devices),
		test(lower_in_other_netns_is_none),
		test(tunnels_carry_other_packets),
		test(macsec_shows_other_packets_but_for_offload),
		test(master_that_receives_by_itself),
		test(master_whose_ports_carry_other_packets),
		test(bond_under_bridge),
		test(vlan_as_bridge_port),
		test(born_repeat_needs_all_uppers),
		test(tags_tell_of_vlans_abroad),
		test(tags_tell_nothing),
		test(veth_pair),
		test(veth_pair_known_from_one_end),
		test(unsure_through_a_stack),
		test(vrf),
		test(vrf_that_is_monitored_and_a_slave_that_is_not),
		test(covered_in_part_by_a_device_that_turns_back),
		test(class_of_an_unwatched_bridge),
		test(openvswitch),
		test(ifb),
		test(only_ifb_excluded),
		test(excluded_macvlan),
		test(diverted_at_egress),
		test(others_in_front),
		test(strangers_over_a_vlan),
		test(strangers_over_excluded),
		test(strangers_over_a_pair),
		test(ipvlan_beside_strangers),
		test(macvlan_siblings_over_excluded),
		test(loops_are_cut),
		test(judged_are_swapped_first),
		test(nothing),
		test(thousands),
		test(same_roles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
