/*
 * kept.h - descriptors that the process before us has left with systemd (handover.h).
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_KEPT_H
#define MENDIP_KEPT_H

struct kept_fds;

/* What the process before us has left; NULL: nothing. The store is empty from then on. */
struct kept_fds *kept_take(void);
/* The descriptor of this name, which is the caller's from now on; -1: there is none. */
int kept_fd(struct kept_fds *k, const char *name);
/* Closes what nobody has asked for; takes NULL. */
void kept_free(struct kept_fds *k);

/* The names of the UDP sockets, by their index, and of a TUN device (of 32 bytes). */
const char *kept_udp_name(unsigned index);
const char *kept_tun_name(const char *device, char *name);

#endif
