/* ike_config.c - see ike_config.h. SPDX-License-Identifier: ISC */
#include "sa/ike_config.h"
#include "xalloc.h"

#include <stdio.h>
#include <uthash.h>

/* Constant, but for the references to it. */
static struct conn_conf *counted(const struct conn_conf *c)
{
	return (struct conn_conf *)c;
}

const struct conn_conf *conn_ref(const struct conn_conf *c)
{
	counted(c)->refs++;
	return c;
}

static void names_free(struct peer_names *n)
{
	for (unsigned i = 0; n && i < n->count; i++)
		free(n->name[i]);
	free(n);
}

void name_list_add(struct name_list *l, const char *name)
{
	l->v = xreallocarray(l->v, l->count + 1, sizeof(*l->v));
	l->v[l->count++] = xstrdup(name);
}

static void name_list_fini(const struct name_list *l)
{
	for (unsigned i = 0; i < l->count; i++)
		free(l->v[i]);
	free(l->v);
}

static void auth_fini(const struct conn_auth *a)
{
	name_list_fini(&a->certs);
	name_list_fini(&a->cacerts);
	name_list_fini(&a->peer_certs);
	name_list_fini(&a->pubkeys);
	free(a->key);
	free(a->password);
	free(a->eap_id);
	free(a->aaa_id);
}

void conn_unref(const struct conn_conf *c)
{
	if (!c || --counted(c)->refs > 0)
		return;
	for (unsigned i = 0; i < c->child_count; i++) {
		free(c->children[i].name);
		free(c->children[i].device);
		free(c->children[i].local_ts);
		free(c->children[i].remote_ts);
		free(c->children[i].options);
		proposals_free(&c->children[i].proposals);
	}
	free(c->children);
	proposals_free(&counted(c)->proposals);
	for (unsigned i = 0; i < c->pool_count; i++)
		free(c->pools[i].name);
	free(c->pools);
	names_free(c->names);
	free(c->ppk_id);
	free(c->backup);
	name_list_fini(&c->dns_domains);
	auth_fini(&c->auth);
	free(c->name);
	free(counted(c));
}

bool endpoints_have(const struct endpoint *v, unsigned count, const struct addr *a)
{
	for (unsigned i = 0; i < count; i++) {
		if (addr_eq(&v[i].addr, a))
			return true;
	}
	return false;
}

const char *conn_eap_id(const struct conn_conf *c, char *id)
{
	const struct ident *local = &c->local_id;

	if (c->auth.eap_id)
		snprintf(id, IDENT_STRLEN, "%s", c->auth.eap_id);
	else if (local->type == ID_FQDN || local->type == ID_RFC822)
		snprintf(id, IDENT_STRLEN, "%.*s", local->len, (const char *)local->data);
	else
		ident_format(local, id);
	return id;
}

const struct eap_secret *conn_eap_secret(const struct conn_conf *c, const struct psk_store *s)
{
	char id[IDENT_STRLEN];

	if (c->auth.local != AUTH_KIND_EAP_MSCHAPV2)
		return NULL;
	return eap_secret_find(s, conn_eap_id(c, id));
}

bool conn_has_psk(const struct conn_conf *c)
{
	return c->auth.local == AUTH_KIND_PSK || c->auth.remote == AUTH_KIND_PSK;
}

unsigned conn_remote_count(const struct conn_conf *c)
{
	return c->remote_count + (c->names ? c->names->found_count : 0);
}

const struct endpoint *conn_remote(const struct conn_conf *c, unsigned i)
{
	return i < c->remote_count ? &c->remote[i] : &c->names->found[i - c->remote_count];
}

unsigned conn_remote_preference(const struct conn_conf *c, unsigned i)
{
	return i < c->remote_count ? i : c->remote_count + c->names->name_of[i - c->remote_count];
}

bool conn_is_for_anyone(const struct conn_conf *c)
{
	return c->remote_any || ident_is_pattern(&c->remote_id);
}

bool conn_has_remote(const struct conn_conf *c, const struct addr *a)
{
	return endpoints_have(c->remote, c->remote_count, a) ||
	       (c->names && endpoints_have(c->names->found, c->names->found_count, a));
}

void conn_resolved(const struct conn_conf *c, const struct endpoint *found, const uint8_t *name_of,
		   unsigned count)
{
	struct peer_names *n = c->names;

	n->found_count = (unsigned)min_u64(count, CONN_MAX_ADDRS - c->remote_count);
	memcpy(n->found, found, n->found_count * sizeof(*found));
	memcpy(n->name_of, name_of, n->found_count);
}

bool child_conf_same_device(const struct child_conf *a, const struct child_conf *b)
{
	return a->device && b->device ? strcmp(a->device, b->device) == 0 : a->device == b->device;
}

const struct child_conf *conn_child(const struct conn_conf *c, const char *name)
{
	for (unsigned i = 0; i < c->child_count; i++) {
		if (strcmp(c->children[i].name, name) == 0)
			return &c->children[i];
	}
	return NULL;
}

/* ---- sets ---- */

const struct conn_conf *conn_set_find(const struct conn_set *s, const char *name)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (strcmp(s->v[i]->name, name) == 0)
			return s->v[i];
	}
	return NULL;
}

struct conn_name {
	UT_hash_handle hh;
	const char *name;
	int at;
};

struct conn_names {
	struct conn_name *by_name;
	int count;
};

bool conn_names_add(struct conn_names *n, const char *name)
{
	struct conn_name *e;
	int at = n->count++;

	HASH_FIND_STR(n->by_name, name, e);
	if (e)
		return false;
	e = xzalloc(sizeof(*e));
	e->name = name;
	e->at = at;
	HASH_ADD_KEYPTR(hh, n->by_name, e->name, strlen(e->name), e);
	return true;
}

struct conn_names *conn_names_new(const struct conn_set *s)
{
	struct conn_names *n = xzalloc(sizeof(*n));

	for (unsigned i = 0; i < s->count; i++)
		(void)conn_names_add(n, s->v[i]->name);
	return n;
}

void conn_names_free(struct conn_names *n)
{
	struct conn_name *e, *tmp;

	if (!n)
		return;
	HASH_ITER (hh, n->by_name, e, tmp) {
		HASH_DELETE(hh, n->by_name, e);
		free(e);
	}
	free(n);
}

int conn_names_find(const struct conn_names *n, const char *name)
{
	struct conn_name *e;

	HASH_FIND_STR(n->by_name, name, e);
	return e ? e->at : -1;
}

struct conn_set conn_set_copy(const struct conn_set *from)
{
	struct conn_set s = {.count = from->count};

	s.v = s.count ? xreallocarray(NULL, s.count, sizeof(const struct conn_conf *)) : NULL;
	for (unsigned i = 0; i < s.count; i++)
		s.v[i] = conn_ref(from->v[i]);
	s.secrets = from->secrets ? psk_store_ref(from->secrets) : NULL;
	s.creds = from->creds ? cred_store_ref(from->creds) : NULL;
	return s;
}

void conn_set_fini(struct conn_set *s)
{
	for (unsigned i = 0; i < s->count; i++)
		conn_unref(s->v[i]);
	free(s->v);
	psk_store_unref(s->secrets);
	cred_store_unref(s->creds);
	*s = (struct conn_set){0};
}
