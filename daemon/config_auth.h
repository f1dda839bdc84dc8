/* config_auth.h - how both sides of a connection authenticate; private to config*.c.
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_CONFIG_AUTH_H
#define MENDIP_CONFIG_AUTH_H

#include "config_option.h"

/* The defaults of the group remote, where there is none. */
int conf_no_remote(struct conf_reader *r, config_setting_t *conn, void *base);
/* What was made of the files of CAs, while a configuration is read. conf_trusts_free takes NULL. */
struct conf_trusts;
void conf_trusts_free(struct conf_trusts *t);
/*
 * Reads the keys, certificates and CRLs that the connection, whose options have been read, names,
 * and adds them to r->config. Its local_id, if it is not given, becomes the subject of its
 * certificate. 0, or -EINVAL through conf_fail.
 */
int conf_load_creds(struct conf_reader *r, config_setting_t *g, struct conn_conf *conn);
/*
 * Checks what EAP needs, when all files have been read. 0, or -EINVAL with the reason in `why`
 * (CONFIG_ERR bytes).
 */
int conf_check_eap(const struct conn_conf *conn, const struct psk_store *secrets, char *why);

#endif
