/*
 * proposal.h - proposals: text, wire, choice (RFC 7296 3.3, 2.7). SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_PROPOSAL_H
#define MENDIP_PROPOSAL_H

#include "ike_wire.h"
#include "crypto/suite.h"

#define PROPOSAL_TRANSFORMS 32
#define PROPOSAL_MAX	    16

struct transform {
	uint8_t type; /* enum transform_type */
	uint16_t id;
	uint16_t key_bits; /* attribute 14; 0: none */
};

struct proposal {
	uint8_t number, protocol, spi_len;
	uint8_t count;
	bool unknown; /* holds a transform type or attribute that we do not know: unacceptable */
	uint8_t spi[8];
	struct transform t[PROPOSAL_TRANSFORMS];
};

struct proposal_list {
	uint8_t count;
	struct proposal p[PROPOSAL_MAX];
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
/* Body of an SA payload. -EBADMSG when malformed; unknown things only mark their proposal. */
int proposals_parse(struct chunk body, struct proposal_list *ret) MUST_CHECK;
/* Writes the SA payload with this SPI in every proposal; without key exchange when !with_ke. */
void proposals_write(struct ike_builder *b, const struct proposal_list *l, struct chunk spi,
		     bool with_ke);
/* Writes the SA payload of an answer: exactly the choice. */
void choice_write(struct ike_builder *b, const struct proposal_choice *c, struct chunk spi);
/*
 * Chooses: our order decides, but a proposal with the group of the KE payload (0: none) is
 * preferred to one that would cost a round trip. with_ke false: groups are ignored on both sides
 * (IKE_AUTH).
 */
bool proposals_choose(const struct proposal_list *ours, const struct proposal_list *theirs,
		      bool with_ke, uint16_t ke_group, struct proposal_choice *ret);
/* One of our proposals has all of what was chosen. */
bool proposals_admit(const struct proposal_list *ours, const struct proposal_choice *c);
/* The same algorithms in the same order. */
bool proposals_equal(const struct proposal_list *a, const struct proposal_list *b);
/* The first group in the list, or GROUP_NONE. */
uint16_t proposals_first_group(const struct proposal_list *l);
bool proposals_have_group(const struct proposal_list *l, uint16_t group);

#endif
