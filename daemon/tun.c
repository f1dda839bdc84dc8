/* tun.c - see tun.h. SPDX-License-Identifier: ISC */
#include "tun.h"
#include "xalloc.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Since kernel 6.2; the kernel takes both or neither. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

/* Writes until a refused offload is tried again: no clock is needed, and a rare refusal is cheap.
 */
#define REST 10000

#define TSO  (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)

static const struct {
	unsigned flags;
	uint8_t accept;
} offload_sets[] = {
	{TSO | TUN_F_USO4 | TUN_F_USO6,
	 PKT_ACCEPT_CSUM | PKT_ACCEPT_TSO4 | PKT_ACCEPT_TSO6 | PKT_ACCEPT_USO},
	{TSO, PKT_ACCEPT_CSUM | PKT_ACCEPT_TSO4 | PKT_ACCEPT_TSO6},
	{TUN_F_CSUM, PKT_ACCEPT_CSUM},
	{0, 0},
};

/* Packets that wait while we do something else: 20 ms at 500,000 packets/s. */
#define QUEUE 10000

/*
 * Changes a device. mtu 0, queue 0: leave as it is. up: bring it up if it is down. Returns 1 if it
 * was brought up, 0 if not, or a negative error of libnl.
 */
static int link_change(const char *name, uint32_t mtu, uint32_t queue, bool up)
{
	struct nl_sock *s = nl_socket_alloc();
	struct rtnl_link *old = NULL, *new = rtnl_link_alloc();
	int r = nl_connect(s, NETLINK_ROUTE);

	if (r == 0)
		r = rtnl_link_get_kernel(s, 0, name, &old);
	up = up && r == 0 && !(rtnl_link_get_flags(old) & IFF_UP);
	if (mtu)
		rtnl_link_set_mtu(new, mtu);
	if (queue)
		rtnl_link_set_txqlen(new, queue);
	if (up)
		rtnl_link_set_flags(new, IFF_UP);
	if (r == 0 && (mtu || queue || up))
		r = rtnl_link_change(s, old, new, 0);
	rtnl_link_put(new);
	rtnl_link_put(old);
	nl_socket_free(s);
	return r < 0 ? r : up;
}

/*
 * Tries sets of offloads in turn until the kernel accepts one. Without a virtio-net header packets
 * cannot describe offloads, so all are turned off: a persistent device keeps those of its last
 * user.
 */
static void set_offloads(struct tun *t, struct log *log)
{
	size_t i = t->vnet ? 0 : ARRAY_SIZE(offload_sets) - 1;

	for (; i < ARRAY_SIZE(offload_sets); i++) {
		if (ioctl(t->fd, TUNSETOFFLOAD, offload_sets[i].flags) == 0) {
			t->accept = t->offered = offload_sets[i].accept;
			return;
		}
	}
	log_warn(log, "TUN device %s: %s: the offloads of its last user may be on", t->name,
		 strerror(errno));
}

/* Sets the size of the header as well, which a persistent device keeps. */
static int attach(struct tun *t, bool vnet)
{
	struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int size = VNET_HEADER_LEN;

	if (vnet)
		ifr.ifr_flags |= IFF_VNET_HDR;
	memcpy(ifr.ifr_name, t->name, IFNAMSIZ);
	t->vnet = vnet;
	if (ioctl(t->fd, TUNSETIFF, &ifr) < 0 || (vnet && ioctl(t->fd, TUNSETVNETHDRSZ, &size) < 0))
		return -errno;
	return 0;
}

int tun_open(struct tun *t, uint32_t mtu, bool offload, struct log *log)
{
	int r;

	t->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	t->accept = t->offered = 0;
	t->rest = 0;
	if (t->fd < 0) {
		r = -errno;
		log_error(log, "/dev/net/tun: %s: is the tun module loaded?", strerror(errno));
		return r;
	}
	r = attach(t, offload);
	if (r == -EINVAL && offload)
		r = attach(t, false);
	if (r < 0) {
		log_error(log, "TUN device %s: %s%s", t->name, strerror(-r),
			  r == -EBUSY	? ": another process has it"
			  : r == -EPERM ? ": needs CAP_NET_ADMIN"
					: "");
		tun_close(t);
		return r;
	}
	set_offloads(t, log);
	r = link_change(t->name, mtu, QUEUE, true);
	if (r < 0) {
		log_error(log, "TUN device %s cannot be brought up: %s", t->name, nl_geterror(r));
		tun_close(t);
		return -EIO;
	}
	t->single = xzalloc(TUN_BUFFER);
	return 0;
}

int tun_adopt(struct tun *t, int fd, bool offload, struct log *log)
{
	struct ifreq ifr = {0};
	bool vnet;

	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return -EINVAL;
	vnet = ifr.ifr_flags & IFF_VNET_HDR;
	if (strncmp(ifr.ifr_name, t->name, IFNAMSIZ) != 0 || !(ifr.ifr_flags & IFF_TUN) ||
	    vnet != offload)
		return -EINVAL;
	t->fd = fd;
	t->accept = t->offered = 0;
	t->rest = 0;
	t->vnet = vnet;
	set_offloads(t, log);
	t->single = xzalloc(TUN_BUFFER);
	return 0;
}

