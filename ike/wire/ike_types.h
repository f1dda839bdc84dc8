/* ike_types.h - numbers of IKEv2 (RFC 7296, IANA). SPDX-License-Identifier: ISC */
#ifndef MENDIP_IKE_TYPES_H
#define MENDIP_IKE_TYPES_H

#include "base.h"

#define IKE_HEADER_LEN	   28
#define IKE_SPI_LEN	   8
#define IKE_MAX_MESSAGE	   65503 /* what a UDP datagram over IPv4 holds besides the non-ESP marker */
#define IKE_MAX_UNKNOWN	   32768 /* in fragments from a peer that is not authenticated */
#define IKE_MAX_INIT	   16384 /* IKE_SA_INIT, which is kept until the peer is authenticated */
#define IKE_MAX_FRAGMENTS  255	 /* of one message */
#define IKE_SKF_LEN	   8	 /* header of SKF: that of every payload, and two numbers */
#define IKE_NONCE_LEN	   32	 /* ours */
#define IKE_NONCE_MIN	   16
#define IKE_NONCE_MAX	   256
#define IKE_COOKIE_MAX	   64
#define IKE_PORT	   500
#define IKE_PORT_NATT	   4500
#define IKE_MAJOR_VERSION  2
#define IKE_VERSION	   0x20
#define IKE_FLAG_INITIATOR 0x08
#define IKE_FLAG_VERSION   0x10
#define IKE_FLAG_RESPONSE  0x20

#define FOREACH_EXCHANGE(X)                           \
	X(IKE_SA_INIT, 34, "IKE_SA_INIT")             \
	X(IKE_AUTH, 35, "IKE_AUTH")                   \
	X(IKE_CREATE_CHILD_SA, 36, "CREATE_CHILD_SA") \
	X(IKE_INFORMATIONAL, 37, "INFORMATIONAL")     \
	X(IKE_INTERMEDIATE, 43, "IKE_INTERMEDIATE")   \
	X(IKE_FOLLOWUP_KE, 44, "IKE_FOLLOWUP_KE")

enum ike_exchange {
#define X(id, nr, name) id = nr,
	FOREACH_EXCHANGE(X)
#undef X
};
/* The RFC's name, or "an unknown exchange": static text. */
const char *ike_exchange_name(uint8_t exchange);

#define FOREACH_PAYLOAD(X) \
	X(SA, 33)          \
	X(KE, 34)          \
	X(IDI, 35)         \
	X(IDR, 36)         \
	X(CERT, 37)        \
	X(CERTREQ, 38)     \
	X(AUTH, 39)        \
	X(NONCE, 40)       \
	X(NOTIFY, 41)      \
	X(DELETE, 42)      \
	X(VENDOR, 43)      \
	X(TSI, 44)         \
	X(TSR, 45)         \
	X(SK, 46)          \
	X(CP, 47)          \
	X(EAP, 48)         \
	X(SKF, 53)

enum ike_payload {
	PAYLOAD_NONE = 0,
#define X(id, nr) PAYLOAD_##id = nr,
	FOREACH_PAYLOAD(X)
#undef X
};
#define PAYLOAD_FIRST 33
#define PAYLOAD_LAST  53
/* A payload type as a bit, for sets. */
#define PL(id) (1u << (PAYLOAD_##id - PAYLOAD_FIRST))
/* All types that we know; others lie between them. */
#define X(id, nr) | 1u << (nr - PAYLOAD_FIRST)
enum { PAYLOADS_KNOWN = 0 FOREACH_PAYLOAD(X) };
#undef X

enum ike_protocol { PROTOCOL_NONE = 0, PROTOCOL_IKE = 1, PROTOCOL_AH = 2, PROTOCOL_ESP = 3 };

enum transform_type {
	TRANSFORM_ENCR = 1,
	TRANSFORM_PRF = 2,
	TRANSFORM_INTEG = 3,
	TRANSFORM_KE = 4,
	TRANSFORM_ESN = 5,
	TRANSFORM_ADDKE1 = 6, /* to ADDKE7 (RFC 9370) */
	TRANSFORM_ADDKE7 = 12,
};

#define ADDKE_MAX (TRANSFORM_ADDKE7 - TRANSFORM_ADDKE1 + 1)

enum id_type {
	ID_NONE = 0,
	ID_IPV4 = 1,
	ID_FQDN = 2,
	ID_RFC822 = 3,
	ID_IPV6 = 5,
	ID_DN = 9, /* DER_ASN1_DN */
	ID_KEY_ID = 11,
};

