/* key_log.h - writes keys for Wireshark (option key_log). SPDX-License-Identifier: ISC */
#ifndef MENDIP_KEY_LOG_H
#define MENDIP_KEY_LOG_H

#include "ike_view.h"
#include "log.h"
#include "tunnel.h"

/*
 * A folder with the two tables of Wireshark, ikev2_decryption_table and esp_sa, as a profile has
 * them; lines are appended. Whoever reads them reads the traffic.
 */
struct key_log {
	int ike, esp; /* descriptors of the tables; -1: not open */
};

/* Without files. */
void key_log_init(struct key_log *k);
/*
 * Opens or makes the two files in the folder, readable and writable by `user` alone (NULL: the
 * present user). 0, or -errno with a reason in err (size bytes): the folder or a file cannot be
 * opened, or a file belongs to somebody else or is open to others.
 */
int key_log_open(struct key_log *k, const char *folder, const char *user, char *err,
		 size_t size) MUST_CHECK;
void key_log_close(struct key_log *k);
/* Append the keys of an IKE SA, and of both directions of a CHILD SA. */
void key_log_ike(struct key_log *k, const struct ike_sa *sa, const struct ike_keys *keys,
		 struct log *log);
void key_log_child(struct key_log *k, const struct tunnel_sa *s, struct log *log);

#endif
