/* listen_at.c - see listen_at.h. SPDX-License-Identifier: ISC */
#include "listen_at.h"

#define UNIX	 "unix:"
#define PATH_LEN 100 /* it must fit into sun_path of a socket address */

int listen_at_parse(const char *text, struct listen_at *ret)
{
	struct listen_at l = {0};

	if (strncmp(text, UNIX, strlen(UNIX)) == 0) {
		l.path = text + strlen(UNIX);
		if (l.path[0] != '/' || strlen(l.path) > PATH_LEN)
			return -EINVAL;
	} else if (endpoint_parse(text, &l.at) < 0 || !addr_is_loopback(&l.at.addr) ||
		   l.at.port == 0) {
		return -EINVAL;
	}
	*ret = l;
	return 0;
}
