/*
 * proposal_text.c - proposals as text, in the syntax of swanctl.conf(5), and the default ones.
 * SPDX-License-Identifier: ISC
 */
#include "crypto/kex.h"
#include "wire/words.h"
#include "xalloc.h"

#include <stdio.h>

/*
 * What "default" stands for. AEAD ciphers and others are in separate proposals (RFC 7296 3.3). Each
 * proposal has all that goes with its ciphers, so that there are few: a peer that looks only at the
 * first ones still finds its algorithms, and IKE_SA_INIT stays far below 1,280 bytes, so that it is
 * not fragmented on the way.
 *
 * Groups: the KE payload of our IKE_SA_INIT has the first one. X25519 is the fastest, and its KE
 * payload the smallest; a peer that does not have it asks for another one by INVALID_KE_PAYLOAD.
 * Then the curves, which cost less than the MODP groups, and modp2048, the weakest, last.
 *
 * Ciphers: IKE prefers AES-256, which costs nothing there. ESP prefers AES-128-GCM, the fastest
 * one.
 */
#define GROUPS "x25519-ecp256-ecp384-ecp521-modp3072-modp4096-modp2048"
#define PRFS   "prfsha384-prfsha256-prfsha512"

/*
 * The first one is for peers that have ML-KEM too, if libcrypto has it; to others, additional key
 * exchanges are unknown, and they take one of those behind it. CHILD SAs have none: their keys
 * derive from those of the IKE SA, and a rekey that mends a switchover would take a round trip
 * more.
 */
static const char *const default_ike[] = {
	"aes256gcm16-aes128gcm16-chacha20poly1305-" PRFS "-x25519-ecp384-ecp256-ke1_mlkem768",
	"aes256gcm16-aes128gcm16-aes192gcm16-chacha20poly1305-" PRFS "-" GROUPS,
	"aes256-aes128-aes192-sha256-sha384-sha512-" PRFS "-" GROUPS,
	NULL,
};

static const char *const *default_ike_here(void)
{
	return default_ike + !kex_available(GROUP_ML_KEM_768);
}

/* With and without a key exchange: IKE_AUTH does not show whether the peer wants PFS. */
#define ESP_AEAD "aes128gcm16-aes256gcm16-aes192gcm16-chacha20poly1305-esn-noesn"
#define ESP_CBC	 "aes128-aes256-aes192-sha256-sha384-sha512-esn-noesn"

static const char *const default_esp[] = {
	ESP_AEAD "-" GROUPS, ESP_AEAD, ESP_CBC "-" GROUPS, ESP_CBC, NULL,
};

static bool is_combined(const struct transform *t)
{
	return t->id == ENCR_AES_GCM_16 || t->id == ENCR_CHACHA20_POLY1305;
}

static uint16_t prf_of(uint16_t integ)
{
	switch (integ) {
	case INTEG_HMAC_SHA1_96: return PRF_HMAC_SHA1;
	case INTEG_HMAC_SHA2_256_128: return PRF_HMAC_SHA2_256;
	case INTEG_HMAC_SHA2_384_192: return PRF_HMAC_SHA2_384;
	default: return PRF_HMAC_SHA2_512;
	}
}

/* swanctl: the integrity algorithms of an IKE proposal without a PRF name the PRFs too. */
static void derive_prf(struct proposal *p)
{
	unsigned n = p->count;

	for (unsigned i = 0; i < n; i++) {
		if (p->t[i].type == TRANSFORM_INTEG)
			proposal_add(p, (struct transform){TRANSFORM_PRF, prf_of(p->t[i].id), 0});
	}
}

static bool only_combined(const struct proposal *p)
{
	bool any = false;

	for (unsigned i = 0; i < p->count; i++) {
		if (p->t[i].type == TRANSFORM_ENCR && !is_combined(&p->t[i]))
			return false;
		any |= p->t[i].type == TRANSFORM_ENCR;
	}
	return any;
}

static bool has_addke(const struct proposal *p)
{
	bool any = false;

	for (unsigned i = 0; i < p->count; i++)
		any |= transform_is_addke(p->t[i].type);
	return any;
}