enum auth_method {
	AUTH_METHOD_RSA = 1, /* PKCS #1 v1.5; the hash is SHA-1 unless both sides know better */
	AUTH_METHOD_PSK = 2,
	AUTH_METHOD_ECDSA_256 = 9, /* RFC 4754 */
	AUTH_METHOD_ECDSA_384 = 10,
	AUTH_METHOD_ECDSA_521 = 11,
	AUTH_METHOD_SIGNATURE = 14, /* RFC 7427 */
};

/* RFC 7427 7, RFC 8420 */
enum signature_hash {
	SIGNATURE_HASH_SHA2_256 = 2,
	SIGNATURE_HASH_SHA2_384 = 3,
	SIGNATURE_HASH_SHA2_512 = 4,
	SIGNATURE_HASH_IDENTITY = 5,
};

/* Encodings of CERT and CERTREQ (3.6, RFC 7670) */
enum cert_encoding {
	CERT_X509 = 4,
	CERT_RAW_KEY = 15,
};

#define FOREACH_NOTIFY(X)                             \
	X(UNSUPPORTED_CRITICAL_PAYLOAD, 1)            \
	X(INVALID_IKE_SPI, 4)                         \
	X(INVALID_MAJOR_VERSION, 5)                   \
	X(INVALID_SYNTAX, 7)                          \
	X(INVALID_MESSAGE_ID, 9)                      \
	X(INVALID_SPI, 11)                            \
	X(NO_PROPOSAL_CHOSEN, 14)                     \
	X(INVALID_KE_PAYLOAD, 17)                     \
	X(AUTHENTICATION_FAILED, 24)                  \
	X(SINGLE_PAIR_REQUIRED, 34)                   \
	X(NO_ADDITIONAL_SAS, 35)                      \
	X(INTERNAL_ADDRESS_FAILURE, 36)               \
	X(FAILED_CP_REQUIRED, 37)                     \
	X(TS_UNACCEPTABLE, 38)                        \
	X(INVALID_SELECTORS, 39)                      \
	X(UNACCEPTABLE_ADDRESSES, 40)                 \
	X(UNEXPECTED_NAT_DETECTED, 41)                \
	X(TEMPORARY_FAILURE, 43)                      \
	X(CHILD_SA_NOT_FOUND, 44)                     \
	X(STATE_NOT_FOUND, 47)                        \
	X(INITIAL_CONTACT, 16384)                     \
	X(SET_WINDOW_SIZE, 16385)                     \
	X(ADDITIONAL_TS_POSSIBLE, 16386)              \
	X(NAT_DETECTION_SOURCE_IP, 16388)             \
	X(NAT_DETECTION_DESTINATION_IP, 16389)        \
	X(COOKIE, 16390)                              \
	X(USE_TRANSPORT_MODE, 16391)                  \
	X(REKEY_SA, 16393)                            \
	X(CHILDLESS_IKEV2_SUPPORTED, 16418)           \
	X(MOBIKE_SUPPORTED, 16396)                    \
	X(ADDITIONAL_IP4_ADDRESS, 16397)              \
	X(ADDITIONAL_IP6_ADDRESS, 16398)              \
	X(NO_ADDITIONAL_ADDRESSES, 16399)             \
	X(UPDATE_SA_ADDRESSES, 16400)                 \
	X(COOKIE2, 16401)                             \
	X(NO_NATS_ALLOWED, 16402)                     \
	X(USE_PPK, 16435)                             \
	X(PPK_IDENTITY, 16436)                        \
	X(NO_PPK_AUTH, 16437)                         \
	X(INTERMEDIATE_EXCHANGE_SUPPORTED, 16438)     \
	X(ADDITIONAL_KEY_EXCHANGE, 16441)             \
	X(IKEV2_MESSAGE_ID_SYNC_SUPPORTED, 16420)     \
	X(IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED, 16421) \
	X(IKEV2_MESSAGE_ID_SYNC, 16422)               \
	X(IPSEC_REPLAY_COUNTER_SYNC, 16423)           \
	X(IKEV2_FRAGMENTATION_SUPPORTED, 16430)       \
	X(SIGNATURE_HASH_ALGORITHMS, 16431)

enum ike_notify {
	NOTIFY_NONE = 0,
#define X(id, nr) NOTIFY_##id = nr,
	FOREACH_NOTIFY(X)
#undef X
};
#define NOTIFY_STATUS	16384 /* types from here on are no errors */

#define NOTIFY_NAME_LEN 24
/* The RFC's name (static text), or "notify N", written to buf, which has NOTIFY_NAME_LEN bytes. */
const char *ike_notify_format(uint16_t type, char *buf);
/* The same in a buffer that lasts until the end of the block. */
#define ike_notify_name(type) ike_notify_format(type, (char[NOTIFY_NAME_LEN]){0})

#endif
