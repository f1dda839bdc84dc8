/*
 * fuzz_text.c - text that people write: traffic selectors, proposals, identities, options, times,
 * sizes, configuration. SPDX-License-Identifier: ISC
 */
#include "fuzz.h"
#include "addr.h"
#include "auth/ident.h"
#include "options.h"
#include "wire/proposal.h"
#include "scan.h"

static void selectors(const char *s)
{
	struct ts a, b;
	char text[TS_STRLEN];

	if (ts_parse(s, &a) < 0)
		return;
	hold(ts_parse(ts_format(&a, text), &b) == 0);
	hold(ts_eq(&a, &b));
	hold(addr_cmp(&a.lo, &a.hi) <= 0);
}

static void proposals(const char *s, uint8_t protocol)
{
	struct proposal a, b;
	char err[PROPOSAL_ERR], text[1024];

	if (proposal_parse_text(s, protocol, &a, err) < 0) {
		hold(strlen(err) < sizeof(err));
		return;
	}
	hold(proposal_parse_text(proposal_format(&a, text, sizeof(text)), protocol, &b, err) == 0);
	hold(a.count == b.count);
}

static void identities(const char *s)
{
	struct ident a, b;
	char text[IDENT_STRLEN];

	if (ident_parse(s, &a) < 0)
		return;
	hold(ident_match(&a, &a) > 0);
	if (a.type == ID_KEY_ID || a.type == ID_IPV4 || a.type == ID_IPV6) {
		hold(ident_parse(ident_format(&a, text), &b) == 0);
		hold(ident_eq(&a, &b));
	}
}

static void options(const char *s)
{
	struct tunnel_options o, before;
	char err[OPTION_ERR], name[64], text[32];
	const char *eq = strchr(s, '=');
	nsec_t t, u;
	uint64_t v;

	tunnel_options_default(&o);
	before = o;
	if (eq && (size_t)(eq - s) < sizeof(name)) {
		memcpy(name, s, (size_t)(eq - s));
		name[eq - s] = '\0';
		if (tunnel_options_set(&o, name, eq + 1, err) < 0)
			hold(tunnel_options_equal(&o, &before));
	}
	if (parse_time(s, &t) == 0 && parse_time(format_time(t, text), &u) == 0)
		hold(t == u);
	(void)!parse_size(s, true, &v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char s[512];
	unsigned line;
	const char *why;

	as_string(data, size, s, sizeof(s));
	selectors(s);
	proposals(s, PROTOCOL_IKE);
	proposals(s, PROTOCOL_ESP);
	identities(s);
	options(s);
	conf_scan((const char *)data, size, &line, &why);
	return 0;
}
