/*
 * esp_state.c - saves and loads an SA, for another process. SPDX-License-Identifier: ISC
 *
 * The state of a recovery under way is not saved: see esp_sa_is_calm.
 */
#include "esp_path.h"
#include "saved.h"

bool esp_sa_is_calm(const struct esp_sa *sa)
{
	const struct esp_in_sa *in = &sa->in;

	return in->key && in->detector.state == DETECTOR_CALM && !in->bridge.open &&
	       !in->bridge.closed && !in->exposed && in->nonce_reuses == 0;
}

static void in_save(const struct esp_in_sa *in, struct writer *w)
{
	wr_be32(w, in->window.size);
	wr_be64(w, in->window.top);
	for (uint32_t i = 0; i < in->window.words; i++)
		wr_be64(w, in->window.ring[i]);
	wr_u8(w, in->phase);
	wr_u8(w, in->awaited);
	wr_be64(w, in->packets);
	wr_be64(w, in->bytes);
	wr_be64(w, in->last_fresh);
	wr_be64(w, in->rewound_top);
	wr_be64(w, in->drain_until);
	wr_be64(w, in->deliver_until);
	endpoint_save(&in->peer, w);
	for (unsigned i = 0; i < VERDICT_COUNT; i++)
		wr_be64(w, in->verdicts[i]);
	history_save(&in->history, w);
}

static int window_load(struct reader *r, struct window *win)
{
	if (rd_be32(r) != win->size)
		return -EBADMSG;
	win->top = rd_be64(r);
	for (uint32_t i = 0; i < win->words; i++)
		win->ring[i] = rd_be64(r);
	return r->bad ? -EBADMSG : 0;
}

static int in_load(struct reader *r, struct esp_in_sa *in)
{
	uint8_t phase;

	if (window_load(r, &in->window) < 0)
		return -EBADMSG;
	phase = rd_u8(r);
	in->awaited = rd_u8(r);
	in->packets = rd_be64(r);
	in->bytes = rd_be64(r);
	in->last_fresh = rd_be64(r);
	in->rewound_top = rd_be64(r);
	in->drain_until = rd_be64(r);
	in->deliver_until = rd_be64(r);
	if (phase > ESP_IN_RETIRED || endpoint_load(r, &in->peer) < 0)
		return -EBADMSG;
	in->phase = phase;
	for (unsigned i = 0; i < VERDICT_COUNT; i++)
		in->verdicts[i] = rd_be64(r);
	return history_load(&in->history, r);
}

static void out_save(const struct esp_out_sa *out, struct writer *w)
{
	wr_be64(w, out->number);
	wr_be64(w, out->iv_counter);
	wr_be64(w, out->iv_mask);
	endpoint_save(&out->dest.local, w);
	endpoint_save(&out->dest.remote, w);
	wr_be64(w, out->packets);
	wr_be64(w, out->bytes);
	wr_be32(w, out->mtu);
	wr_u8(w, out->narrow);
}

static int out_load(struct reader *r, struct esp_out_sa *out)
{
	out->number = rd_be64(r);
	out->iv_counter = rd_be64(r);
	out->iv_mask = rd_be64(r);
	if (endpoint_load(r, &out->dest.local) < 0 || endpoint_load(r, &out->dest.remote) < 0)
		return -EBADMSG;
	out->packets = rd_be64(r);
	out->bytes = rd_be64(r);
	out->mtu = rd_be32(r);
	out->narrow = rd_u8(r);
	return r->bad ? -EBADMSG : 0;
}

void esp_sa_save(const struct esp_sa *sa, struct writer *w)
{
	wr_be64(w, sa->life.soft_bytes);
	wr_be64(w, sa->life.hard_bytes);
	wr_be64(w, sa->life.soft_packets);
	wr_be64(w, sa->life.hard_packets);
	in_save(&sa->in, w);
	out_save(&sa->out, w);
}

int esp_sa_load(struct sad *s, struct esp_sa *sa, struct reader *r)
{
	sa->life.soft_bytes = rd_be64(r);
	sa->life.hard_bytes = rd_be64(r);
	sa->life.soft_packets = rd_be64(r);
	sa->life.hard_packets = rd_be64(r);
	if (in_load(r, &sa->in) < 0 || out_load(r, &sa->out) < 0)
		return -EBADMSG;
	if (sa->in.phase == ESP_IN_RETIRED) {
		nsec_t deliver_until = sa->in.deliver_until;

		sad_retire(s, sa, sa->in.drain_until);
		sa->in.deliver_until = deliver_until;
	}
	/*
	 * Packets may have been sent after this was written: their numbers and IVs are not used
	 * again.
	 */
	(void)esp_leap(sa, ESP_SAVED_LEAP);
	sa->out.iv_counter += ESP_SAVED_LEAP;
	return 0;
}