/* What is wrong with a proposal, or NULL if it is complete. */
static const char *incomplete(const struct proposal *p)
{
	bool ike = p->protocol == PROTOCOL_IKE, combined = false;

	if (!proposal_count_type(p, TRANSFORM_ENCR))
		return "names no encryption algorithm";
	for (unsigned i = 0; i < p->count; i++)
		combined |= p->t[i].type == TRANSFORM_ENCR && is_combined(&p->t[i]);
	if (combined && !only_combined(p))
		return "mixes AEAD and other ciphers: write two proposals";
	if (!combined && !proposal_count_type(p, TRANSFORM_INTEG))
		return "needs an integrity algorithm, such as sha256";
	if (ike && !proposal_count_type(p, TRANSFORM_PRF))
		return "needs a PRF, such as prfsha256";
	if (ike && !proposal_count_type(p, TRANSFORM_KE))
		return "needs a key exchange, such as x25519";
	if (has_addke(p) && !proposal_count_type(p, TRANSFORM_KE))
		return "has additional key exchanges (ke1_...) and no first one, such as x25519";
	if (ike && proposal_count_type(p, TRANSFORM_ESN))
		return "has esn, which is for ESP";
	if (!ike && proposal_count_type(p, TRANSFORM_PRF))
		return "has a PRF, which is for IKE";
	return NULL;
}

#define ADDKE_PREFIX 4 /* "ke1_" */

/* The number of an additional key exchange, 1 to 7, which the word begins with; 0: it is none. */
static unsigned addke_number(const char *s, size_t len)
{
	if (len <= ADDKE_PREFIX || memcmp(s, "ke", 2) != 0 || s[3] != '_' || s[2] < '1' ||
	    s[2] > '0' + ADDKE_MAX)
		return 0;
	return (unsigned)(s[2] - '0');
}

/* The key exchange that others call "group14" or "dh14", by its number; NULL: the word is none. */
static const char *group_by_number(const char *s, size_t len)
{
	static const char *const prefixes[] = {"group", "dh"};
	unsigned number = 0;

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		size_t at = strlen(prefixes[i]);

		if (len <= at || len > at + 2 || memcmp(s, prefixes[i], at) != 0)
			continue;
		for (; at < len && s[at] >= '0' && s[at] <= '9'; at++)
			number = number * 10 + (unsigned)(s[at] - '0');
		return at == len && kex_available((uint16_t)number) ? kex_name((uint16_t)number)
								    : NULL;
	}
	return NULL;
}

static bool has_capital(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (s[i] >= 'A' && s[i] <= 'Z')
			return true;
	}
	return false;
}

/* Says of an unknown word to err what was probably meant by it. Always returns -EINVAL. */
static int unknown_word(const char *s, size_t len, char *err)
{
	const char *group = group_by_number(s, len);
	int shown = (int)(len > 40 ? 40 : len);

	if (group)
		snprintf(err, PROPOSAL_ERR, "\"%.*s\" is written %s here", shown, s, group);
	else if (memchr(s, ',', len))
		snprintf(err, PROPOSAL_ERR,
			 "\"%.*s\" has a comma: write each proposal in a string of its own: "
			 "[ \"A\", \"B\" ]",
			 shown, s);
	else if (len && s[len - 1] == '!')
		snprintf(err, PROPOSAL_ERR,
			 "\"%.*s\": remove the !, as nothing is offered but what is written", shown,
			 s);
	else if (has_capital(s, len))
		snprintf(err, PROPOSAL_ERR, "\"%.*s\": write it in lower case", shown, s);
	else
		snprintf(err, PROPOSAL_ERR, "\"%.*s\" is not an algorithm that Mendip supports",
			 shown, s);
	return -EINVAL;
}

/* The transform of a word, with the word of its algorithm; -EINVAL with err. */
static int read_word(const char *s, size_t len, struct transform *ret, char *err)
{
	unsigned n = addke_number(s, len);
	const char *name = n ? s + ADDKE_PREFIX : s;
	size_t name_len = n ? len - ADDKE_PREFIX : len;
	const struct word *w = word_find(name, name_len), *never = word_refused(name, name_len);
	bool none = n && name_len == 4 && memcmp(name, "none", 4) == 0;
	int shown = (int)(len > 40 ? 40 : len);

	*ret = w ? w->t : (struct transform){TRANSFORM_KE, GROUP_NONE, 0};
	if (never) {
		snprintf(err, PROPOSAL_ERR, "\"%.*s\" %s", shown, s, never->note);
		return -EINVAL;
	}
	if ((!w && !none) || (n && ret->type != TRANSFORM_KE))
		return unknown_word(s, len, err);
	if (n)
		ret->type = (uint8_t)(TRANSFORM_ADDKE1 + n - 1);
	return 0;
}

