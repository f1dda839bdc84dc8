/*
 * esp_model.h - a slow model of what doc/recovery.md says about each inbound packet; it knows who
 * sealed each packet. SPDX-License-Identifier: ISC
 *
 * It remembers every packet in plain lists, and windows as sets (ref_model.h). It has no ciphers:
 * its caller says under which number a packet was sealed, and whether it was changed since. The
 * model uses this only to find out whether the packet opens; it decides by what a receiver can see.
 */
#ifndef MENDIP_FUZZ_ESP_MODEL_H
#define MENDIP_FUZZ_ESP_MODEL_H

#include "esp_path.h"
#include "ref_model.h"

#define MODEL_SAS      4
#define MODEL_RECEIVED 4096 /* packets of one run at most: the model forgets none of them */

/* A packet on the wire, and what only its sender knows of it. */
struct model_packet {
	uint32_t spi, low, len; /* len: of the whole packet */
	uint32_t tag, iv;	/* as the history keeps them */
	uint64_t number;	/* under which it was sealed */
	unsigned sa;		/* whose keys sealed it */
	bool authentic;		/* not changed since */
	bool dummy;
	uint32_t id; /* of the inner packet; 0: none */
};

struct model_pair {
	uint64_t number;
	uint32_t tag, iv;
};

struct model_list {
	struct model_pair v[MODEL_RECEIVED];
	unsigned count;
};

struct model_sa {
	const struct esp_sa_params *params;
	uint32_t spi;
	bool keyed, retired, exposed, bridge_open, bridge_closed;
	nsec_t drain_until;
	struct refwindow window, bridge;
	/* From floor on, and below head_end, the history knows which numbers were not received. */
	uint64_t floor, head_end;
	struct model_list received;	  /* FRESH packets */
	struct model_list rewound, stale; /* packets that the detector has seen */
};

struct model_waiting {
	struct model_packet p;
	struct model_sa *sa; /* NULL: empty */
	bool early, due;
};

/* The result that the model expects of a receive. */
struct model_result {
	uint64_t v[VERDICT_COUNT];
	uint64_t waited;
	uint32_t delivered[2 * ESP_BATCH + PARKED_MAX]; /* ids, in order */
	unsigned count;
};

struct model {
	struct model_sa sa[MODEL_SAS];
	unsigned count;
	struct model_waiting waiting[PARKED_MAX];
	unsigned next_waiting;
	bool late_due;
	struct model_result *result;
	nsec_t now;
};

struct model *model_new(void);
void model_free(struct model *m);
/* Adds an SA, whose SPI is only reserved until model_install. params must outlive m. */
void model_add(struct model *m, const struct esp_sa_params *params, uint32_t spi);
void model_install(struct model *m, unsigned sa);
void model_retire(struct model *m, unsigned sa, nsec_t drain_until);
/* Receives count packets at once. */
void model_receive(struct model *m, const struct model_packet *p, unsigned count, nsec_t now,
		   struct model_result *ret);

#endif
