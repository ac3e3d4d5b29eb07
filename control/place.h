/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the control socket is: control.sock in $RUNTIME_DIRECTORY (systemd.exec(5)), else in
 * /run/flowtally. There may be an agent in each network namespace: who comes when that one is taken
 * listens at control-INODE.sock, INODE being its namespace's.
 */
#ifndef FLOWTALLY_PLACE_H
#define FLOWTALLY_PLACE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

/* Members may use the socket, if there is such a group. */
#define CONTROL_GROUP "flowtally"

struct control_place;

/* The inode of this process's network namespace, its name among all of them; 0: not known. */
uint64_t control_netns(void);

/*
 * Listens; one process at a time in a network namespace. A socket that nobody listens on any more
 * is replaced; what is no socket of ours is left alone. 0, or negative errno with words in problem.
 */
int control_place_claim(struct control_place **ret, char *problem, size_t size);
/* Removes the socket, if it still is the one that was made. */
void control_place_free(struct control_place *place);
/* The listening descriptor, not blocking; borrowed. */
int control_place_fd(const struct control_place *place);
const char *control_place_path(const struct control_place *place);

/*
 * The places to look for the agent of this namespace, the most likely first: fills in *address for
 * number 0, 1, ... -ENOENT: there are no more; -ENAMETOOLONG: this one's path is too long.
 */
int control_place_candidate(unsigned int number, struct sockaddr_un *address);

/* Removes sockets of dead agents; no agent runs in this network namespace. Returns how many. */
int control_place_sweep(void);

#endif
