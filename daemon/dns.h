/*
 * dns.h - DNS servers that peers have assigned to us, device by device (RFC 7296 3.15.1), for
 * connections with dns = "resolved". SPDX-License-Identifier: ISC
 *
 * systemd-resolved knows servers and domains of a device. What several connections have been
 * assigned on one device is put together, in the order in which it came.
 */
#ifndef MENDIP_DNS_H
#define MENDIP_DNS_H

#include "sa/ike_config.h"

#define DNS_SERVERS 16 /* of one device; further ones are left out */
#define DNS_DOMAINS 64

/* What holds for one device. Without servers, nothing does. */
struct dns_set {
	struct addr server[DNS_SERVERS];
	const char *domain[DNS_DOMAINS]; /* as in dns_domains */
	unsigned server_count, domain_count;
	unsigned servers_left, domains_left; /* that were left out */
	bool all;			     /* the servers are for all names */
};

struct dns_user;
struct dns_device;

/* What all connections have been assigned. All zeros: nothing. */
struct dns_users {
	struct dns_device *devices; /* by index */
	unsigned count;
};

/*
 * As the op `config` of struct tunnel_ops; keeps a reference of conf. True: what holds for the
 * device has changed.
 */
bool dns_change(struct dns_users *all, const struct conn_conf *conf, uint16_t device,
		const struct cp_config *config, bool add);
/* What holds for the device now. The domains are valid until the next dns_change. */
void dns_get(const struct dns_users *all, uint16_t device, struct dns_set *ret);
void dns_fini(struct dns_users *all);

#endif
