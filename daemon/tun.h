/* tun.h - the TUN device: packets and super-packets in and out. SPDX-License-Identifier: ISC */
#ifndef MENDIP_TUN_H
#define MENDIP_TUN_H

#include "esp_path.h"
#include "log.h"

#define TUN_HEADROOM   16 /* before a packet in a buffer, for the virtio-net header */
#define TUN_PACKET_MAX 65536
#define TUN_BUFFER     (TUN_HEADROOM + TUN_PACKET_MAX)

/* Of all devices together. */
struct tun_counters {
	uint64_t read, written, write_errors, bad_headers, refused_runs;
};

struct tun {
	/* the caller's, before tun_open; what is read has the index */
	char name[16]; /* IFNAMSIZ */
	uint16_t device;
	struct tun_counters *counters;

	int fd;		 /* -1: closed */
	bool vnet;	 /* each packet has a virtio-net header (IFF_VNET_HDR) */
	uint8_t offered; /* what the device said it takes: set of enum pkt_accept */
	uint8_t accept;	 /* what we write: less what it refused a short while ago */
	uint32_t rest;	 /* writes until that is tried again; 0: nothing was refused */
	uint8_t *single; /* a packet of a run that the device refused */
};

/*
 * Makes the device, up, non-blocking, with as many offloads as the kernel has, or none with
 * `offload` false. -errno, told in the log.
 */
int tun_open(struct tun *t, uint32_t mtu, bool offload, struct log *log) MUST_CHECK;
/*
 * The same device, with the descriptor that tun_open made in another process. -EINVAL: it is not
 * that device, or has been opened for other offloads; it is not closed then.
 */
int tun_adopt(struct tun *t, int fd, bool offload, struct log *log) MUST_CHECK;
void tun_close(struct tun *t);
/* Up again, if it is not. 1: it was down; -EIO: it cannot be, or has gone. */
int tun_raise(struct tun *t);
int tun_set_mtu(struct tun *t, uint32_t mtu) MUST_CHECK;
int tun_get_mtu(const struct tun *t, uint32_t *ret) MUST_CHECK;
/* Its carrier: what programs that route look at. A kernel before 5.0 has it always. */
void tun_set_link(struct tun *t, bool up);
/*
 * One read into buf of TUN_BUFFER bytes. 1: *out has pkt, len and off of what came; 0: nothing is
 * there; -EBADMSG: something that was dropped and counted; -EIO: the device has gone.
 */
int tun_read(struct tun *t, uint8_t *buf, struct esp_out *out);
/*
 * Finishes, writes and resets what is in super, whose base has TUN_HEADROOM bytes before it. A run
 * that the device refuses is written packet by packet, and its kind left out of super->accept for
 * the next 10,000 writes. What cannot be written is dropped and counted.
 */
void tun_write(struct tun *t, struct pkt_super *super);
/* "csum tso4 tso6 uso", or "none". */
const char *tun_offloads(const struct tun *t, char *buf, size_t size);

#endif
