/*
 * assigned.h - addresses and DNS servers that peers have assigned to us (RFC 7296 2.19).
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_ASSIGNED_H
#define MENDIP_ASSIGNED_H

#include "daemon.h"

/*
 * As the op `config` of struct tunnel_ops. An address without a user is removed by assigned_settle,
 * so that it and the routes from it stay when one user follows another within one turn.
 */
void assigned_change(struct daemon *d, const struct conn_conf *conf, uint16_t device,
		     const struct cp_config *config, bool add);
/* To be called once per turn of the loop. */
void assigned_settle(struct daemon *d);
/* Adds all addresses again that are missing, and tells DNS servers again, as after a device was
 * made again. */
void assigned_repair(struct daemon *d);
/* At a start, once tunnels were taken over: takes back the DNS servers that another process has
 * left on devices that have none now. */
void assigned_take_back(struct daemon *d);
/* gone: takes back what systemd-resolved was given, as the tunnels have ended. */
void assigned_free(struct daemon *d, bool gone);

#endif
