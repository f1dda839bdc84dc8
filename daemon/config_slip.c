/* config_slip.c - what was probably meant by an address or a selector that is none.
 * SPDX-License-Identifier: ISC */
#include "config_option.h"

#include <ctype.h>

/* Several values in one string, as in swanctl.conf. */
static bool is_several(const char *v)
{
	return strchr(v, ',') != NULL;
}

static void several(struct conf_reader *r, config_setting_t *s, const char *v)
{
	conf_fail(r, s, "\"%.60s\": write each value in a string of its own: [ \"A\", \"B\" ]", v);
}

/* The port behind a name or an address of IPv4, or NULL. */
static const char *port_behind(const char *v)
{
	const char *colon = strchr(v, ':');

	if (!colon || colon == v || !isdigit((unsigned char)colon[1]))
		return NULL;
	return colon[1 + strspn(colon + 1, "0123456789")] == '\0' ? colon + 1 : NULL;
}

bool conf_slip_address(struct conf_reader *r, config_setting_t *s, const char *v,
		       const char *port_option)
{
	const char *port = port_behind(v);

	if (is_several(v))
		several(r, s, v);
	else if (*v && v[strspn(v, "0123456789.")] == '\0') /* no host name has digits alone */
		conf_fail(r, s,
			  "\"%.60s\" is not an address: one of IPv4 has four numbers from 0 to "
			  "255",
			  v);
	else if (port)
		conf_fail(r, s, "\"%.60s\": write the port as %s = %.5s", v, port_option, port);
	else
		return false;
	return true;
}

/* The number of ones that an address of IPv4 begins with, if only zeros follow; or -1. */
static int mask_len(const char *text)
{
	struct addr mask;
	uint32_t bits = 0;
	int len = 0;

	if (addr_parse(text, &mask) < 0 || mask.family != FAMILY_IPV4)
		return -1;
	for (unsigned i = 0; i < 4; i++)
		bits = bits << 8 | mask.b[i];
	for (; bits & 1u << 31; bits <<= 1)
		len++;
	return bits ? -1 : len;
}

bool conf_slip_selector(struct conf_reader *r, config_setting_t *s, const char *v)
{
	const char *slash = strchr(v, '/');
	int len = slash ? mask_len(slash + 1) : -1;

	if (is_several(v))
		several(r, s, v);
	else if (len >= 0)
		conf_fail(r, s, "\"%.60s\": write the length of the mask: \"%.*s/%d\"", v,
			  (int)(slash - v > 40 ? 40 : slash - v), v, len);
	else
		return false;
	return true;
}
