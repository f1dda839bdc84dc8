/*
 * eap_server.h - a server of EAP for tests: MS-CHAPv2, and TLS by libssl; honest, or not.
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_TESTS_EAP_SERVER_H
#define MENDIP_TESTS_EAP_SERVER_H

#include <openssl/ssl.h>

#include "auth/eap.h"
#include "auth/mschap.h"
#include "pki.h"

/* What the server does wrong. */
enum eap_deed {
	EAP_HONEST,
	EAP_SUCCESS_FIRST, /* success before the method began */
	EAP_SUCCESS_EARLY, /* success in place of its second packet of the method */
	EAP_SUCCESS_WITH_DATA,
	EAP_FAILURE_LAST,     /* failure in place of success */
	EAP_WRONG_PROOF,      /* MS-CHAPv2: it does not know the password */
	EAP_SHORT_PROOF,      /* S= with too few digits */
	EAP_REFLECTS,	      /* the packet of the peer comes back as a request */
	EAP_SENDS_BACK,	      /* the packet of the peer comes back as it is */
	EAP_CHALLENGES_AGAIN, /* a second challenge in place of success */
	EAP_SMALL_CHALLENGE,  /* of 8 octets */
	EAP_REFUSES,	      /* E=691 with a message for a terminal */
	EAP_EXPIRED,	      /* E=648 */
	EAP_LONG_LENGTH,      /* the length of the packet is more than there is */
	EAP_SHORT_LENGTH,     /* and less */
	EAP_LONG_MS_LENGTH,
	EAP_IDENTITY_FOR_EVER,
	EAP_IDENTITY_WITHIN, /* identity is asked for within the method */
	EAP_MD5,	     /* asks for type 4, and takes the Nak */
	EAP_MD5_ONLY,	     /* asks for type 4, and refuses what it gets for it */
	EAP_EXPANDED_FIRST,  /* asks for an expanded type, and takes the Nak */
	EAP_MD5_WITHIN,	     /* asks for type 4 within the method */
	EAP_NOTIFIES,	     /* a notification before it begins */
	EAP_STARTS_TWICE,    /* TLS: start again within the method */
	EAP_NO_START,
	EAP_NO_COMMITMENT,    /* TLS 1.3: success without the last octet */
	EAP_WRONG_COMMITMENT, /* another octet */
	EAP_LONG_COMMITMENT,  /* two octets */
	EAP_GOES_ON,	      /* TLS: another packet in place of success */
	EAP_FRAGMENT_WITHOUT_LENGTH,
	EAP_FRAGMENT_EMPTY,
	EAP_TOTAL_CHANGES,
	EAP_TOTAL_TOO_SMALL, /* more comes than was said */
	EAP_TOTAL_TOO_LARGE, /* less */
	EAP_TOTAL_HUGE,
	EAP_DOES_NOT_WAIT, /* data while the peer has more fragments */
	EAP_DEEDS
};

struct eap_server {
	enum auth_kind kind;
	enum eap_deed deed;
	bool asks_identity;
	/* MS-CHAPv2 */
	const char *password;
	/* TLS */
	const struct pki *leaf, *ca; /* its own certificate, and the CA of the peer's */
	int version;		     /* TLS1_2_VERSION or TLS1_3_VERSION */
	size_t fragment;	     /* bytes of a fragment; 0: 1000 */

	/* what it found out */
	char identity[EAP_ID_MAX + 1];
	uint8_t msk[EAP_MSK];
	bool accepts;	/* the peer has authenticated itself */
	bool ended;	/* it has sent success or failure */
	unsigned alert; /* of TLS, which the peer has sent; 0: none */
	unsigned packets, fragments;
	/* inside */
	uint8_t id, step;
	struct mschap chap;
	uint8_t proof[MSCHAP_PROOF];
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out;
	uint8_t flight[65536];
	size_t flight_len, flight_at;
	bool more_from_peer;
};

/* Frees what a conversation has taken; the server can begin again. */
void eap_server_reset(struct eap_server *s);
/*
 * The server's next packet, for the peer's last one (empty: it begins). Writes it to out, which has
 * 66,000 bytes, and returns its length; 0: it has nothing more to say.
 */
size_t eap_server_next(struct eap_server *s, struct chunk packet, uint8_t *out);

#endif
