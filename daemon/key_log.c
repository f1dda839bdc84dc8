/* key_log.c - see key_log.h. SPDX-License-Identifier: ISC */
#include "key_log.h"
#include "xalloc.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE 1024 /* bytes; more than any line takes */

/* The names in Wireshark's tables; it does not decrypt what is not among them. */
static const struct names {
	uint16_t encr, key_bits;
	const char *ike, *esp;
} ciphers[] = {
	{ENCR_AES_CBC, 128, "AES-CBC-128 [RFC3602]", "AES-CBC [RFC3602]"},
	{ENCR_AES_CBC, 192, "AES-CBC-192 [RFC3602]", "AES-CBC [RFC3602]"},
	{ENCR_AES_CBC, 256, "AES-CBC-256 [RFC3602]", "AES-CBC [RFC3602]"},
	{ENCR_AES_GCM_16, 128, "AES-GCM-128 with 16 octet ICV [RFC5282]",
	 "AES-GCM with 16 octet ICV [RFC4106]"},
	{ENCR_AES_GCM_16, 192, "AES-GCM-192 with 16 octet ICV [RFC5282]",
	 "AES-GCM with 16 octet ICV [RFC4106]"},
	{ENCR_AES_GCM_16, 256, "AES-GCM-256 with 16 octet ICV [RFC5282]",
	 "AES-GCM with 16 octet ICV [RFC4106]"},
};

static const struct {
	uint16_t integ;
	const char *ike, *esp;
} integrities[] = {
	{INTEG_NONE, "NONE [RFC4306]", "NULL"},
	{INTEG_HMAC_SHA1_96, "HMAC_SHA1_96 [RFC2404]", "HMAC-SHA-1-96 [RFC2404]"},
	{INTEG_HMAC_SHA2_256_128, "HMAC_SHA2_256_128 [RFC4868]", "HMAC-SHA-256-128 [RFC4868]"},
	{INTEG_HMAC_SHA2_384_192, "HMAC_SHA2_384_192 [RFC4868]", "HMAC-SHA-384-192 [RFC4868]"},
	{INTEG_HMAC_SHA2_512_256, "HMAC_SHA2_512_256 [RFC4868]", "HMAC-SHA-512-256 [RFC4868]"},
};

static const struct names *cipher_of(const struct suite *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(ciphers); i++) {
		if (ciphers[i].encr == s->encr && ciphers[i].key_bits == s->key_bits)
			return &ciphers[i];
	}
	return NULL;
}

/* NULL: Wireshark does not have it. */
static const char *integrity_of(const struct suite *s, bool ike)
{
	for (size_t i = 0; i < ARRAY_SIZE(integrities); i++) {
		if (integrities[i].integ == s->integ)
			return ike ? integrities[i].ike : integrities[i].esp;
	}
	return NULL;
}

void key_log_init(struct key_log *k)
{
	k->ike = k->esp = -1;
}

/* A file that is already there must be ours, with mode 0600, and a regular one. */
static int open_table(int folder, const char *name, uid_t owner)
{
	int fd = openat(folder, name,
			O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
	    (st.st_mode & 0077) == 0 && (st.st_uid == owner || st.st_uid == geteuid()) &&
	    (st.st_uid == owner || fchown(fd, owner, (gid_t)-1) == 0))
		return fd;
	close(fd);
	return -EPERM;
}

static int open_tables(struct key_log *k, int folder, uid_t owner)
{
	k->ike = open_table(folder, "ikev2_decryption_table", owner);
	k->esp = k->ike < 0 ? k->ike : open_table(folder, "esp_sa", owner);
	return k->esp < 0 ? k->esp : 0;
}

int key_log_open(struct key_log *k, const char *folder, const char *user, char *err, size_t size)
{
	const struct passwd *pw = user ? getpwnam(user) : NULL;
	int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	key_log_init(k);
	r = dir < 0 ? -errno : open_tables(k, dir, pw ? pw->pw_uid : geteuid());
	if (dir >= 0)
		close(dir);
	if (r == 0)
		return 0;
	snprintf(err, size,
		 r == -EPERM
			 ? "daemon.key_log: a file in \"%s\" belongs to somebody else or is open "
			   "to others: remove it, or chmod 0600"
			 : "daemon.key_log: \"%s\": %s",
		 folder, strerror(-r));
	key_log_close(k);
	return r;
}

