/*
 * handover.h - a restart without an interruption of the tunnels: descriptors and state are left
 * with systemd, which gives them to the next process (mendipd(8), RESTART).
 * SPDX-License-Identifier: ISC
 *
 * Left are the TUN devices, the UDP sockets, in which packets wait meanwhile, the socket of
 * metrics_listen, and a memfd with the
 * state of the tunnels, including keys. The process that reads the state wipes it, so that no nonce
 * is used twice with a key, however often a process dies afterwards.
 */
#ifndef MENDIP_HANDOVER_H
#define MENDIP_HANDOVER_H

#include "base.h"

struct daemon;

/*
 * True if systemd stops us for a restart and its descriptor store has room for our descriptors.
 * Blocks for some milliseconds; where D-Bus does not answer, for 2 s until it is ready and 1 s per
 * call.
 */
bool handover_is_restart(struct daemon *d);
/*
 * Hands over as soon as no exchange or recovery is under way, at the latest 2 s after
 * d->handing_since. True: done; the loop is to end, and nothing more may be sent. False: not yet,
 * or it failed; then d->closing_since is set and the peers are told, as without a restart.
 */
bool handover_try(struct daemon *d, nsec_t now);
/* Resumes the tunnels that the process before us left, if any. To be called before
 * tunnel_configure. */
void handover_load(struct daemon *d);

#endif