/* Whether the group can be what the transform says; false with err. */
static bool group_fits(const struct transform *t, char *err)
{
	const char *name = kex_name(t->id);

	if (!transform_is_kex(t->type) || t->id == GROUP_NONE)
		return true;
	if (kex_is_kem(t->id) && !kex_available(t->id))
		snprintf(err, PROPOSAL_ERR, "%s needs OpenSSL 3.5; this is %s", name,
			 kex_library());
	else if (!kex_available(t->id))
		snprintf(err, PROPOSAL_ERR, "\"%s\" is a group that this libcrypto lacks", name);
	else if (kex_is_kem(t->id) && t->type == TRANSFORM_KE)
		snprintf(err, PROPOSAL_ERR,
			 "%s is too large for a first key exchange: write ke1_%s", name, name);
	else
		return true;
	return false;
}

/* Adds the algorithm of a word; -EINVAL with err. */
static int add_word(struct proposal *p, const char *s, size_t len, char *err)
{
	struct transform t;

	if (read_word(s, len, &t, err) < 0 || !group_fits(&t, err))
		return -EINVAL;
	if (!proposal_has(p, &t) && !proposal_add(p, t)) {
		snprintf(err, PROPOSAL_ERR, "the proposal has more than %d algorithms",
			 PROPOSAL_TRANSFORMS);
		return -EINVAL;
	}
	return 0;
}

int proposal_parse_text(const char *s, uint8_t protocol, struct proposal *ret, char *err)
{
	struct proposal p = {.protocol = protocol};
	const char *why;

	while (*s) {
		size_t len = strcspn(s, "-");

		if (add_word(&p, s, len, err) < 0)
			return -EINVAL;
		s += len;
		if (*s == '-')
			s++;
	}
	if (protocol == PROTOCOL_IKE && !proposal_count_type(&p, TRANSFORM_PRF))
		derive_prf(&p);
	/* As in swanctl: beside AEAD ciphers they only name the PRFs. */
	if (only_combined(&p))
		proposal_remove_type(&p, TRANSFORM_INTEG);
	if (protocol == PROTOCOL_ESP && !proposal_count_type(&p, TRANSFORM_ESN))
		proposal_add(&p, (struct transform){TRANSFORM_ESN, ESN_NO, 0});
	why = incomplete(&p);
	if (why) {
		snprintf(err, PROPOSAL_ERR, "the proposal %s", why);
		return -EINVAL;
	}
	*ret = p;
	return 0;
}

int proposals_add_text(struct proposal_list *l, const char *s, uint8_t protocol, char *err)
{
	const char *const one[] = {s, NULL};
	bool is_default = strcmp(s, "default") == 0;
	const char *const *texts = !is_default		      ? one
				   : protocol == PROTOCOL_IKE ? default_ike_here()
							      : default_esp;

	if (is_default) {
		l->default_at = l->count;
		l->default_count = 0;
	}
	for (; *texts; texts++) {
		struct proposal p;

		if (l->count == PROPOSAL_MAX) {
			snprintf(err, PROPOSAL_ERR, "more than %d proposals", PROPOSAL_MAX);
			return -EINVAL;
		}
		if (proposal_parse_text(*texts, protocol, &p, err) < 0)
			return -EINVAL;
		l->p = xreallocarray(l->p, l->count + 1u, sizeof(*l->p));
		l->p[l->count++] = p;
		l->default_count += is_default;
	}
	return 0;
}

void proposals_free(struct proposal_list *l)
{
	free(l->p);
	*l = (struct proposal_list){0};
}

const char *proposals_weakness(const struct proposal_list *l, char *err)
{
	for (unsigned i = 0; i < l->count; i++) {
		for (unsigned k = 0; k < l->p[i].count; k++) {
			const struct word *w = word_of(&l->p[i].t[k]);

			if (w && w->note) {
				snprintf(err, PROPOSAL_ERR, "\"%s\" %s", w->name, w->note);
				return err;
			}
		}
	}
	return NULL;
}

/* ---- writing ---- */

/* Text that ends in "..." if it does not fit. */
struct text {
	char *s;
	size_t size, len;
	bool cut;
};

static void text_init(struct text *t, char *s, size_t size)
{
	*t = (struct text){.s = s, .size = size};
	if (size)
		*s = '\0';
}

/* Adds `before`, unless nothing stands before it, and a word; nothing more once one did not fit. */
static void text_add(struct text *t, const char *before, const char *word)
{
	size_t len = t->len ? strlen(before) : 0, end = t->len + len + strlen(word);

	if (t->cut)
		return;
	/* Always leaves room for the dots. */
	if (end + sizeof("...") > t->size) {
		t->cut = true;
		if (t->len + sizeof("...") <= t->size)
			memcpy(t->s + t->len, "...", sizeof("..."));
		return;
	}
	memcpy(t->s + t->len, before, len);
	memcpy(t->s + t->len + len, word, strlen(word) + 1);
	t->len = end;
}

