/*
 * scenario.h - runs of two peers, described as text, so that a report from the field can become a
 * test without C. SPDX-License-Identifier: ISC
 *
 * One command per line; # begins a comment. Times are "20ms", "8s", "5m"; PEER is branch or gw;
 * CHILD is net0 ... net3 or all. The branch is the side that recovers; a fault happens at the
 * gateway unless a peer is named.
 *
 * Before the peers exist:
 *   seed N                      of the random numbers (default: MENDIP_SEED, or 1)
 *   children N                  1 to 4; net<i> has 10.1.<i>.0/24 === 10.2.<i>.0/24
 *   wide                        the branch has one child with 10.1.0.0/16 === 10.2.0.0/16, which it
 *                               does not start; the gateway starts its children, which are SAs of
 *                               that child
 *   role branch calls|answers   answers: the branch only responds (%any), and the gateway initiates
 *   role both call              the gateway has the branch's address, too, and can initiate
 *   suite WORDS                 aes128gcm16, chacha20poly1305, aes128-sha256 ...
 *   esn yes|no
 *   outer ipv4|ipv6 udp|raw     raw: ESP without UDP (ipv4 udp)
 *   pfs [PEER] GROUP|none       default: x25519
 *   esp [PEER] PROPOSALS        as in mendip.conf, with commas, instead of the three above
 *   window N, delay TIME        replay window; one-way delay of the wire
 *   dpd [PEER] TIME             dpd_delay; 0s: no liveness checks
 *   lifetime child|ike TIME     rekey_time of both sides
 *   retransmit TIME N N         first retransmission, thousandths of the factor of each further
 * one, and how many there are option NAME VALUE           option of the group switchover, on both
 * sides twice allowed               without replay protection: a packet delivered twice is no
 * failure up [TIME]                   creates the peers, waits for the tunnel, and marks
 *
 * The wire and the traffic, from then on:
 *   loss|duplicate|reorder N %  jitter TIME (up to)
 *   traffic PEER N              packets per second, over its children in turn; 0: none
 *   packets PEER CHILD N        sends N packets at once
 *   run TIME                    lets time pass
 *   cut ike|esp|all PEER TIME   the datagrams that PEER sends are lost for TIME from now
 *   cut all PEER on|off
 *   message PEER init|auth|child|info request|answer lost|twice TIME|late TIME [N]
 *                               the next N (1) such IKE messages of PEER are lost, come again after
 *                               TIME, or come later by TIME; child: CREATE_CHILD_SA, info:
 *                               INFORMATIONAL
 *   nat PORT                    the gateway sees the branch at another port
 *
 * Faults and actions of peers (`try` before one: no failure without the SA or request):
 *   rewind CHILD N [nonces]     the gateway's outbound numbers go back by N; nonces: IVs, too
 *   rewind CHILD to N [nonces]  the next number is N + 1
 *   senders CHILD N             two senders share the SA, N numbers apart
 *   forget child CHILD          the SA that the gateway sends on, both directions
 *   forget newest CHILD         the newest SA, on which the gateway may not send yet
 *   forget ike                  the IKE SA with all of its CHILD SAs
 *   forget request              the rekey request that is outstanding
 *   number CHILD N              the gateway's next number is N + 1
 *   ids back N                  the gateway's message IDs in both directions go back by N
 *   keep CHILD                  keeps the SA that the gateway sends on now, which sends nothing
 *   takeover CHILD              a standby sends on the SA that was kept: its state is as old
 *   gw temporary|full on|off    answers CREATE_CHILD_SA by TEMPORARY_FAILURE or
 *                               NO_ADDITIONAL_SAS
 *   rekey PEER CHILD|ike        a routine rekey
 *   delete PEER CHILD|ike       deletes the SA by a DELETE; ike: the oldest IKE SA
 *   liveness PEER               an IKE liveness check
 *   restart PEER                a new process loads what the old one has saved
 *   invalid-spi CHILD           the gateway reports, protected, the branch's outbound SPI as
 * unknown set CHILD NAME VALUE        sets an option of the branch at run time
 *
 * Adversaries:
 *   record [ike] PEER N         the next N ESP packets, or IKE messages, of PEER are copied
 *   hold [ike] PEER N           the same, and they do not arrive
 *   replay [N]                  all copies arrive, N times, at once
 *   release                     the datagrams that were held arrive
 *   forge CHILD N [NUMBER]      N packets with the branch's SPI and a false ICV; numbers from
 * NUMBER on, or random
 *
 * Flow:
 *   repeat N ... end            nested up to four deep
 *   mark                        "since the mark" begins here
 *   calm wire                   from now on no loss, duplicates, reordering, jitter or cuts
 *
 * Expectations. N may have <, <=, >, >= before it:
 *   expect lost [PEER] [CHILD] N    packets of PEER (the gateway) since the mark that were neither
 *                                   delivered nor lost on the wire, and are not on the wire
 *   expect up [TIME]            within TIME (60 s) both sides have the same IKE SA and the same SA
 *                               pair in each child, and no others
 *   expect mended [TIME]        within TIME (60 s) no live SA of the branch is CONFIRMED
 *   expect flows [unless given up]
 *                               calms the wire and stops traffic; then 20 packets each way in each
 *                               child must arrive; unless given up: or the gateway has no IKE SA
 *   expect twice|tidied|recoveries|rekeys|confirmed|security|ikes|recovered-records N
 *                               counted on the branch, but twice and tidied on both sides; twice:
 *                               packets delivered twice; tidied: redundant SAs deleted; confirmed:
 *                               live SAs whose detector is CONFIRMED; security: security events;
 *                               recovered-records: records with the outcome "recovered"
 *   expect calm                 the branch began no recovery
 *   expect gate ANSWER N        answers of the branch's gate, named as by mendipctl: quiet ...
 *   expect verdict NAME N       verdicts of the branch, over all SAs
 *   expect gap TIME             the longest time since the mark without a delivery at the branch
 * Of the newest record of the branch, or of CHILD's:
 *   expect recovered [CHILD] [rung N]
 *   expect outcome [CHILD] WORDS, expect criterion [CHILD] NAME, expect rung [CHILD] N
 *   expect record-lost [CHILD] N|true    true: as many as were lost since the mark
 *   expect request [CHILD] yes|no        whether the branch sent a request
 */
#ifndef MENDIP_SCENARIO_H
#define MENDIP_SCENARIO_H

#include "peers.h"

#define SCENARIO_WHY 700

/*
 * Runs the text. Returns false if an expectation is not met, an invariant does not hold, or a line
 * cannot be parsed; `why` then gives `name`, the line and the reason. `loud` prints the verdicts,
 * the number of lost packets and the newest record of each child, and of a failed run the peers'
 * log.
 */
bool scenario_run(const char *name, const char *text, bool loud, char why[SCENARIO_WHY]);
/* Returns the text of a file, to be freed; NULL if it cannot be read. */
char *scenario_read(const char *path);

#endif
