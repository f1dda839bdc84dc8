/* eap_method.h - what a method of EAP is; private to eap*.c. SPDX-License-Identifier: ISC */
#ifndef MENDIP_EAP_METHOD_H
#define MENDIP_EAP_METHOD_H

#include "auth/eap.h"

struct eap {
	const struct eap_method *method;
	void *state; /* of the method; owned by it */
	struct rng *rng;
	struct chunk identity; /* owned */
	unsigned rounds;
	bool begun;	     /* the method has had its first request */
	const char *missing; /* what success lacks, static text; NULL: more than one thing */
	bool done;	     /* the server is authenticated, and msk is set: success may come */
	bool lost; /* it has failed, and the server has still to be told, or has told us */
	uint8_t msk[EAP_MSK];
	char why[EAP_WHY_MAX];
	bool by_server; /* why: the server refuses us */
	char notice[EAP_WHY_MAX];
};

struct eap_method {
	uint8_t type;
	const char *name;
	/* The method's state; NULL with static text in *ret_why: it cannot be used. */
	void *(*begin)(struct eap *e, const struct eap_setup *s, const char **ret_why);
	/*
	 * Handles the data of a request of this type, and writes that of the response to out. False
	 * through eap_refuse.
	 */
	bool (*request)(struct eap *e, struct chunk data, struct writer *out);
	/* Wipes and frees the state. */
	void (*end)(void *state);
};

extern const struct eap_method eap_method_mschapv2, eap_method_tls;

/* Sets why it failed, unless that was said before. Always false. */
bool eap_refuse(struct eap *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The same where it is the server that refuses us. */
bool eap_refused(struct eap *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Copies text of the server, cut to size - 1 bytes; what is not printable ASCII becomes '?'. */
void eap_print(struct chunk text, char *out, size_t size);

#endif
