/* tun.h - the TUN device: reads and writes packets and super-packets.
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_TUN_H
#define MENDIP_TUN_H

#include "esp_path.h"
#include "log.h"

#define TUN_HEADROOM   16 /* bytes before a packet in a buffer, for the virtio-net header */
#define TUN_PACKET_MAX 65536
#define TUN_BUFFER     (TUN_HEADROOM + TUN_PACKET_MAX)

/* Sums over all devices. */
struct tun_counters {
	uint64_t read, written, write_errors, bad_headers, refused_runs;
};

struct tun {
	/* set by the caller before tun_open or tun_adopt; device: index of packets that are read */
	char name[16]; /* IFNAMSIZ */
	uint16_t device;
	struct tun_counters *counters;

	int fd;		 /* -1: closed */
	bool vnet;	 /* each packet has a virtio-net header (IFF_VNET_HDR) */
	uint8_t offered; /* offloads that the device accepted: set of enum pkt_accept */
	uint8_t accept;	 /* offloads that we use: offered, less those refused lately */
	uint32_t rest;	 /* writes until refused offloads are tried again; 0: none */
	uint8_t *single; /* TUN_BUFFER bytes, for a packet of a run that the device refused */
};

/*
 * Makes the device, brings it up, and opens it non-blocking, with all offloads that the kernel
 * supports, or none if `offload` is false. 0, or -errno with the reason in the log.
 */
int tun_open(struct tun *t, uint32_t mtu, bool offload, struct log *log) MUST_CHECK;
/*
 * Opens the device with a descriptor that tun_open made in another process. 0; fd belongs to t
 * then. -EINVAL: fd is not that device, or was opened with another `offload`; fd is left open.
 */
int tun_adopt(struct tun *t, int fd, bool offload, struct log *log) MUST_CHECK;
/* Closes t if it is open. */
void tun_close(struct tun *t);
/* Brings the device up if it is down. 1: it was down; 0: it was up; -EIO: failed, or it is gone. */
int tun_raise(struct tun *t);
/* MTU in bytes. 0 or -EIO. */
int tun_set_mtu(struct tun *t, uint32_t mtu) MUST_CHECK;
int tun_get_mtu(const struct tun *t, uint32_t *ret) MUST_CHECK;
/* Sets the carrier, which routing programs watch. Before kernel 5.0 it is always up. */
void tun_set_link(struct tun *t, bool up);
/*
 * One read into buf (TUN_BUFFER bytes). 1: *out has pkt, len and off of the packet; 0: there is
 * nothing to read; -EBADMSG: a packet was dropped and counted; -EIO: the device is gone.
 */
int tun_read(struct tun *t, uint8_t *buf, struct esp_out *out);
/*
 * Finishes, writes and resets super, which must have TUN_HEADROOM bytes before its base. A run that
 * the device refuses is written packet by packet, and its kind left out of super->accept for the
 * next 10,000 writes. Packets that cannot be written are dropped and counted.
 */
void tun_write(struct tun *t, struct pkt_super *super);
/* Returns buf (size bytes) with the offloads in use: "csum tso4 tso6 uso", for example, or "none".
 */
const char *tun_offloads(const struct tun *t, char *buf, size_t size);

#endif
