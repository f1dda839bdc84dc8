/* frame.c - see frame.h. SPDX-License-Identifier: ISC */
#include "frame.h"

static uint32_t text_len(const struct suite *s, uint32_t payload)
{
	/* Blocks are powers of two. */
	return (payload + 2 + s->block - 1) & -(uint32_t)s->block;
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
