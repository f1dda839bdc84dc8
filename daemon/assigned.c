/* assigned.c - see assigned.h. SPDX-License-Identifier: ISC */
#include "assigned.h"
#include "device.h"
#include "net.h"
#include "resolved.h"
#include "xalloc.h"

#include <net/if.h>

/* One address on one device; several connections may have been given the same. */
struct assigned {
	SLIST_ENTRY(assigned) link;
	struct addr addr;
	uint16_t device;
	unsigned users;
};

static struct assigned *find(const struct daemon *d, uint16_t device, const struct addr *a)
{
	struct assigned *i;

	SLIST_FOREACH(i, &d->assigned, link)
	{
		if (i->device == device && addr_eq(&i->addr, a))
			return i;
	}
	return NULL;
}

static void address_change(struct daemon *d, const struct assigned *a, bool add)
{
	const char *name = d->devices.all[a->device]->tun.name;
	int ifindex = (int)if_nametoindex(name);
	char text[ADDR_STRLEN];

	if (!add && d->handed) /* the next process goes on with it */
		return;
	log_info(&d->log, "%s: address %s %s", name, addr_format(&a->addr, text),
		 add ? "assigned by the peer" : "withdrawn");
	if (ifindex || add) /* an address goes with its device */
		net_address(d->net, ifindex, &a->addr, add);
}

static void add_one(struct daemon *d, uint16_t device, const struct addr *a)
{
	struct assigned *i = find(d, device, a);

	if (!i) {
		i = xzalloc(sizeof(*i));
		i->addr = *a;
		i->device = device;
		SLIST_INSERT_HEAD(&d->assigned, i, link);
		address_change(d, i, true);
	}
	i->users++;
}

static void drop_one(struct daemon *d, uint16_t device, const struct addr *a)
{
	struct assigned *i = find(d, device, a);

	if (i && i->users && --i->users == 0)
		d->assigned_unused = true;
}

void assigned_settle(struct daemon *d)
{
	struct assigned *i, *next;

	if (!d->assigned_unused)
		return;
	d->assigned_unused = false;
	for (i = SLIST_FIRST(&d->assigned); i; i = next) {
		next = SLIST_NEXT(i, link);
		if (i->users > 0)
			continue;
		SLIST_REMOVE(&d->assigned, i, assigned, link);
		address_change(d, i, false);
		free(i);
	}
}

void assigned_change(struct daemon *d, const struct conn_conf *conf, uint16_t device,
		     const struct cp_config *config, bool add)
{
	struct dns_set dns;

	for (unsigned i = 0; i < config->addr_count; i++)
		(add ? add_one : drop_one)(d, device, &config->addr[i]);
	if (!dns_change(&d->dns, conf, device, config, add))
		return;
	dns_get(&d->dns, device, &dns);
	if (dns.servers_left || dns.domains_left)
		log_warn(&d->log,
			 "%s: %u DNS servers and %u domains are left out: a device has at most %d "
			 "and %d",
			 d->devices.all[device]->tun.name, dns.servers_left, dns.domains_left,
			 DNS_SERVERS, DNS_DOMAINS);
	resolved_tell(d->resolved, device, d->devices.all[device]->tun.name, &dns);
}

void assigned_repair(struct daemon *d)
{
	const struct assigned *i;

	SLIST_FOREACH(i, &d->assigned, link)
	{
		int ifindex = (int)if_nametoindex(d->devices.all[i->device]->tun.name);

		if (ifindex && i->users > 0) /* a missing device is made again soon */
			net_address(d->net, ifindex, &i->addr, true);
	}
	resolved_tell_again(d->resolved);
}

void assigned_take_back(struct daemon *d)
{
	for (uint16_t i = 0; i < d->devices.count; i++) {
		const struct device *v = d->devices.all[i];

		if (v->found)
			resolved_found(d->resolved, i, v->tun.name);
	}
}

void assigned_free(struct daemon *d, bool gone)
{
	struct assigned *i;

	resolved_free(d->resolved, gone);
	dns_fini(&d->dns);
	assigned_settle(d);
	while ((i = SLIST_FIRST(&d->assigned))) {
		SLIST_REMOVE_HEAD(&d->assigned, link);
		free(i);
	}
}
