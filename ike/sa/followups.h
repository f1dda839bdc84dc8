/*
 * followups.h - what a CREATE_CHILD_SA exchange with additional key exchanges keeps until they are
 * over (RFC 9370 2.2.4), on either side. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_IKE_FOLLOWUPS_H
#define MENDIP_IKE_FOLLOWUPS_H

#include "sa/ike_sa.h"

#define LINK_LEN 8   /* ours, in N(ADDITIONAL_KEY_EXCHANGE) */
#define LINK_MAX 128 /* the peer's */

struct followups {
	struct proposal_choice choice;
	struct nonce ni, nr;
	struct kex_secrets secrets; /* of the key exchanges up to now */
	uint8_t done;		    /* additional ones */
	uint8_t link[LINK_MAX];	    /* the responder's, that the next request must have */
	uint8_t link_len;
	struct kex *kex; /* initiator: of the request that is outstanding; owned */
	/* responder: what is made at the end */
	bool rekeys_ike;
	uint64_t ike_spi;	  /* ours of the new IKE SA */
	struct child_offer offer; /* of the CHILD SA */
	uint32_t spi_in;	  /* reserved for it; 0: none */
	uint32_t old_spi;	  /* the inbound SPI of the CHILD SA that it replaces; 0: none */
};

/* Wipes and frees, and releases the SPI; takes NULL. */
void followups_free(struct ike *ike, struct followups *f);
/* Takes those of the peer's CREATE_CHILD_SA from the IKE SA; the caller frees them. NULL: none. */
struct followups *followups_take(struct ike_sa *sa);
/* Takes and frees them. */
void followups_drop(struct ike_sa *sa);

#endif
