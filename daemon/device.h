/*
 * device.h - the TUN devices: the one that children share, and children's own.
 * SPDX-License-Identifier: ISC
 *
 * A child's device has an index, here and in the data path (struct esp_device). An index is given
 * to another device only when no SA is left that refers to it, so that a late packet never reaches
 * the device of another child. Index 0 is the shared device; net.c makes routes to it. Routes to
 * the other devices are left to other programs; the link of such a device is up while one of its
 * children is.
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
	struct event *readable; /* NULL while the device does not exist */
	uint32_t mtu, refused;	/* bytes; refused: the last MTU that could not be set, or 0 */
	unsigned users;		/* SAs that carry packets, plus traps */
	bool link;		/* as last set in the kernel */
	bool link_unknown;	/* the link was last set by the process before us */
	bool wanted;		/* by the configuration */
	bool found;		/* it was there before this process opened it */
};

struct devices {
	struct device **all; /* the devices stay where they are as long as the daemon runs */
	uint16_t count;
	struct tun_counters counters; /* of all devices */
	struct event *again;	      /* tries to make missing devices */
	bool stale;		      /* a link may have changed */
};

/* Makes the shared device. 0, or -errno with the reason in the log. */
int devices_init(struct daemon *d) MUST_CHECK;
void devices_fini(struct daemon *d);
/*
 * Makes the devices that the children of c name and that are missing. One that cannot be made is
 * reported in the log and tried again every 10 s.
 */
void devices_make(struct daemon *d, const struct config *c);
/* The index of the device of this name, which a child of the configuration names. */
uint16_t device_index(const struct daemon *d, const char *name);
/* Closes the devices that the configuration of the last devices_make does not name. */
void devices_prune(struct daemon *d);
/* Adds or removes a user of the device. devices_settle, called once per turn, sets the link. */
void device_use(struct daemon *d, uint16_t index, bool add);
void devices_settle(struct daemon *d);
/* Writes super and resets it; tells the data path which offloads the device accepts from now on. */
void device_write(struct device *v, struct pkt_super *super);
/* Starts or stops reading from all devices. */
void devices_read(struct daemon *d, bool on);
/* To be called when another program has removed the device: makes it again, at once or as soon as
 * possible. */
void device_lost(struct device *v);

#endif
