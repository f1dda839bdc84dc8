/*
 * proposal.h - reads, writes and chooses proposals (RFC 7296 3.3, 2.7). SPDX-License-Identifier:
 * ISC
 */
#ifndef MENDIP_PROPOSAL_H
#define MENDIP_PROPOSAL_H

#include "wire/ike_wire.h"
#include "crypto/suite.h"

#define PROPOSAL_TRANSFORMS 32 /* more than the different ones that we know */
#define PROPOSAL_MAX	    16 /* in a list of our own */

struct transform {
	uint8_t type; /* enum transform_type */
	uint16_t id;
	uint16_t key_bits; /* attribute 14; 0: none */
};

struct proposal {
	uint8_t number, protocol, spi_len;
	uint8_t count;
	bool unknown; /* has a transform type that we do not know and that is not optional, or an
			 SPI too long: unacceptable */
	uint8_t spi[8];
	struct transform t[PROPOSAL_TRANSFORMS];
};

struct proposal_list {
	uint8_t count;
	struct proposal p[PROPOSAL_MAX];
};

/*
 * The proposals of a received SA payload; valid as long as its bytes. Each is read when it is
 * needed, since a peer may offer more than a proposal_list holds.
 */
struct proposal_offer {
	struct chunk body; /* of the SA payload, checked */
	unsigned count;
};

/* What was agreed on. */
struct proposal_choice {
	uint8_t number, protocol;
	uint64_t spi; /* the peer's SPI in the proposal; 0: it has none (IKE_SA_INIT) */
	const struct suite *suite;
	uint16_t prf, group;
	bool esn;
};

/*
 * Reads swanctl's syntax, "aes256gcm16-prfsha384-x25519", for PROTOCOL_IKE or PROTOCOL_ESP. The PRF
 * of an IKE proposal follows from the integrity algorithm if none is named; an ESP proposal without
 * "esn" or "noesn" gets "noesn". -EINVAL: unknown word, too many, or incomplete; err, which has 128
 * bytes, then has the reason, and *ret is unchanged.
 */
int proposal_parse_text(const char *s, uint8_t protocol, struct proposal *ret,
			char *err) MUST_CHECK;
/* Write the same syntax to s, of size bytes, and return s. */
const char *proposal_format(const struct proposal *p, char *s, size_t size);
const char *choice_format(const struct proposal_choice *c, char *s, size_t size);
/* Checks the body of an SA payload to its end; *ret points into it. -EBADMSG: malformed. */
int proposals_parse(struct chunk body, struct proposal_offer *ret) MUST_CHECK;
/*
 * Reads the proposal at *at, which is 0 at first, and moves *at to the next one. Transforms that we
 * do not know are left out. False: there are no more.
 */
bool proposals_next(const struct proposal_offer *o, size_t *at, struct proposal *ret);

/* The part of our proposals that an offer contains. */
enum proposal_kex {
	PROPOSAL_KEX,	   /* all, as they are */
	PROPOSAL_KEX_CUT,  /* all, without their key exchanges (IKE_AUTH) */
	PROPOSAL_KEX_NONE, /* those that have no key exchange */
};
/*
 * Writes the SA payload of an offer, with this SPI in every proposal. With PROPOSAL_KEX_CUT,
 * proposals that have become alike are written once.
 */
void proposals_write(struct ike_builder *b, const struct proposal_list *l, struct chunk spi,
		     enum proposal_kex kex);
/* Writes the SA payload of a response: the choice, with our SPI. */
void choice_write(struct ike_builder *b, const struct proposal_choice *c, struct chunk spi);
/*
 * Chooses a proposal of both, in our order, but first among those with the group of the KE payload
 * (ke_group; 0: none), as others cost a round trip. with_ke false: groups are ignored on both sides
 * (IKE_AUTH). False, with *ret undefined, if there is none.
 */
bool proposals_choose(const struct proposal_list *ours, const struct proposal_offer *theirs,
		      bool with_ke, uint16_t ke_group, struct proposal_choice *ret);
/* Whether one of our proposals contains all of c, the choice of an IKE SA. */
bool proposals_admit(const struct proposal_list *ours, const struct proposal_choice *c);
/* The first group in the list, or GROUP_NONE. */
uint16_t proposals_first_group(const struct proposal_list *l);
/* Whether a proposal in the list has this group. */
bool proposals_have_group(const struct proposal_list *l, uint16_t group);
/*
 * Removes ESN from each proposal. False, with *l changed in part, when a proposal allows nothing
 * but ESN.
 */
bool proposals_drop_esn(struct proposal_list *l);
/* Whether a proposal in the list has no key exchange. */
bool proposals_without_group(const struct proposal_list *l);

#endif
