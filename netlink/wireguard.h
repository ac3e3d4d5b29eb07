/* SPDX-License-Identifier: GPL-2.0-only */
/* What RTNETLINK does not tell of a WireGuard device, from generic netlink. */
#ifndef FLOWTALLY_WIREGUARD_H
#define FLOWTALLY_WIREGUARD_H

#include <linux/types.h>
#include <stdint.h>

/*
 * The UDP port that the device with this index listens on and sends from, in network byte order; 0:
 * none, it was never up. It changes without a notification. Blocks until the kernel has answered.
 * 0; -EPERM: needs CAP_NET_ADMIN; -ENODEV, -EOPNOTSUPP: no such device, none of WireGuard;
 * -ENOENT: the kernel has no WireGuard; or another negative errno.
 */
int wireguard_get_port(uint32_t ifindex, __be16 *port);

#endif
