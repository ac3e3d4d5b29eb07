/* SPDX-License-Identifier: GPL-2.0-only */
/* What generic netlink says of WireGuard devices (linux/genetlink.h, linux/wireguard.h). */
#ifndef FLOWTALLY_WIREGUARD_MESSAGE_H
#define FLOWTALLY_WIREGUARD_MESSAGE_H

#include <linux/types.h>
#include <stdint.h>

struct nlmsghdr;

/* The number that a family of generic netlink has, of CTRL_CMD_NEWFAMILY. 0; -EBADMSG for a
 * malformed message; -ENOENT for another one. */
int wireguard_parse_family(uint16_t *family, const struct nlmsghdr *message);

/*
 * The listen port of a device, 0 if it has none, of an answer of that family to WG_CMD_GET_DEVICE.
 * 0; -EBADMSG; -ENOENT for another message or one of those that only go on with the peers.
 */
int wireguard_parse_port(__be16 *port, uint16_t family, const struct nlmsghdr *message);

#endif
