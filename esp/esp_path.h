/*
 * esp_path.h - the data path: inner packets to ESP trains and back, in batches.
 * SPDX-License-Identifier: ISC
 *
 * The caller owns every buffer; pointers to them are kept only in the structs that it passes. A
 * path is used by one thread.
 */
#ifndef MENDIP_ESP_PATH_H
#define MENDIP_ESP_PATH_H

#include "esp_sa.h"
#include "frame.h"
#include "parked.h"
#include "spd.h"
#include "packet/coalesce.h"
#include "packet/segment.h"

#define ESP_BATCH      64
#define ESP_BUFFER_MAX 65536 /* bytes of one read from TUN or of one train */

/* ESP packets back to back for one UDP send: all of seg bytes, the last one perhaps shorter. */
struct esp_train {
	uint8_t *base;
	uint32_t cap, len;
	uint16_t seg, count;
	bool closed; /* the last one is shorter: nothing can follow */
	struct esp_dest dest;
	struct aead_op op[ESP_BATCH];
	uint16_t nop;
	uint8_t aad[ESP_BATCH][ESP_AAD_MAX];
};

/* A TUN device: packets read from it are looked up in its policies and no others. */
struct esp_device {
	struct spd spd;
	uint8_t accept; /* a set of enum pkt_accept: what it accepts */
};

/* One read from TUN, a packet or a super-packet, on its way out. */
struct esp_out {
	const uint8_t *pkt;
	uint32_t len;
	uint16_t device; /* where it was read: index into the path's devices */
	uint32_t at;	 /* the next segment to be sealed */
	struct pkt_offload off;
	/* set by esp_route */
	struct sa_ref sa;
	struct esp_dest dest;
	struct seg_plan plan;
	struct spd_policy
		*policy; /* with ESP_ROUTE_NO_SA: the policy; valid until the SPD changes */
	const struct inner *inner; /* its headers; valid until the next esp_route */
	uint8_t next;		   /* ESP's next header for it */
	uint32_t mtu;		   /* with ESP_ROUTE_TOO_BIG: the MTU that the ICMP error names */
};

/*
 * Initialises *out for the packet or super-packet in pkt[0..len), read from the device. The caller
 * sets out->off if offloads were asked for; esp_route sets the rest.
 */
static inline void esp_out_init(struct esp_out *out, const uint8_t *pkt, uint32_t len,
				uint16_t device)
{
	out->pkt = pkt;
	out->len = len;
	out->device = device;
	out->at = 0;
	out->off = (struct pkt_offload){0};
}

enum esp_route { ESP_ROUTE_SEAL, ESP_ROUTE_NO_SA, ESP_ROUTE_TOO_BIG, ESP_ROUTE_DISCARD };
enum esp_step { ESP_DONE, ESP_FULL };

/*
 * One receive: datagrams of seg bytes back to back, the last one perhaps shorter; seg 0: one
 * datagram.
 */
struct esp_in {
	uint8_t *base; /* changed: opened in place */
	uint32_t len, at;
	uint16_t seg;
	struct endpoint from; /* port 0: it came without UDP */
	uint8_t tos;
};

#define ESP_OLDER 2 /* older ESN candidates of a number, in the order in which they are tried */

/* An older number that a packet may have; 0: none. */
struct esp_older {
	uint64_t number;
	bool asked;  /* received with another tag, or the bridge asks for it: to be opened */
	bool absent; /* not received, which near ring or head know for sure */
};

/* One datagram on its way through the three passes of esp_open. */
struct esp_slot {
	struct sa_ref sa;
	uint64_t number;
	uint32_t at, len;
	struct esp_layout lay;
	int8_t op;	  /* index of its aead_op, -1: not opened */
	bool scratch;	  /* the plaintext is in scratch */
	bool opened;	  /* the ICV held */
	bool has_older;	  /* there is another number in `older` */
	bool tried_older; /* `number` is one of `older` now */
	bool settled;	  /* the verdict is given already */
	uint32_t tag, iv;
	enum history_answer known;	   /* of an old number that opened: what is known of it */
	uint32_t known_iv;		   /* with HISTORY_OTHER: the IV digest that came with it */
	struct esp_older older[ESP_OLDER]; /* with has_older; not set without */
};

