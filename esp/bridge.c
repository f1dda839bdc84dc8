/* bridge.c - see bridge.h. SPDX-License-Identifier: ISC */
#include "bridge.h"

void bridge_fini(struct bridge *b)
{
	if (b->open)
		window_fini(&b->window);
	b->open = false;
}

void bridge_close(struct bridge *b)
{
	b->closed = true;
}

bool bridge_is_behind(const struct bridge *b, uint64_t number)
{
	enum window_place place = window_place(&b->window, number);

	return place == WINDOW_TAKEN || place == WINDOW_LEFT;
}

bool bridge_admits(const struct bridge *b, uint64_t number, bool known)
{
	if (b->closed || b->size == 0)
		return false;
	if (!b->open)
		return known;
	switch (window_place(&b->window, number)) {
	case WINDOW_RIGHT: return known; /* only proof moves the edge */
	case WINDOW_FREE: return true;
	case WINDOW_TAKEN:
	case WINDOW_LEFT: return false;
	}
	return false;
}

void bridge_commit(struct bridge *b, uint64_t number, bool known)
{
	if (!b->open) {
		window_init(&b->window, b->size * 2);
		b->open = true;
	}
	/* The window's top is `size` ahead of the bridge's right edge. */
	if (known && number + b->size > b->window.top)
		window_advance(&b->window, number + b->size);
	window_commit(&b->window, number);
}
