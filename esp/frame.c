/* frame.c - see frame.h. SPDX-License-Identifier: ISC */
#include "frame.h"

static uint32_t text_len(const struct suite *s, uint32_t payload)
{
	return (payload + 2 + s->block - 1) / s->block * s->block;
}

uint32_t esp_frame_len(const struct suite *s, uint32_t len)
{
	return ESP_HEADER_LEN + s->iv_len + text_len(s, len) + s->icv_len;
}

uint32_t esp_payload_max(const struct suite *s, uint32_t len)
{
	uint32_t fixed = ESP_HEADER_LEN + s->iv_len + s->icv_len;

	if (len < fixed + s->block)
		return 0;
	return (len - fixed) / s->block * s->block - 2;
}

bool esp_frame_split(const struct suite *s, uint32_t len, struct esp_layout *ret)
{
	uint32_t fixed = ESP_HEADER_LEN + s->iv_len + s->icv_len;

	if (len < fixed + 2 || (len - fixed) % s->block)
		return false;
	ret->iv = ESP_HEADER_LEN;
	ret->text = ESP_HEADER_LEN + s->iv_len;
	ret->text_len = len - fixed;
	ret->icv = len - s->icv_len;
	return true;
}

void esp_frame_write(const struct suite *s, uint8_t *p, uint32_t spi, uint32_t low, uint32_t len,
		     uint8_t next, struct esp_layout *ret)
{
	uint32_t text = ESP_HEADER_LEN + s->iv_len, total = text_len(s, len);
	uint32_t pad = total - len - 2;
	uint8_t *at = p + text + len;

	put_be32(p, spi);
	put_be32(p + 4, low);
	for (uint32_t i = 0; i < pad; i++)
		*at++ = (uint8_t)(i + 1);
	*at++ = (uint8_t)pad;
	*at = next;
	*ret = (struct esp_layout){
		.iv = ESP_HEADER_LEN, .text = text, .text_len = total, .icv = text + total};
}

bool esp_trailer_read(const uint8_t *text, uint32_t len, uint32_t *ret_payload, uint8_t *ret_next)
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

void esp_frame_aad(const struct suite *s, bool esn, const uint8_t *p, uint64_t number, uint8_t *aad,
		   struct aead_op *op)
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
