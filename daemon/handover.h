/*
 * handover.h - a restart that the tunnels go through: descriptors and state are left with systemd,
 * which gives them to the process that follows (mendipd(8), RESTART). SPDX-License-Identifier: ISC
 *
 * What is left: the TUN devices, the UDP sockets, where packets wait meanwhile, and a memfd with
 * the tunnels' state, keys included. Whoever reads that wipes it: no key and no nonce is used
 * twice, however often a process dies afterwards.
 */
#ifndef MENDIP_HANDOVER_H
#define MENDIP_HANDOVER_H

#include "base.h"

struct daemon;

/*
 * Whether systemd ends us to start us again, and keeps as many descriptors as we have. Takes some
 * milliseconds, and 0.6 s at most where D-Bus does not answer.
 */
bool handover_is_restart(struct daemon *d);
/*
 * Hands over when nothing is under way on any tunnel, or 2 s after d->handing_since; false: not
 * yet. True: the loop is to end, and nothing may be sent any more. Where systemd takes nothing the
 * peers are told of the end, as without a restart, and d->closing_since is set.
 */
bool handover_try(struct daemon *d, nsec_t now);
/* Goes on with the tunnels that the process before us has left; before tunnel_configure. */
void handover_load(struct daemon *d);

#endif
