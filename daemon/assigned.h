/*
 * assigned.h - addresses that peers have assigned to us, on TUN devices (RFC 7296 2.19).
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_ASSIGNED_H
#define MENDIP_ASSIGNED_H

#include "daemon.h"

/* As the op `config` of struct tunnel_ops. */
void assigned_change(struct daemon *d, uint16_t device, const struct cp_config *config, bool add);
/* Adds all addresses again that are missing, as after a device was made again. */
void assigned_repair(struct daemon *d);
void assigned_free(struct daemon *d);

#endif
