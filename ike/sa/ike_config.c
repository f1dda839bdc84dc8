/* ike_config.c - see ike_config.h. SPDX-License-Identifier: ISC */
#include "sa/ike_config.h"

void conn_unref(struct conn_conf *c)
{
	if (!c || --c->refs > 0)
		return;
	for (unsigned i = 0; i < c->child_count; i++) {
		free(c->children[i].name);
		free(c->children[i].device);
		free(c->children[i].options);
	}
	free(c->children);
	for (char **n = c->remote_names; n && *n; n++)
		free(*n);
	free(c->remote_names);
	psk_store_unref(c->secrets);
	free(c->name);
	free(c);
}

bool endpoints_have(const struct endpoint *v, unsigned count, const struct addr *a)
{
	for (unsigned i = 0; i < count; i++) {
		if (addr_eq(&v[i].addr, a))
			return true;
	}
	return false;
}

struct child_conf *conn_child(const struct conn_conf *c, const char *name)
{
	for (unsigned i = 0; i < c->child_count; i++) {
		if (strcmp(c->children[i].name, name) == 0)
			return &c->children[i];
	}
	return NULL;
}
