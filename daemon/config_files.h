/* config_files.h - files that the configuration names: safe ones only; private to config*.c.
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_CONFIG_FILES_H
#define MENDIP_CONFIG_FILES_H

#include "config_access.h"
#include "config_read.h"
#include "crypto/cred_parse.h"

/* A name in a file of the configuration as a path: below that file's folder, or absolute. Owned. */
char *conf_path(const struct conf_reader *r, const char *name);
/* The same for a file that the setting s names, perhaps as a credential of systemd; NULL through
 * conf_fail. */
char *conf_file_path(struct conf_reader *r, config_setting_t *s, const char *name);
/*
 * Reads a regular file of at most `most` bytes, which must be safe (conf_is_safe), and if it is
 * secret not be readable by others. The text is NUL-terminated; free it by secret_free with
 * *ret_len bytes. NULL through conf_fail, for the setting s.
 */
char *conf_read_file(struct conf_reader *r, config_setting_t *s, const char *path, bool secret,
		     size_t most, size_t *ret_len);

/* Notes what the setting s made us look at, for conf_can_read. */
void conf_note_read(struct conf_reader *r, config_setting_t *s, enum conf_read_kind kind,
		    const char *path);

/*
 * The certificates, CRLs and public keys in a file, or in all files of a folder but hidden ones. It
 * belongs to the reader, which reads each of them once. NULL through conf_fail.
 */
const struct cred_items *conf_creds_from(struct conf_reader *r, config_setting_t *s,
					 const char *path);
/*
 * The private keys and certificates in a file that others cannot read. password: the path of a file
 * with the password in its first line, or NULL. As above.
 */
const struct cred_items *conf_keys_from(struct conf_reader *r, config_setting_t *s,
					const char *path, const char *password);

/*
 * The private key on a token (RFC 7512); pin: the path of a file with the PIN in its first line, or
 * NULL. As above.
 */
const struct cred_items *conf_key_on_token(struct conf_reader *r, config_setting_t *s,
					   const char *uri, const char *pin);

/* Files that were read already, by path; kept in struct config while it is made. */
struct conf_files;
/* Takes NULL. */
void conf_files_free(struct conf_files *f);

#endif
