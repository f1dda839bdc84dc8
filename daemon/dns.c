/* dns.c - see dns.h. SPDX-License-Identifier: ISC */
#include "dns.h"
#include "xalloc.h"

#include <sys/queue.h>

/* What the peer of one connection has assigned. */
struct dns_user {
	STAILQ_ENTRY(dns_user) link;
	const struct conn_conf *conf; /* a reference */
	struct cp_config config;
};

struct dns_device {
	STAILQ_HEAD(, dns_user) users;
};

/* The device has a place in the array from now on. */
static struct dns_device *device_at(struct dns_users *all, uint16_t device)
{
	if (device >= all->count) {
		struct dns_device *v = xreallocarray(NULL, device + 1u, sizeof(*v));

		for (unsigned i = 0; i <= device; i++) {
			STAILQ_INIT(&v[i].users);
			if (i < all->count)
				STAILQ_CONCAT(&v[i].users, &all->devices[i].users);
		}
		free(all->devices);
		all->devices = v;
		all->count = device + 1u;
	}
	return &all->devices[device];
}

static struct dns_user *find(const struct dns_device *v, const char *name,
			     const struct cp_config *config)
{
	struct dns_user *u;

	STAILQ_FOREACH(u, &v->users, link)
	{
		if (strcmp(u->conf->name, name) == 0 && cp_eq(&u->config, config))
			return u;
	}
	return NULL;
}

static void user_free(struct dns_device *v, struct dns_user *u)
{
	STAILQ_REMOVE(&v->users, u, dns_user, link);
	conn_unref(u->conf);
	free(u);
}

bool dns_change(struct dns_users *all, const struct conn_conf *conf, uint16_t device,
		const struct cp_config *config, bool add)
{
	struct dns_device *v;
	struct dns_user *u;

	if (conf->dns == DNS_NONE || !config->dns_count)
		return false;
	v = device_at(all, device);
	if (add) {
		u = xzalloc(sizeof(*u));
		u->conf = conn_ref(conf);
		u->config = *config;
		STAILQ_INSERT_TAIL(&v->users, u, link);
		return true;
	}
	u = find(v, conf->name, config);
	if (u)
		user_free(v, u);
	return u != NULL;
}

/* ---- put together ---- */

static void add_server(struct dns_set *s, const struct addr *a)
{
	for (unsigned i = 0; i < s->server_count; i++) {
		if (addr_eq(&s->server[i], a))
			return;
	}
	if (s->server_count < DNS_SERVERS)
		s->server[s->server_count++] = *a;
	else
		s->servers_left++;
}

static void add_domain(struct dns_set *s, const char *domain)
{
	for (unsigned i = 0; i < s->domain_count; i++) {
		if (strcmp(s->domain[i], domain) == 0)
			return;
	}
	if (s->domain_count < DNS_DOMAINS)
		s->domain[s->domain_count++] = domain;
	else
		s->domains_left++;
	s->all |= strcmp(domain, "~.") == 0;
}

void dns_get(const struct dns_users *all, uint16_t device, struct dns_set *ret)
{
	const struct dns_user *u;

	*ret = (struct dns_set){0};
	if (device >= all->count)
		return;
	STAILQ_FOREACH(u, &all->devices[device].users, link)
	{
		const struct name_list *domains = &u->conf->dns_domains;

		for (unsigned i = 0; i < u->config.dns_count; i++)
			add_server(ret, &u->config.dns[i]);
		for (unsigned i = 0; i < domains->count; i++)
			add_domain(ret, domains->v[i]);
		if (!domains->count)
			add_domain(ret, "~.");
	}
}

void dns_fini(struct dns_users *all)
{
	struct dns_user *u;

	for (unsigned i = 0; i < all->count; i++) {
		while ((u = STAILQ_FIRST(&all->devices[i].users)))
			user_free(&all->devices[i], u);
	}
	free(all->devices);
	*all = (struct dns_users){0};
}
