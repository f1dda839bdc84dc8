/* rules.c - see rules.h. SPDX-License-Identifier: ISC */
#include "wire/rules.h"

#define ANYWHERE (PL(NOTIFY) | PL(VENDOR) | PL(CERT) | PL(CERTREQ) | PL(CP))

static const struct rule {
	uint8_t exchange;
	bool response;
	uint32_t must, may;
} rules[] = {
	{IKE_SA_INIT, false, PL(SA) | PL(KE) | PL(NONCE), 0},
	{IKE_SA_INIT, true, PL(SA) | PL(KE) | PL(NONCE), 0},
	{IKE_AUTH, false, PL(IDI), PL(IDR) | PL(AUTH) | PL(SA) | PL(TSI) | PL(TSR) | PL(EAP)},
	{IKE_AUTH, true, PL(IDR) | PL(AUTH), PL(SA) | PL(TSI) | PL(TSR) | PL(EAP)},
	/* After the first one, when we authenticate by EAP (2.16). */
	{IKE_AUTH, true, PL(EAP), 0},
	{IKE_AUTH, true, PL(AUTH), PL(SA) | PL(TSI) | PL(TSR)},
	{IKE_CREATE_CHILD_SA, false, PL(SA) | PL(NONCE), PL(KE) | PL(TSI) | PL(TSR)},
	{IKE_CREATE_CHILD_SA, true, PL(SA) | PL(NONCE), PL(KE) | PL(TSI) | PL(TSR)},
	{IKE_INTERMEDIATE, false, PL(KE), 0},
	{IKE_INTERMEDIATE, true, PL(KE), 0},
	{IKE_FOLLOWUP_KE, false, PL(KE), 0},
	{IKE_FOLLOWUP_KE, true, PL(KE), 0},
	{IKE_INFORMATIONAL, false, 0, PL(DELETE)},
	{IKE_INFORMATIONAL, true, 0, PL(DELETE)},
};

bool rules_allow(uint8_t exchange, bool response, const struct ike_payloads *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		const struct rule *r = &rules[i];

		if (r->exchange != exchange || r->response != response)
			continue;
		if (p->present & ~(r->must | r->may | ANYWHERE))
			continue;
		if (response && (ike_find_error(p) || ike_find_notify(p, NOTIFY_COOKIE)))
			return true;
		if ((p->present & r->must) == r->must)
			return true;
	}
	return false;
}
