/*
 * kept.h - descriptors that the process before us left with systemd (handover.h).
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_KEPT_H
#define MENDIP_KEPT_H

#include "data.h"

struct kept_fds;

/* Takes all descriptors out of the store of systemd. NULL: there are none. */
struct kept_fds *kept_take(void);
/* The descriptor of this name; the caller closes it. -1: there is none. Accepts k NULL. */
int kept_fd(struct kept_fds *k, const char *name);
/* Closes the descriptors that kept_fd has not given out. Accepts NULL. */
void kept_free(struct kept_fds *k);

#define KEPT_NAME_LEN 32
/* The names of a UDP socket and of a TUN device; name holds KEPT_NAME_LEN bytes, and is returned.
 */
const char *kept_udp_name(enum udp_use use, uint8_t family, uint16_t port, char *name);
const char *kept_tun_name(const char *device, char *name);

#endif
