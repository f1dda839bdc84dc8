/* kept.c - see kept.h. SPDX-License-Identifier: ISC */
#include "kept.h"
#include "ike.h"
#include "xalloc.h"

#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

struct kept_fds {
	int count;
	char **names;
	bool *taken;
};

/* Ports 500 and 4500, and the lack of one, have no number in it. */
const char *kept_udp_name(enum udp_use use, uint8_t family, uint16_t port, char *name)
{
	static const char *const names[] = {[UDP_IKE] = "ike",
					    [UDP_ESP] = "esp",
					    [UDP_IKE_NATT] = "ike-natt",
					    [UDP_RAW] = "raw"};
	const char *six = family == FAMILY_IPV6 ? "6" : "";

	if (port == 0 || port == IKE_PORT || port == IKE_PORT_NATT)
		snprintf(name, KEPT_NAME_LEN, "%s%s", names[use], six);
	else
		snprintf(name, KEPT_NAME_LEN, "%s%s-%u", names[use], six, port);
	return name;
}

const char *kept_tun_name(const char *device, char *name)
{
	snprintf(name, KEPT_NAME_LEN, "tun-%s", device);
	return name;
}

struct kept_fds *kept_take(void)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);
	struct kept_fds *k;

	if (n <= 0)
		return NULL;
	k = xzalloc(sizeof(*k));
	k->count = n;
	k->names = names;
	k->taken = xzalloc((size_t)n * sizeof(bool));
	/* Descriptors left in the store would be passed to every start after a crash. */
	for (int i = 0; i < n; i++)
		sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", names[i]);
	return k;
}

int kept_fd(struct kept_fds *k, const char *name)
{
	for (int i = 0; k && i < k->count; i++) {
		if (k->taken[i] || strcmp(k->names[i], name) != 0)
			continue;
		k->taken[i] = true;
		return SD_LISTEN_FDS_START + i;
	}
	return -1;
}

void kept_free(struct kept_fds *k)
{
	if (!k)
		return;
	for (int i = 0; i < k->count; i++) {
		if (!k->taken[i])
			close(SD_LISTEN_FDS_START + i);
		free(k->names[i]);
	}
	free(k->names);
	free(k->taken);
	free(k);
}