void tun_close(struct tun *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	secret_free(t->single, t->single ? TUN_BUFFER : 0);
	t->single = NULL;
}

int tun_raise(struct tun *t)
{
	int r = link_change(t->name, 0, 0, true);

	return r < 0 ? -EIO : r;
}

int tun_set_mtu(struct tun *t, uint32_t mtu)
{
	return link_change(t->name, mtu, 0, false) < 0 ? -EIO : 0;
}

int tun_get_mtu(const struct tun *t, uint32_t *ret)
{
	struct nl_sock *s = nl_socket_alloc();
	struct rtnl_link *link = NULL;
	int r = nl_connect(s, NETLINK_ROUTE);

	if (r == 0)
		r = rtnl_link_get_kernel(s, 0, t->name, &link);
	if (r == 0)
		*ret = rtnl_link_get_mtu(link);
	rtnl_link_put(link);
	nl_socket_free(s);
	return r < 0 ? -EIO : 0;
}

void tun_set_link(struct tun *t, bool up)
{
	int carrier = up;

	(void)ioctl(t->fd, TUNSETCARRIER, &carrier);
}

/* What a failed read means; see tun_read. */
static int read_error(struct tun *t)
{
	switch (errno) {
	case EAGAIN:
	case EINTR: return 0;
	/* The kernel dropped a packet that it could not describe, or had no memory for. */
	case EINVAL:
	case ENOMEM:
	case ENOBUFS: t->counters->bad_headers++; return -EBADMSG;
	default: return -EIO; /* EBADFD: the device has gone */
	}
}

int tun_read(struct tun *t, uint8_t *buf, struct esp_out *out)
{
	unsigned head = t->vnet ? VNET_HEADER_LEN : 0;
	uint8_t *at = buf + TUN_HEADROOM - head;
	ssize_t n = read(t->fd, at, head + TUN_PACKET_MAX);

	if (n < 0)
		return read_error(t);
	t->counters->read++;
	if (n <= head)
		goto bad;
	esp_out_init(out, buf + TUN_HEADROOM, (uint32_t)n - head, t->device);
	if (head && vnet_read(at, out->len, &out->off) < 0)
		goto bad;
	return 1;
bad:
	t->counters->bad_headers++;
	return -EBADMSG;
}

static int write_packet(struct tun *t, uint8_t *p, uint32_t len, const struct pkt_offload *off,
			uint16_t hdr_len)
{
	unsigned head = t->vnet ? VNET_HEADER_LEN : 0;
	ssize_t n;

	if (head)
		vnet_write(p - head, off, hdr_len);
	n = TEMP_FAILURE_RETRY(write(t->fd, p - head, head + len));
	if (n < 0)
		return -errno;
	if (n != (ssize_t)(head + len))
		return -EIO;
	t->counters->written++;
	return 0;
}

/*
 * The device refused a run: writes its packets one by one. The error does not say whether it
 * refuses all runs of this kind or only this one, so they are tried again after some writes.
 */
static void write_singly(struct tun *t, const struct pkt_super *super)
{
	static const uint8_t bits[] = {[PKT_GSO_TCP4] = PKT_ACCEPT_TSO4,
				       [PKT_GSO_TCP6] = PKT_ACCEPT_TSO6,
				       [PKT_GSO_UDP] = PKT_ACCEPT_USO};
	const struct pkt_offload none = {0};
	struct seg_plan plan;
	struct inner in;

	t->counters->refused_runs++;
	t->accept &= (uint8_t)~bits[super->off.gso];
	t->rest = REST;
	if (inner_parse(super->base, super->len, &in) < 0 ||
	    seg_plan(super->base, &in, &super->off, &plan) < 0) {
		t->counters->write_errors++;
		return;
	}
	for (uint32_t i = 0; i < plan.count; i++) {
		uint8_t *p = t->single + TUN_HEADROOM;

		seg_write(&plan, i, p);
		if (write_packet(t, p, seg_len(&plan, i), &none, 0) < 0)
			t->counters->write_errors++;
	}
}

void tun_write(struct tun *t, struct pkt_super *super)
{
	int r;

	if (super->len == 0)
		return;
	if (t->rest && --t->rest == 0)
		t->accept = t->offered;
	pkt_super_finish(super);
	r = write_packet(t, super->base, super->len, &super->off, super->hdr_len);
	if (r == -EINVAL && super->off.gso != PKT_GSO_NONE)
		write_singly(t, super);
	else if (r < 0)
		t->counters->write_errors++;
	pkt_super_reset(super);
	super->accept = t->accept;
}

const char *tun_offloads(const struct tun *t, char *buf, size_t size)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} names[] = {{PKT_ACCEPT_CSUM, "csum"},
		     {PKT_ACCEPT_TSO4, "tso4"},
		     {PKT_ACCEPT_TSO6, "tso6"},
		     {PKT_ACCEPT_USO, "uso"}};
	size_t at = 0;

	snprintf(buf, size, "none");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (t->accept & names[i].bit && at < size)
			at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? " " : "",
					       names[i].name);
	}
	return buf;
}
