/*
 * proposal.h - proposals: text, wire, choice (RFC 7296 3.3, 2.7). SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_PROPOSAL_H
#define MENDIP_PROPOSAL_H

#include "wire/ike_wire.h"
#include "crypto/suite.h"

#define PROPOSAL_TRANSFORMS 32 /* more than there are different ones that we know */
#define PROPOSAL_MAX	    16 /* of our own, in a list */

struct transform {
	uint8_t type; /* enum transform_type */
	uint16_t id;
	uint16_t key_bits; /* attribute 14; 0: none */
};

struct proposal {
	uint8_t number, protocol, spi_len;
	uint8_t count;
	bool unknown; /* demands a type of transform that we do not know: unacceptable */
	uint8_t spi[8];
	struct transform t[PROPOSAL_TRANSFORMS];
};

struct proposal_list {
	uint8_t count;
	struct proposal p[PROPOSAL_MAX];
};

/*
 * The proposals of a message, as long as its bytes are there. However many there are, each is read
 * when it is needed: a peer may offer more than any list of ours has room for.
 */
struct proposal_offer {
	struct chunk body; /* of an SA payload, checked */
	unsigned count;
};

/* What both sides do. */
struct proposal_choice {
	uint8_t number, protocol;
	uint64_t spi; /* the peer's, as a number; 0 for the first IKE SA */
	const struct suite *suite;
	uint16_t prf, group;
	bool esn;
};

/*
 * Reads swanctl's syntax, "aes256gcm16-prfsha384-x25519", for PROTOCOL_IKE or PROTOCOL_ESP. On
 * -EINVAL *ret_why names the word and what is wrong with it (static text or err's buffer, err of
 * 128 bytes).
 */
int proposal_parse_text(const char *s, uint8_t protocol, struct proposal *ret,
			char *err) MUST_CHECK;
/* The same form back, into s of size bytes. */
const char *proposal_format(const struct proposal *p, char *s, size_t size);
const char *choice_format(const struct proposal_choice *c, char *s, size_t size);
/* Checks the body of an SA payload to its end. -EBADMSG when malformed. */
int proposals_parse(struct chunk body, struct proposal_offer *ret) MUST_CHECK;
/*
 * The offer's next proposal, from *at = 0 on, which is moved; false at the end. Transforms that we
 * do not know are left out.
 */
bool proposals_next(const struct proposal_offer *o, size_t *at, struct proposal *ret);

/* What of our proposals goes into an offer. */
enum proposal_kex {
	PROPOSAL_KEX,	   /* all, as they are */
	PROPOSAL_KEX_CUT,  /* all, without their key exchanges (IKE_AUTH) */
	PROPOSAL_KEX_NONE, /* those that have no key exchange */
};
/* Writes the SA payload with this SPI in every proposal; none twice. */
void proposals_write(struct ike_builder *b, const struct proposal_list *l, struct chunk spi,
		     enum proposal_kex kex);
/* Writes the SA payload of an answer: exactly the choice. */
void choice_write(struct ike_builder *b, const struct proposal_choice *c, struct chunk spi);
/*
 * Chooses: our order decides, but a proposal with the group of the KE payload (0: none) is
 * preferred to one that would cost a round trip. with_ke false: groups are ignored on both sides
 * (IKE_AUTH).
 */
bool proposals_choose(const struct proposal_list *ours, const struct proposal_offer *theirs,
		      bool with_ke, uint16_t ke_group, struct proposal_choice *ret);
/* One of our proposals has all of what was chosen. */
bool proposals_admit(const struct proposal_list *ours, const struct proposal_choice *c);
/* The first group in the list, or GROUP_NONE. */
uint16_t proposals_first_group(const struct proposal_list *l);
bool proposals_have_group(const struct proposal_list *l, uint16_t group);
/* Takes ESN out of each; false when one is left without any answer to that question. */
bool proposals_drop_esn(struct proposal_list *l);
/* One of them has no key exchange at all. */
bool proposals_without_group(const struct proposal_list *l);

#endif
