/*
 * recovery.h - the recovery of one inbound SA, from its evidence to its successor (doc/recovery.md
 * 5), the hints that start one, and the record that it leaves; within tunnel/.
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_RECOVERY_H
#define MENDIP_RECOVERY_H

#include "tunnel.h"

/* ---- recovery.c: of one SA ---- */
/* The detector of the SA, or a hint about it, met a criterion. */
void recovery_confirmed(struct tunnel_sa *s, enum criterion criterion, nsec_t now);
/* The numbers may have gone back once more, and packets be lost now: a back-off is cut short. */
void recovery_third_lap(struct tunnel_sa *s, nsec_t now);
/* `gone` was replaced: recoveries that wait for its first FRESH packet wait for one on `by`. */
void recovery_pass_on(const struct tunnel_sa *gone, const struct tunnel_sa *by);
/* `by` has replaced the SA; NULL: it ends without a successor. */
void recovery_replaced(struct tunnel_sa *s, const struct tunnel_sa *by, nsec_t now);
/* The SA ends, and its recovery with it. */
void recovery_forget(struct tunnel_sa *s);
/* The first FRESH packet came on the SA. */
void recovery_sa_fresh(struct tunnel_sa *s, nsec_t now);
/* When a recovery's `timer` is due. */
deadline_due recovery_timer;
/* Starts rung 3 for this SA; why: for the log. */
void recovery_climb(struct tunnel_sa *s, enum criterion criterion, const char *why, nsec_t now);
/* For tunnel_check: the ladder was looked at now, the peer can be asked, and nothing is asked. */
bool recovery_is_stuck(const struct tunnel_sa *s, nsec_t now);

/* ---- recovery.c: of a child's SAs ---- */
/* A CREATE_CHILD_SA of ours for this child has ended; s: the SA that it was to rekey, or NULL. */
void recovery_result(struct tunnel_child *c, struct tunnel_sa *s, enum ike_result r,
		     uint16_t notify, nsec_t now);
/* Options or allowances have changed: asks the gate again for each SA that is CONFIRMED. */
void recovery_look_again(struct tunnel_child *c, nsec_t now);
/* A fresh answer came on the IKE SA: what waits for that goes on. */
void recovery_answered(struct tunnel_child *c, const struct ike_sa *sa, nsec_t now);
/* The IKE SA did not answer in time. */
void recovery_late(struct tunnel_child *c, const struct ike_sa *sa, const char *why, nsec_t now);
/* The message IDs of the peer went back on the IKE SA. */
void recovery_ike_back(struct tunnel_child *c, const struct ike_sa *sa, nsec_t now);
/* The new IKE SA of rung 3 failed, or the last IKE SA is gone. */
void recovery_failed(struct tunnel_child *c, const char *why, nsec_t now);

/* ---- hints.c: signs of a switchover other than the detector's ---- */
/* A new authentic packet came on a RETIRED SA after its drain. */
void hint_retired_heard(struct tunnel_sa *s, nsec_t now);
/* The peer sent INVALID_SPI, protected, for the SPI that we send to. */
void hint_invalid_spi(struct tunnel_sa *s, nsec_t now);
/* Starts or stops looking whether only we send, as the options say. */
void hint_silent_arm(struct tunnel_sa *s, nsec_t now);
/* When an SA's `silent` is due: looks whether only we have sent since. */
deadline_due hint_silent_due;
/* RFC 6311: a member took over on this IKE SA. Moves our ESP numbers on by delta. */
void hint_synced(struct tunnel_child *c, const struct ike_sa *sa, uint64_t delta, nsec_t now);

/* ---- record.c: what a recovery leaves ---- */
/* Begins the record of the SA's recovery. */
void record_open(struct tunnel_sa *s, enum criterion criterion, nsec_t now);
/* Puts the record into the child's ring, with the figures of now; outcome: static text. */
void record_close(struct tunnel_sa *s, const char *outcome);
/*
 * Counts one more in the record that has this outcome (the same text) and the same kind of
 * criterion and is not older than `since`, and returns it. NULL: there is none.
 */
struct recovery_record *record_again(struct tunnel_child *c, enum criterion criterion,
				     const char *outcome, nsec_t since);

#endif
