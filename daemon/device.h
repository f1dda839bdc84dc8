/*
 * device.h - the TUN devices: one for all children, and those that some have to themselves.
 * SPDX-License-Identifier: ISC
 *
 * A child's device is known by an index, here as in the data path (struct esp_device). It gets
 * another name only when no SA is left that has it: what comes late never reaches the device of
 * another child. Index 0 is the device that all other children share; net.c makes routes to it. To
 * devices of children's own others make routes, and the link of such a device is up while one of
 * its children is.
 */
#ifndef MENDIP_DEVICE_H
#define MENDIP_DEVICE_H

#include <event2/event.h>

#include "tun.h"

struct config;
struct daemon;

struct device {
	struct daemon *daemon;
	struct tun tun;
	struct event *readable; /* NULL while there is no device */
	uint32_t mtu, refused;	/* refused: the MTU that could not be set last */
	unsigned users;		/* SAs that carry packets, and traps */
	bool link;		/* as the kernel was told last */
	bool link_unknown;	/* by another process */
	bool wanted;		/* by the configuration */
};

struct devices {
	struct device **all; /* in place as long as the daemon runs */
	uint16_t count;
	struct tun_counters counters; /* of all */
	struct event *again;	      /* tries to make what is missing */
	bool stale;		      /* a link may have changed */
};

/* Makes the device of all. -errno, told in the log. */
int devices_init(struct daemon *d) MUST_CHECK;
void devices_fini(struct daemon *d);
/*
 * Gives each child of the configuration, which is not in use yet, its index, and makes the devices
 * that are missing. One that cannot be made is told in the log and tried again every 10 seconds.
 */
void devices_assign(struct daemon *d, struct config *c);
/* What the configuration in use has no more goes. */
void devices_prune(struct daemon *d);
/* One more or one less uses the device; devices_settle, once a turn, tells the kernel. */
void device_use(struct daemon *d, uint16_t index, bool add);
void devices_settle(struct daemon *d);
/* Writes and empties what was put together, and tells the data path what the device takes next. */
void device_write(struct device *v, struct pkt_super *super);
/* Whether what the devices have is read. */
void devices_read(struct daemon *d, bool on);
/* Somebody has removed it: it is made again, at once or when that is possible. */
void device_lost(struct device *v);

#endif
