/*
 * fuzz_esp.c - ESP datagrams from anybody, and correctly sealed ones with any inner bytes.
 * SPDX-License-Identifier: ISC
 */
#include "fuzz.h"
#include "esp_path.h"
#include "xalloc.h"

static void seeded_fill(struct rng *r, void *p, size_t len)
{
	(void)r;
	memset(p, 0x5a, len);
}

static struct rng rng = {.fill = seeded_fill};

static struct esp_sa *install(struct esp_path *path, bool esn)
{
	static const uint8_t key[SUITE_MAX_KEY] = {1, 2, 3};
	static const struct ts_list any = {
		.count = 1,
		.ts = {{.family = FAMILY_IPV4,
			.port_hi = UINT16_MAX,
			.lo = {.family = FAMILY_IPV4},
			.hi = {.family = FAMILY_IPV4, .b = {255, 255, 255, 255}}}}};
	uint32_t spi = sad_reserve(&path->sad);
	struct esp_sa_params p = {
		.spi_out = spi,
		.suite = suite_find(ENCR_AES_GCM_16, 128, 0),
		.esn = esn,
		.enc_in = key,
		.integ_in = key,
		.enc_out = key,
		.integ_out = key,
		.local = &any,
		.remote = &any,
		.replay_window = 64,
		.history_packets = 1024,
		.verify_rate = 100,
		.bridge = true,
		.detect = {.mode = DETECT_BOTH, .proof_packets = 1, .packets = 8, .interval = 1}};

	hold(sad_install(&path->sad, spi, &p, 1) == 0);
	return sad_find(&path->sad, spi);
}

static void open_all(struct esp_path *path, uint8_t *p, uint32_t len, uint16_t seg, nsec_t now)
{
	static uint8_t out[ESP_BUFFER_MAX];
	struct esp_in in = {.base = p, .len = len, .seg = seg};
	struct pkt_super super = {.base = out, .cap = sizeof(out)};
	enum esp_step step;

	do {
		step = esp_open(path, &in, &super, now);
		/* A delivered packet is a whole IP packet. */
		hold(super.len == 0 || (super.len >= 20 && (out[0] >> 4 == 4 || out[0] >> 4 == 6)));
		pkt_super_reset(&super);
	} while (step == ESP_FULL);
}

/* Receives the input as the text of a packet that the peer sealed, with this number and IV. */
static void sealed(struct esp_path *path, struct esp_sa *sa, const uint8_t *text, uint32_t len,
		   uint64_t number, uint64_t iv)
{
	uint8_t buf[2048], aad[ESP_AAD_MAX];
	struct aead_op op = {.key = sa->out.key, .iv = buf + 8, .src = buf + 16, .dst = buf + 16};

	len = len / 4 * 4;
	if (len > 1500 || len < 4)
		return;
	put_be32(buf, sa->spi);
	put_be32(buf + 4, (uint32_t)number);
	put_be64(buf + 8, iv);
	memcpy(buf + 16, text, len);
	op.len = len;
	op.icv = buf + 16 + len;
	esp_frame_aad(sa->out.suite, sa->out.esn, buf, number, aad, &op);
	aead_seal_many(&op, 1);
	open_all(path, buf, len + 32, (uint16_t)(len + 32), 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct esp_path *path = esp_path_new(1 << 20, &rng);
	struct esp_sa *sa = install(path, size & 1);
	uint64_t before;

	if (size > 4 && size < ESP_BUFFER_MAX) {
		uint8_t *copy = xmemdup(data, size);

		sealed(path, sa, data + 4, (uint32_t)size - 4, 1 + get_be16(data), 1);
		before = sa->in.window.top;
		/*
		 * The same number again: the bridge delivers the packet, and the window does not
		 * move.
		 */
		sealed(path, sa, data + 4, (uint32_t)size - 4, 1 + get_be16(data), 2);
		hold(sa->in.window.top == before && sa->in.bridged <= 1);
		sealed(path, sa, data + 4, (uint32_t)size - 4, 1 + get_be16(data), 3);
		hold(sa->in.window.top == before && sa->in.bridged <= 1);
		put_be32(copy, sa->spi);
		open_all(path, copy, (uint32_t)size, get_be16(data + 2), 2000);
		hold(sa->in.window.top == before); /* without a key nothing moves the window */
		free(copy);
	}
	esp_path_free(path);
	return 0;
}
