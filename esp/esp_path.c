/* esp_path.c - making and freeing a data path; see esp_path.h. SPDX-License-Identifier: ISC */
#include "esp_path.h"
#include "xalloc.h"

#define NO_SA_HINTS_RATE 1

struct esp_path *esp_path_new(uint64_t history_cap, struct rng *rng)
{
	struct esp_path *path = xzalloc(sizeof(*path));

	path->rng = rng;
	path->scratch = xzalloc(ESP_BUFFER_MAX);
	sad_init(&path->sad, history_cap, rng);
	esp_path_devices(path, 1);
	bucket_init(&path->no_sa_bucket, NO_SA_HINTS_RATE, NO_SA_HINTS_RATE);
	return path;
}

void esp_path_free(struct esp_path *path)
{
	if (!path)
		return;
	sad_fini(&path->sad);
	for (uint16_t i = 0; i < path->device_count; i++)
		spd_fini(&path->devices[i].spd);
	free(path->devices);
	parked_fini(&path->parked);
	secret_free(path->scratch, ESP_BUFFER_MAX);
	secret_free(path, sizeof(*path));
}

void esp_path_devices(struct esp_path *path, uint16_t count)
{
	if (count <= path->device_count)
		return;
	path->devices = xreallocarray(path->devices, count, sizeof(*path->devices));
	for (; path->device_count < count; path->device_count++) {
		path->devices[path->device_count] = (struct esp_device){0};
		spd_init(&path->devices[path->device_count].spd);
	}
}
