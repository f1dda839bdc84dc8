/*
 * scenario.h - runs of two peers written down as text, so that a report from the field can become a
 * test without C. SPDX-License-Identifier: ISC
 *
 * One command a line; what follows # is a comment. Times are "20ms", "8s", "5m"; PEER is branch or
 * gw; CHILD is net0 ... net3 or all. The branch is the side that recovers; faults befall the
 * gateway unless a peer is named.
 *
 * Before the peers exist:
 *   seed N                      of all randomness (else 1, or MENDIP_SEED)
 *   children N                  1 to 4; net<i> has 10.1.<i>.0/24 === 10.2.<i>.0/24
 *   wide                        the branch has one child with 10.1.0.0/16 === 10.2.0.0/16, which it
 *                               does not start; the gateway brings up its children as SAs of that
 *   role branch calls|answers   answers: the branch has %any, and the gateway calls
 *   role both call              the gateway has the branch's address too
 *   suite WORDS                 aes128gcm16, chacha20poly1305, aes128-sha256 ...
 *   esn yes|no
 *   pfs [PEER] GROUP|none       x25519 unless said otherwise
 *   esp [PEER] PROPOSALS        as in mendip.conf, with commas, instead of the three above
 *   window N, delay TIME        replay window; one way of the wire
 *   dpd [PEER] TIME             0s: none
 *   lifetime child|ike TIME     rekey_time of both sides
 *   option NAME VALUE           of the switchover group, from the beginning, on both sides
 *   twice allowed               delivered twice is no failure: replay protection is off
 *   up [TIME]                   the tunnel comes up; also a mark
 *
 * The wire and the traffic, from then on:
 *   loss|duplicate|reorder N %  jitter TIME (up to)
 *   traffic PEER N              packets a second, over all its children in turn; 0: none
 *   packets PEER CHILD N        at once
 *   run TIME                    lets time pass
 *   cut ike|esp|all PEER TIME   what that peer sends is lost for so long from now
 *   cut all PEER on|off
 *   nat PORT                    the branch is seen at another port
 *
 * Faults and what peers do (`try` before one of them: if there is what it befalls):
 *   rewind CHILD N [nonces]     the gateway's outbound numbers go back by N; nonces: IVs too
 *   rewind CHILD to N [nonces]  the next number is N + 1
 *   senders CHILD N             two senders share the SA, N numbers apart
 *   forget child CHILD          what it sends on, and its inbound half
 *   forget newest CHILD         the newest, which it may not send on yet
 *   forget ike, forget request  the IKE SA with all; the request that waits for its answer
 *   number CHILD N              the gateway's next number is N + 1
 *   ids back N                  the gateway's message IDs of both directions
 *   keep CHILD                  what the gateway sends on now is kept, and nothing more is sent on
 *   takeover CHILD              it until here: a standby whose state is so old sends on it
 *   gw temporary|full on|off    answers CREATE_CHILD_SA by TEMPORARY_FAILURE or NO_ADDITIONAL_SAS
 *   rekey PEER CHILD|ike        a routine rekey
 *   delete PEER CHILD           the SA, with a message
 *   liveness PEER               an IKE liveness check
 *   restart PEER                a new process goes on with what the old one has written
 *   invalid-spi CHILD           the gateway tells that it does not know what the branch sends on
 *   set CHILD NAME VALUE        option of the branch while it runs
 *
 * Adversaries:
 *   record [ike] PEER N         the next N ESP packets, or IKE messages, from there are copied
 *   hold [ike] PEER N           the same, and they do not arrive
 *   replay [N]                  all copies, N times, at once
 *   release                     what was held arrives
 *   forge CHILD N [NUMBER]      packets with the branch's SPI and a false ICV; numbers from NUMBER
 *                               on, or random
 *
 * Flow:
 *   repeat N ... end            nested up to four deep
 *   mark                        "since the mark" begins here
 *   calm wire                   no loss, no duplicates, no cuts any more
 *
 * Expectations. N may have <, <=, >, >= before it:
 *   expect lost [PEER] [CHILD] N    from the gateway unless said otherwise, since the mark: neither
 *                                   delivered, nor under way, nor lost by the wire
 *   expect up [TIME]            within the time (60 s): one IKE SA, one SA pair a child, agreed on
 *   expect mended [TIME]        within the time (60 s): no live SA of the branch is CONFIRMED
 *   expect flows [unless given up]
 *                               all of 20 packets each way in each child arrive; calms the wire;
 *                               unless given up: or the gateway has no IKE SA any more
 *   expect twice|tidied|recoveries|rekeys|confirmed|security|ikes|recovered-records N
 *                               twice, tidied: of both sides; else the branch's; tidied: of what
 *                               came up twice one was ended; confirmed: live SAs whose detector is
 *                               CONFIRMED; recovered-records: those kept that say so
 *   expect calm                 no recovery was begun
 *   expect gate ANSWER N        as mendipctl calls it: quiet, in-progress ...
 *   expect verdict NAME N       the branch's, over all SAs
 *   expect gap TIME             at most so long without a delivery at the branch since the mark
 * of the last record of the branch, or of CHILD's:
 *   expect recovered [CHILD] [rung N]
 *   expect outcome [CHILD] WORDS, expect criterion [CHILD] NAME, expect rung [CHILD] N
 *   expect record-lost [CHILD] N, or true: as many as were lost since the mark
 *   expect request [CHILD] yes|no    one was sent by us
 */
#ifndef MENDIP_SCENARIO_H
#define MENDIP_SCENARIO_H

#include "peers.h"

#define SCENARIO_WHY 700

/*
 * Runs the text. False when an expectation fails, an invariant breaks or a line is not understood;
 * why then names `name` and the line. With `loud` it is printed what happened: the verdicts, what
 * was lost, the last recovery of each child; of a run that failed the peers' log too.
 */
bool scenario_run(const char *name, const char *text, bool loud, char why[SCENARIO_WHY]);
/* The text of a file, to be freed; NULL: it cannot be read. */
char *scenario_read(const char *path);

#endif
