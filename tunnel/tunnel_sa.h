/*
 * tunnel_sa.h - one CHILD SA as the tunnel sees it, from installation to the end of its retirement;
 * within tunnel/. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_TUNNEL_SA_H
#define MENDIP_TUNNEL_SA_H

#include "tunnel.h"

/* ---- tunnel_sa.c: made, found, ended ---- */
/*
 * Makes an SA of the child k with copies of the selectors. The caller sets ike, SPIs, keys and
 * times in it, and then installs it.
 */
struct tunnel_sa *tunnel_sa_new(struct tunnel_child *k, const struct ts_list *local,
				const struct ts_list *remote);
/* Frees one that is not installed. */
void tunnel_sa_free(struct tunnel_sa *s);
/*
 * Puts it into the SAD, where its SPI is reserved, with the endpoints of that IKE SA, and into the
 * child's list. Frees it on an error, which is that of sad_install.
 */
int tunnel_sa_install(struct tunnel_sa *s, const struct suite *suite, bool esn,
		      const struct ike_sa *ike, nsec_t now);
/* The newest SA of the child that packets go out on and that the engine knows; or NULL. */
struct tunnel_sa *tunnel_sa_newest(struct tunnel_child *c);
/* Whether `by` admits all that s admits. */
bool tunnel_sa_covers(const struct tunnel_sa *by, const struct tunnel_sa *s);
/*
 * The newest other SA of the child that packets go out on, that is not being deleted, and that
 * admits all that s admits; NULL: none.
 */
struct tunnel_sa *tunnel_sa_substitute(const struct tunnel_sa *s);
/*
 * From now on it is inbound only, and delivers for a short time (doc/recovery.md 4). by: its
 * successor or NULL.
 */
void tunnel_sa_retire(struct tunnel_sa *s, const struct tunnel_sa *by, nsec_t now);
/* The engine has forgotten a retired one: it delivers for 5 s more at most. */
void tunnel_sa_drain(struct tunnel_sa *s, nsec_t now);
/*
 * The time until which an SA without an IKE SA stays. It stays while packets come on it: they show
 * that the peer's ESP is alive, and its IKE may come back. 0: it does not stay.
 */
nsec_t tunnel_sa_kept_until(const struct tunnel_sa *s);
/* When an SA's `end` is due: a part of its retirement is over. */
deadline_due tunnel_sa_end;
/* Removes it from the SAD, the SPD and the child, and frees it. */
void tunnel_sa_forget(struct tunnel_sa *s);

/* ---- outbound.c: when outbound packets move to a new SA, which retires what it replaces ---- */
/* Outbound packets take this SA, and what it replaces is retired. */
void tunnel_sa_activate(struct tunnel_sa *s, nsec_t now);
/* The same; on rung 3 it also replaces older ones, after which the new IKE SA may take over. */
void tunnel_sa_use(struct tunnel_sa *s, nsec_t now);
/* It is up: outbound packets take it at once, or when the peer is known to have it. */
void tunnel_sa_begin_to_use(struct tunnel_sa *s, nsec_t now);
/* It is up, and outbound packets do not take it yet. */
bool tunnel_sa_waits(const struct tunnel_sa *s);
/* When an SA's `move` is due: looks whether the peer has it by now. */
deadline_due tunnel_sa_move_due;
/* The first FRESH packet came on it. */
void tunnel_sa_heard(struct tunnel_sa *s, nsec_t now);

#endif
