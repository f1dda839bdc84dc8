/* frame.c - see frame.h. SPDX-License-Identifier: ISC */
#include "frame.h"

uint32_t esp_payload_max(const struct suite *s, uint32_t len)
{
	uint32_t fixed = ESP_HEADER_LEN + s->iv_len + s->icv_len;

	if (len < fixed + s->block)
		return 0;
	return (len - fixed) / s->block * s->block - 2;
}