struct esp_path {
	struct sad sad;
	struct esp_device *devices; /* the first one is always there */
	uint16_t device_count;
	uint16_t flow_device;
	struct spd_flow flow; /* of the last packet in esp_route, as is flow_device */
	struct rng *rng;
	uint64_t verdicts[VERDICT_COUNT]; /* over all SAs, including those that are gone */
	uint64_t drops[ESP_DROP_COUNT];
	struct bucket no_sa_bucket;
	struct endpoint no_sa_from; /* with no_sa_hint: where an unknown SPI came from */
	bool no_sa_hint;
	uint8_t *scratch; /* ESP_BUFFER_MAX, the same offsets as the buffer being opened */
	uint8_t iv_pool[1024];
	uint32_t iv_left;
	struct esp_slot slot[ESP_BATCH];
	struct aead_op op[ESP_BATCH];
	uint8_t aad[ESP_BATCH][ESP_AAD_MAX];
	uint32_t slot_count, slot_next;
	/*
	 * Where the bridge of `ahead_sa` will be when the batch is judged, as far as is known
	 * before anything is opened: packets of the batch with known numbers move it.
	 */
	struct sa_ref ahead_sa;
	uint64_t ahead;
	bool has_older;	 /* a packet of the batch has an older candidate */
	bool ends_batch; /* the packet just looked at may open its SA's bridge */
	struct parked parked;
	bool late_due;	    /* a parked packet is due: the next esp_open looks at it */
	struct esp_in late; /* the parked packet that is being looked at again */
	bool is_late;	    /* the batch is `late`, not what the caller passed */
	bool is_early;	    /* the packet in `late` came before its SA */
	uint64_t waited;    /* parked packets that were delivered: counted under two verdicts */
};

/*
 * Makes a path with one device; free it with esp_path_free. history_cap: bytes for all histories,
 * which grow later. Allocates less than 100 KiB. rng must outlive the path.
 */
struct esp_path *esp_path_new(uint64_t history_cap, struct rng *rng);
/* Frees the path and its SAs; takes NULL. */
void esp_path_free(struct esp_path *path);
/* Makes devices until there are `count`; new ones have no policy. May move path->devices. */
void esp_path_devices(struct esp_path *path, uint16_t count);

/*
 * Finds the policy and the SA of the packet in out->pkt, and sets the rest of *out. ESP_ROUTE_SEAL:
 * esp_seal is next. ESP_ROUTE_NO_SA: the policy has no SA yet. ESP_ROUTE_TOO_BIG: larger than
 * out->mtu, with DF. ESP_ROUTE_DISCARD: nothing to be done. All but the first are counted as drops.
 */
enum esp_route esp_route(struct esp_path *path, struct esp_out *out, nsec_t now);
/*
 * Adds the packet to the train, segment by segment, numbered and framed. ESP_FULL: the next segment
 * did not fit (destination, size, room): finish and send the train, empty it with esp_train_reset,
 * and call again. ESP_DONE: all segments are in the train, or were dropped and counted. A number is
 * used up even if the send fails.
 */
enum esp_step esp_seal(struct esp_path *path, struct esp_out *out, struct esp_train *train,
		       nsec_t now);
/*
 * Skips `by` outbound numbers of the SA (RFC 6311 5.2), but at most ESP_LEAP_MAX, and never those
 * that an SA keeps for its rekey. Returns how many.
 */
#define ESP_LEAP_MAX (1u << 24)
uint64_t esp_leap(struct esp_sa *sa, uint64_t by);
/* Adds a dummy packet (RFC 4303 2.6) of the SA to the train. Returns as esp_seal. */
enum esp_step esp_seal_dummy(struct esp_path *path, struct esp_sa *sa, struct esp_train *train,
			     nsec_t now);
/*
 * Encrypts what is in the train, which is then ready to be sent. Zeroes and counts what the cipher
 * refuses.
 */
void esp_train_finish(struct esp_path *path, struct esp_train *train);
/* base, of cap bytes, stays the caller's. */
void esp_train_init(struct esp_train *train, uint8_t *base, uint32_t cap);
void esp_train_reset(struct esp_train *train);
/*
 * Processes the datagrams from in->at on: opens them, gives verdicts, commits, and adds what is to
 * be delivered to `super`, for the device in super->device. ESP_FULL: finish, write and reset
 * super, and call again with the same in. ESP_DONE: super may hold a packet or a run, to which the
 * next receive may add.
 *
 * If path->late_due is set, parked packets that are due go first; in->len may then be 0.
 */
enum esp_step esp_open(struct esp_path *path, struct esp_in *in, struct pkt_super *super,
		       nsec_t now);
/* Call it when a reserved SA has been installed: packets that came before are due. */
void esp_installed(struct esp_path *path, struct sa_ref sa);

#endif
