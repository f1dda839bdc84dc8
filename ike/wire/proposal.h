/*
 * proposal.h - reads, writes and chooses proposals (RFC 7296 3.3, 2.7). SPDX-License-Identifier:
 * ISC
 */
#ifndef MENDIP_PROPOSAL_H
#define MENDIP_PROPOSAL_H

#include "wire/ike_wire.h"
#include "crypto/suite.h"

#define PROPOSAL_TRANSFORMS 64	   /* more than the different ones that we know, but for ADDKE */
#define PROPOSAL_MAX	    16	   /* in a list of our own */
#define PROPOSAL_KEY_LENGTH 0x800e /* the attribute: TV format, type 14 */
#define PROPOSAL_ERR	    200	   /* bytes of an error message */
/* Bytes that are enough for the default proposals as text; longer lists are cut. */
#define PROPOSALS_STRLEN 480
/* Bytes for any one proposal as text: no word with its dash is longer than 20. */
#define PROPOSAL_STRLEN (PROPOSAL_TRANSFORMS * 20 + 8)

struct transform {
	uint8_t type; /* enum transform_type */
	uint16_t id;
	uint16_t key_bits; /* attribute 14; 0: none */
};

struct proposal {
	uint8_t number, protocol, spi_len;
	uint8_t count;
	bool unknown; /* has a transform type of which we know no transform and that is not
			 optional, too many transforms, or an SPI too long: unacceptable */
	uint8_t spi[8];
	struct transform t[PROPOSAL_TRANSFORMS];
};

/* Our own, in the order of preference. */
struct proposal_list {
	uint8_t count;
	uint8_t default_at, default_count; /* those that "default" stands for; count 0: none */
	struct proposal *p;		   /* owned; see proposals_free */
};

/*
 * The proposals of a received SA payload; valid as long as its bytes. Each is read when it is
 * needed, since a peer may offer more than a proposal_list holds.
 */
struct proposal_offer {
	struct chunk body; /* of the SA payload, checked */
	unsigned count;
	bool no_addke; /* set by the caller: no additional key exchanges, as they need a notify */
};

/* What was agreed on. */
struct proposal_choice {
	uint8_t number, protocol;
	uint64_t spi; /* the peer's SPI in the proposal; 0: it has none (IKE_SA_INIT) */
	const struct suite *suite;
	uint16_t prf, group;
	uint16_t addke[ADDKE_MAX]; /* of ADDKE1 to ADDKE7 (RFC 9370); GROUP_NONE: none */
	bool esn;
};

/* The part of our proposals that an offer contains. */
enum proposal_kex {
	PROPOSAL_KEX,	   /* all, as they are */
	PROPOSAL_KEX_CUT,  /* all, without their key exchanges (IKE_AUTH) */
	PROPOSAL_KEX_NONE, /* those that have no key exchange */
};

/* ---- proposal_text.c ---- */

/*
 * Reads one proposal in swanctl's syntax, "aes256gcm16-prfsha384-x25519", for PROTOCOL_IKE or
 * PROTOCOL_ESP. The PRF of an IKE proposal follows from the integrity algorithms if none is named;
 * beside AEAD ciphers these are then left out. An ESP proposal without "esn" or "noesn" gets
 * "noesn". -EINVAL: unknown word, one that is never taken, or incomplete; err, which has
 * PROPOSAL_ERR bytes, then says what to write instead, and *ret is unchanged.
 */
int proposal_parse_text(const char *s, uint8_t protocol, struct proposal *ret,
			char *err) MUST_CHECK;
/*
 * Appends the proposal, or with "default" the default ones of the protocol, to the list. Errors as
 * above, and for more than PROPOSAL_MAX; some may then have been appended.
 */
int proposals_add_text(struct proposal_list *l, const char *s, uint8_t protocol,
		       char *err) MUST_CHECK;
/* Frees the proposals and empties the list. */
void proposals_free(struct proposal_list *l);
/*
 * The first algorithm in the list that should not be used where the peer can do better: writes
 * `"WORD" ...`, why and what instead, to err, of PROPOSAL_ERR bytes, and returns it. NULL: none.
 */
const char *proposals_weakness(const struct proposal_list *l, char *err);
/*
 * Write the same syntax to s, of size bytes, and return s. What does not fit ends in "...".
 * proposals_format writes what an offer contains.
 * offer_format writes all that the peer offers, for reading: algorithms that we do not have by
 * swanctl's word, or by type and number, such as "encr(30/256)".
 */
const char *proposal_format(const struct proposal *p, char *s, size_t size);
const char *proposals_format(const struct proposal_list *l, enum proposal_kex kex, char *s,
			     size_t size);
const char *offer_format(const struct proposal_offer *o, char *s, size_t size);
const char *choice_format(const struct proposal_choice *c, char *s, size_t size);
/* Writes its key exchanges to s, "x25519 + mlkem768", and returns s; "" without any. */
const char *choice_format_kex(const struct proposal_choice *c, char *s, size_t size);

/* ---- proposal.c ---- */

/* Whether it is the type of an additional key exchange (RFC 9370), or of any key exchange. */
bool transform_is_addke(uint8_t type);
bool transform_is_kex(uint8_t type);
/* The n-th additional key exchange of the choice, from 0 on; GROUP_NONE: there are no more. */
uint16_t choice_addke(const struct proposal_choice *c, unsigned n);
/* Adds a transform; false: there is no room. */
bool proposal_add(struct proposal *p, struct transform t);
bool proposal_has(const struct proposal *p, const struct transform *t);
/* Of the transforms of this type: their number; take them out. */
unsigned proposal_count_type(const struct proposal *p, uint8_t type);
void proposal_remove_type(struct proposal *p, uint8_t type);
/* Checks the body of an SA payload to its end; *ret points into it. -EBADMSG: malformed. */
int proposals_parse(struct chunk body, struct proposal_offer *ret) MUST_CHECK;
/*
 * Reads the proposal at *at, which is 0 at first, and moves *at to the next one. Transforms that we
 * do not know are left out. False: there are no more.
 */
bool proposals_next(const struct proposal_offer *o, size_t *at, struct proposal *ret);

/*
 * Writes the SA payload of an offer, with this SPI in every proposal. With PROPOSAL_KEX_CUT,
 * proposals that have become alike are written once.
 */
void proposals_write(struct ike_builder *b, const struct proposal_list *l, struct chunk spi,
		     enum proposal_kex kex);
/*
 * Whether such an offer contains the i-th proposal; with PROPOSAL_KEX_CUT not if it repeats an
 * earlier one.
 */
bool proposals_offered(const struct proposal_list *l, unsigned i, enum proposal_kex kex);
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
/* The first group in the list that we can make keys of, or GROUP_NONE. */
uint16_t proposals_first_group(const struct proposal_list *l);
/* Whether a proposal in the list has this group. */
bool proposals_have_group(const struct proposal_list *l, uint16_t group);
/*
 * Removes ESN from each proposal. False, with *l changed in part, when a proposal allows nothing
 * but ESN.
 */
bool proposals_drop_esn(struct proposal_list *l);
/*
 * A copy of the list without all other PRFs than this one, and without the proposals that it leaves
 * none; without a proposal that has it, a copy of all. Owned by the caller; see proposals_free.
 */
struct proposal_list proposals_with_prf(const struct proposal_list *l, uint16_t prf);
/* Whether a proposal in the list has additional key exchanges, optional or not. */
bool proposals_have_addke(const struct proposal_list *l);
/* Whether a proposal in the list has no key exchange. */
bool proposals_without_group(const struct proposal_list *l);

#endif
