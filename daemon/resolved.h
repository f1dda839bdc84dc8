/*
 * resolved.h - gives the DNS servers of TUN devices to systemd-resolved by D-Bus
 * (org.freedesktop.resolve1(5)), without blocking the loop. SPDX-License-Identifier: ISC
 *
 * The connection to the bus is made with the first server. It is made again when the bus was
 * restarted, and everything is told again when systemd-resolved was. What fails is tried again
 * after 1, 2, 4 ... 60 s: for each device of its own, unless it is the bus.
 */
#ifndef MENDIP_RESOLVED_H
#define MENDIP_RESOLVED_H

#include <event2/event.h>

#include "dns.h"
#include "log.h"

struct resolved;

/* Keeps log. priority: of events in base. */
struct resolved *resolved_new(struct event_base *base, int priority, struct log *log);
/*
 * From now on this holds for the device with the name and the index; it is copied. resolved_settle
 * sends it.
 */
void resolved_tell(struct resolved *r, uint16_t device, const char *name, const struct dns_set *s);
/*
 * The device was there before us: systemd-resolved may have been told something by the process
 * before. Unless resolved_tell has said what holds for it, that is taken back, and nothing is
 * logged: where systemd-resolved cannot be reached or refuses, nothing was given.
 */
void resolved_found(struct resolved *r, uint16_t device, const char *name);
/* Devices may have been made again: systemd-resolved has forgotten what it knew of them. */
void resolved_tell_again(struct resolved *r);
/* To be called once per turn of the loop. */
void resolved_settle(struct resolved *r);
/*
 * revert: first takes back what was given, and waits for the answers, half a second at most.
 * Accepts NULL.
 */
void resolved_free(struct resolved *r, bool revert);

#endif
