/* trace.h - debug lines: what the messages of an IKE SA say. SPDX-License-Identifier: ISC */
#ifndef MENDIP_IKE_TRACE_H
#define MENDIP_IKE_TRACE_H

#include "sa/exchange.h"

/*
 * A line for each message: its exchange, and its payloads in the words of the configuration,
 * without keys, nonces and the values of AUTH and EAP. They are written if the level of the log is
 * debug, or if ike_trace asked for those of the connection.
 */

/* Whether ike_trace asked for the lines of this IKE SA's connection. */
bool trace_is_asked(const struct ike_sa *sa);
/* An authentic message, or one of IKE_SA_INIT. well_formed: in->p can be read. */
void trace_received(struct ike_sa *sa, const struct ike_in *in, bool well_formed);
/* A message with these payloads, of which the first one has that type. */
void trace_sent(struct ike_sa *sa, const struct ike_header *h, uint8_t first, struct chunk payloads,
		const struct endpoint *to, nsec_t now);
/* A message of IKE_SA_INIT, which is not encrypted. */
void trace_sent_plain(struct ike_sa *sa, const uint8_t *p, size_t len, const struct endpoint *to,
		      nsec_t now);
/* The outstanding request is sent again. */
void trace_sent_again(struct ike_sa *sa, const struct endpoint *to, nsec_t now);
/* Nobody has asked for any. */
void trace_init(struct ike *ike);
/* Forgets all that ike_trace asked for. */
void trace_free(struct ike *ike);

#endif