static void text_proposal(struct text *t, const struct proposal *p, bool with_ke,
			  const char *before)
{
	char word[TRANSFORM_STRLEN];

	for (unsigned i = 0; i < p->count; i++) {
		if (transform_is_kex(p->t[i].type) && !with_ke)
			continue;
		text_add(t, before, transform_format(&p->t[i], word));
		before = "-";
	}
}

const char *proposal_format(const struct proposal *p, char *s, size_t size)
{
	struct text t;

	text_init(&t, s, size);
	text_proposal(&t, p, true, "");
	return s;
}

const char *proposals_format(const struct proposal_list *l, enum proposal_kex kex, char *s,
			     size_t size)
{
	struct text t;

	text_init(&t, s, size);
	for (unsigned i = 0; i < l->count; i++) {
		if (proposals_offered(l, i, kex))
			text_proposal(&t, &l->p[i], kex == PROPOSAL_KEX, ", ");
	}
	return s;
}

/* The transforms of the next proposal in r, which proposals_parse has checked. */
static struct reader next_transforms(struct reader *r)
{
	struct reader p;
	uint16_t length;

	rd_be16(r);
	length = rd_be16(r);
	p = rd_part(r, length >= 4 ? length - 4u : 0);
	rd_be16(&p); /* number, protocol */
	length = rd_u8(&p);
	rd_u8(&p);
	rd_bytes(&p, length); /* the SPI */
	return p;
}

/* Reads the next transform; other attributes than the key length are left out. */
static bool next_transform(struct reader *r, struct transform *ret)
{
	struct reader p;
	uint16_t length;

	if (r->bad || !r->left)
		return false;
	rd_be16(r);
	length = rd_be16(r);
	p = rd_part(r, length >= 4 ? length - 4u : 0);
	*ret = (struct transform){.type = rd_u8(&p)};
	rd_u8(&p);
	ret->id = rd_be16(&p);
	while (!p.bad && p.left) {
		uint16_t type = rd_be16(&p), value = rd_be16(&p);

		if (type == PROPOSAL_KEY_LENGTH)
			ret->key_bits = value;
		else if (!(type & 0x8000))
			rd_bytes(&p, value);
	}
	return !r->bad;
}

const char *offer_format(const struct proposal_offer *o, char *s, size_t size)
{
	struct text t;
	struct reader r;

	text_init(&t, s, size);
	rd_init(&r, o->body.p, o->body.len);
	while (!r.bad && r.left && !t.cut) {
		struct transform each;
		struct reader transforms = next_transforms(&r);
		char word[TRANSFORM_STRLEN];
		bool first = true;

		while (!t.cut && next_transform(&transforms, &each)) {
			text_add(&t, first ? ", " : "-", transform_format(&each, word));
			first = false;
		}
	}
	return s;
}

const char *choice_format(const struct proposal_choice *c, char *s, size_t size)
{
	const struct transform prf = {TRANSFORM_PRF, c->prf, 0};
	const char *group = c->group ? kex_name(c->group) : NULL;
	char word[TRANSFORM_STRLEN], addke[ADDKE_MAX * 16] = "";
	size_t at = 0;

	for (unsigned i = 0; i < ADDKE_MAX; i++) {
		if (c->addke[i])
			at += (size_t)snprintf(addke + at, sizeof(addke) - at, "-ke%u_%s", i + 1,
					       kex_name(c->addke[i]));
	}
	snprintf(s, size, "%s%s%s%s%s%s%s", c->suite ? c->suite->name : "?", c->prf ? "-" : "",
		 c->prf ? transform_format(&prf, word) : "", group ? "-" : "", group ? group : "",
		 addke, c->protocol == PROTOCOL_ESP ? (c->esn ? "-esn" : "-noesn") : "");
	return s;
}

const char *choice_format_kex(const struct proposal_choice *c, char *s, size_t size)
{
	const char *first = c->group ? kex_name(c->group) : "";
	size_t at = (size_t)snprintf(s, size, "%s", first ? first : "?");

	for (unsigned n = 0; choice_addke(c, n) && at < size; n++)
		at += (size_t)snprintf(s + at, size - at, " + %s", kex_name(choice_addke(c, n)));
	return s;
}
