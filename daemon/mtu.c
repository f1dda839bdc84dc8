/*
 * mtu.c - the largest inner packet per SA: the MTU of its path less what ESP and UDP add.
 * SPDX-License-Identifier: ISC
 *
 * The kernel learns the path's MTU from ICMP, as we set DF where the inner packet has it. We ask
 * the kernel when a CHILD SA comes up, when a datagram was too long, and periodically.
 */
#include "daemon.h"
#include "xalloc.h"

#include <stdio.h>

#define LOOK_AT_ONCE 64	   /* slots of the SAD per second */
#define IP_MAX	     65535 /* an IP packet */
/*
 * Linux does not accept a smaller MTU from ICMP of IPv4; it uses this value instead. Every link has
 * 1,280 bytes for IPv6 (RFC 8200 5), so there is no such floor.
 */
#define MIN_PMTU   "/proc/sys/net/ipv4/route/min_pmtu"
#define PATH_FLOOR 552 /* by default */

/* Bytes of the headers before ESP: IP, and UDP if there is one. */
static uint32_t outer_len(const struct esp_dest *dest)
{
	return (dest->remote.addr.family == FAMILY_IPV6 ? 40u : 20u) +
	       (dest->remote.port ? 8u : 0u);
}

/*
 * Applies the path's MTU (0: unknown) to the SA. At the floor the path may be narrower still, and
 * datagrams with DF would be lost there, so DF is not set then.
 */
static void set_sa(const struct daemon *d, struct esp_out_sa *out, uint32_t path)
{
	uint32_t outer = outer_len(&out->dest);
	uint32_t fits = path > outer ? esp_payload_max(out->suite, path - outer) : 0;

	/* out->mtu 0 means unlimited. */
	out->mtu = path ? (uint32_t)max_u64(fits, 1) : 0;
	out->narrow = path && path <= d->path_floor && out->dest.remote.addr.family == FAMILY_IPV4;
}

/* The MTU of the loopback device is larger than an IP packet can be. */
static uint32_t path_mtu(const struct endpoint *local, const struct endpoint *remote)
{
	return (uint32_t)min_u64(udp_path_mtu(local, remote), IP_MAX);
}

static void set_device(struct device *v, uint32_t least)
{
	struct log *log = &v->daemon->log;
	uint32_t mtu = (uint32_t)max_u64(least, MTU_MIN);

	if (least == 0 || mtu == v->mtu || !v->readable)
		return;
	if (tun_set_mtu(&v->tun, mtu) < 0) {
		/* Tried again every second, but logged once. */
		if (v->refused != mtu)
			log_warn(log, "the MTU of %s cannot be set to %u", v->tun.name, mtu);
		v->refused = mtu;
		return;
	}
	v->mtu = mtu;
	v->refused = 0;
	log_info(log, "MTU of %s: %u", v->tun.name, mtu);
}

/* Unless an MTU is configured, sets that of each device to what fits all SAs that use it. */
static void set_devices(struct daemon *d)
{
	const struct sad *sad = &d->tunnel->path->sad;
	uint32_t *least;

	if (d->config->fixed.mtu)
		return;
	least = xzalloc(d->devices.count * sizeof(*least));
	for (uint32_t i = 0; i < sad->slot_count; i++) {
		const struct esp_sa *sa = sad->slots[i];

		if (sa && sa->out.key && sa->out.mtu) {
			uint32_t *l = &least[sa->in.device];

			*l = *l ? (uint32_t)min_u64(*l, sa->out.mtu) : sa->out.mtu;
		}
	}
	for (uint16_t i = 0; i < d->devices.count; i++)
		set_device(d->devices.all[i], least[i]);
	free(least);
}

void mtu_look(struct daemon *d, const struct endpoint *local, const struct endpoint *remote)
{
	const struct sad *sad = &d->tunnel->path->sad;
	uint32_t path = path_mtu(local, remote);

	for (uint32_t i = 0; i < sad->slot_count; i++) {
		struct esp_sa *sa = sad->slots[i];

		if (sa && sa->out.key && endpoint_eq(&sa->out.dest.remote, remote))
			set_sa(d, &sa->out, path);
	}
	set_devices(d);
}

/* Paths change without notice: checks all SAs in turn, some per second. */
static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;
	const struct sad *sad = &d->tunnel->path->sad;

	(void)fd;
	(void)what;
	for (uint32_t i = 0; i < LOOK_AT_ONCE && i < sad->slot_count; i++) {
		struct esp_sa *sa;

		d->mtu_next = (d->mtu_next + 1) % sad->slot_count;
		sa = sad->slots[d->mtu_next];
		if (sa && sa->out.key)
			set_sa(d, &sa->out, path_mtu(&sa->out.dest.local, &sa->out.dest.remote));
	}
	set_devices(d);
}

static uint32_t read_floor(void)
{
	FILE *f = fopen(MIN_PMTU, "re");
	unsigned floor = 0;

	if (!f || fscanf(f, "%u", &floor) != 1 || floor > IP_MAX)
		floor = PATH_FLOOR;
	if (f)
		fclose(f);
	return (uint32_t)floor;
}

int mtu_init(struct daemon *d)
{
	struct timeval every = {.tv_sec = 1};

	d->path_floor = read_floor();
	d->mtu_timer = event_new(d->base, -1, EV_PERSIST, on_timer, d);
	if (!d->mtu_timer)
		return -ENOMEM;
	event_priority_set(d->mtu_timer, PRIORITY_CONTROL);
	event_add(d->mtu_timer, &every);
	return 0;
}

void mtu_fini(struct daemon *d)
{
	if (d->mtu_timer)
		event_free(d->mtu_timer);
}