void key_log_close(struct key_log *k)
{
	if (k->ike >= 0)
		close(k->ike);
	if (k->esp >= 0)
		close(k->esp);
	key_log_init(k);
}

static void put_hex(struct writer *w, const uint8_t *p, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		wr_u8(w, (uint8_t)digits[p[i] >> 4]);
		wr_u8(w, (uint8_t)digits[p[i] & 15]);
	}
}

static void put_text(struct writer *w, const char *text)
{
	wr_bytes(w, text, strlen(text));
}

static void put_quoted(struct writer *w, const char *text)
{
	put_text(w, "\"");
	put_text(w, text);
	put_text(w, "\"");
}

static void put_key(struct writer *w, const uint8_t *p, size_t len)
{
	put_text(w, ",\"");
	if (len)
		put_text(w, "0x");
	put_hex(w, p, len);
	put_text(w, "\"");
}

/* Appends the line, which is wiped. */
static void finish(int fd, struct writer *w, uint8_t *line, struct log *log)
{
	size_t len;

	put_text(w, "\n");
	len = w->len;
	if (w->bad || write(fd, line, len) != (ssize_t)len)
		log_warn(log, "key_log: a line could not be written: %s", strerror(errno));
	secret_wipe(line, LINE);
}

static void comment(int fd, const char *what, struct log *log)
{
	uint8_t line[LINE];
	struct writer w;

	wr_init(&w, line, sizeof(line));
	put_text(&w, "# Wireshark does not decrypt ");
	put_text(&w, what);
	finish(fd, &w, line, log);
}

void key_log_ike(struct key_log *k, const struct ike_sa *sa, const struct ike_keys *keys,
		 struct log *log)
{
	const struct suite *s = ike_sa_choice(sa)->suite;
	const struct names *c = cipher_of(s);
	const char *integ = integrity_of(s, true);
	uint8_t line[LINE];
	char spis[40];
	struct writer w;

	if (k->ike < 0)
		return;
	if (!c || !integ) {
		comment(k->ike, s->name, log);
		return;
	}
	wr_init(&w, line, sizeof(line));
	snprintf(spis, sizeof(spis), "%016llx,%016llx,", (unsigned long long)ike_sa_spi_i(sa),
		 (unsigned long long)ike_sa_spi_r(sa));
	put_text(&w, spis);
	put_hex(&w, keys->sk_ei, s->enc_keylen);
	put_text(&w, ",");
	put_hex(&w, keys->sk_er, s->enc_keylen);
	put_text(&w, ",");
	put_quoted(&w, c->ike);
	put_text(&w, ",");
	put_hex(&w, keys->sk_ai, s->integ_keylen);
	put_text(&w, ",");
	put_hex(&w, keys->sk_ar, s->integ_keylen);
	put_text(&w, ",");
	put_quoted(&w, integ);
	finish(k->ike, &w, line, log);
}

/* One direction; "*": from and to any address, as SAs move. */
static void child_line(struct key_log *k, const struct suite *s, uint8_t family, uint32_t spi,
		       const uint8_t *enc, const uint8_t *integ_key, struct log *log)
{
	const struct names *c = cipher_of(s);
	const char *integ = integrity_of(s, false);
	uint8_t line[LINE];
	struct writer w;
	char number[16];

	if (!c || !integ) {
		comment(k->esp, s->name, log);
		return;
	}
	wr_init(&w, line, sizeof(line));
	put_quoted(&w, family == FAMILY_IPV6 ? "IPv6" : "IPv4");
	put_text(&w, ",\"*\",\"*\",");
	snprintf(number, sizeof(number), "0x%08x", spi);
	put_quoted(&w, number);
	put_text(&w, ",");
	put_quoted(&w, c->esp);
	put_key(&w, enc, s->enc_keylen);
	put_text(&w, ",");
	put_quoted(&w, integ);
	put_key(&w, integ_key, s->integ_keylen);
	finish(k->esp, &w, line, log);
}

void key_log_child(struct key_log *k, const struct tunnel_sa *s, struct log *log)
{
	const struct suite *suite = child_sa_choice(s->ike)->suite;
	uint8_t family = ike_sa_remote(child_sa_ike(s->ike))->addr.family;

	if (k->esp < 0)
		return;
	child_line(k, suite, family, s->spi, s->keys.enc_in, s->keys.integ_in, log);
	child_line(k, suite, family, s->spi_out, s->keys.enc_out, s->keys.integ_out, log);
}
