/* verdict.c - see verdict.h. SPDX-License-Identifier: ISC */
#include "verdict.h"

#define NAME(id, name, text) name,

const char *verdict_name(enum verdict v)
{
	static const char *const names[] = {FOREACH_VERDICT(NAME)};

	return names[v];
}

const char *esp_drop_name(enum esp_drop d)
{
	static const char *const names[] = {FOREACH_ESP_DROP(NAME)};

	return names[d];
}
