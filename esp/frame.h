/*
 * frame.h - the ESP packet's layout (RFC 4303 2). SPDX-License-Identifier: ISC
 *
 *   SPI 4 | number 4 | IV | payload, padding, pad length 1, next header 1 | ICV
 */
#ifndef MENDIP_FRAME_H
#define MENDIP_FRAME_H

#include "wire.h"
#include "crypto/aead.h"

#define ESP_HEADER_LEN	 8
#define ESP_AAD_MAX	 12
#define ESP_OVERHEAD_MAX (ESP_HEADER_LEN + SUITE_MAX_IV + 16 + 2 + SUITE_MAX_ICV)

/* Where the parts of a packet are, as offsets. */
struct esp_layout {
	uint32_t iv, text, text_len, icv;
};

/* The length of payload, padding, pad length and next header. Block sizes are powers of two. */
static inline uint32_t esp_text_len(const struct suite *s, uint32_t payload)
{
	return (payload + 2 + s->block - 1) & -(uint32_t)s->block;
}

/* The length of the ESP packet with a payload of len bytes. */
static inline uint32_t esp_frame_len(const struct suite *s, uint32_t len)
{
	return ESP_HEADER_LEN + s->iv_len + esp_text_len(s, len) + s->icv_len;
}

/* The largest payload in an ESP packet of at most len bytes; 0 if there is none. */
uint32_t esp_payload_max(const struct suite *s, uint32_t len);
/* Splits a received packet of len bytes; false if it is too short or not aligned to the cipher. */
static inline bool esp_frame_split(const struct suite *s, uint32_t len, struct esp_layout *ret)
{
	uint32_t fixed = ESP_HEADER_LEN + s->iv_len + s->icv_len;

	if (len < fixed + 2 || ((len - fixed) & (s->block - 1u)))
		return false;
	ret->iv = ESP_HEADER_LEN;
	ret->text = ESP_HEADER_LEN + s->iv_len;
	ret->text_len = len - fixed;
	ret->icv = len - s->icv_len;
	return true;
}

/*
 * Lays out a packet of esp_frame_len(len) bytes at p: writes its header, padding (RFC 4303 2.4: 1,
 * 2, 3, ...) and next header. The caller writes the len bytes of payload at ret->text, the IV and
 * the ICV.
 */
static inline void esp_frame_write(const struct suite *s, uint8_t *p, uint32_t spi, uint32_t low,
				   uint32_t len, uint8_t next, struct esp_layout *ret)
{
	uint32_t text = ESP_HEADER_LEN + s->iv_len, total = esp_text_len(s, len);
	uint32_t pad = total - len - 2;
	uint8_t *at = p + text + len;

	put_be32(p, spi);
	put_be32(p + 4, low);
	/*
	 * Copies the longest padding at once, 16 bytes. The excess falls into the trailer and the
	 * ICV, which are written later; 14 bytes of ICV are enough for it, 12 (HMAC-SHA1-96) are
	 * not.
	 */
	memcpy(at, "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17", s->icv_len >= 14 ? 16 : pad);
	at[pad] = (uint8_t)pad;
	at[pad + 1] = next;
	*ret = (struct esp_layout){
		.iv = ESP_HEADER_LEN, .text = text, .text_len = total, .icv = text + total};
}

/*
 * Reads the trailer of the decrypted text, len >= 2: payload length and next header. False if the
 * padding is bad.
 */
static inline bool esp_trailer_read(const uint8_t *text, uint32_t len, uint32_t *ret_payload,
				    uint8_t *ret_next)
{
	uint32_t pad = text[len - 2];

	if (pad + 2 > len)
		return false;
	for (uint32_t i = 0; i < pad; i++) {
		if (text[len - 2 - pad + i] != i + 1)
			return false;
	}
	*ret_payload = len - 2 - pad;
	*ret_next = text[len - 1];
	return true;
}

/*
 * Sets aad and tail of op for the packet at p, whose header is written, and its 64-bit number: for
 * combined modes SPI | [high] | low (RFC 4106 5); otherwise SPI | low, and the high half as tail
 * (RFC 4303 2.2.1). aad holds ESP_AAD_MAX bytes, which are used if the packet does not hold the AAD
 * as it is; it and p must last as long as op.
 */
static inline void esp_frame_aad(const struct suite *s, bool esn, const uint8_t *p, uint64_t number,
				 uint8_t *aad, struct aead_op *op)
{
	uint32_t high = (uint32_t)(number >> 32);

	op->tail_len = 0;
	op->aad = p;
	op->aad_len = ESP_HEADER_LEN;
	if (!esn)
		return;
	if (s->combined) {
		memcpy(aad, p, 4);
		put_be32(aad + 4, high);
		memcpy(aad + 8, p + 4, 4);
		op->aad = aad;
		op->aad_len = ESP_AAD_MAX;
	} else {
		put_be32(op->tail, high);
		op->tail_len = 4;
	}
}

#endif
