/*
 * What GetMemoryLoad costs: with a monitor, which knows it; without one, when the system is
 * asked each time; and beside both a program that reads /proc/meminfo itself, which says
 * nothing of groups and limits.
 */
#include "loads.h"
#include "listener.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool ask(void *lane, size_t times)
{
	bool good = true;

	for (size_t i = 0; i < times; i++) {
		DWORD load;
		SIZE_T available;

		good &= IHostMemoryManager_GetMemoryLoad((IHostMemoryManager *)lane,
							 &load, &available) == S_OK;
	}
	return good;
}

static bool read_file(void *lane, size_t times)
{
	bool good = true;

	(void)lane;
	for (size_t i = 0; i < times; i++) {
		char text[512];
		int file = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
		ssize_t got = read(file, text, sizeof(text) - 1);
		const char *at;

		(void)close(file);
		text[got > 0 ? got : 0] = '\0';
		at = strstr(text, "MemAvailable:");
		good &= at != NULL &&
			strtoull(at + strlen("MemAvailable:"), NULL, 10) != 0;
	}
	return good;
}

static const struct measure_work asking = { .run = ask }, reading = { .run = read_file };

static bool measure(struct loads_result *result, IHostMemoryManager *with,
		    IHostMemoryManager *without)
{
	static struct measure_side sides[3];

	sides[0] = (struct measure_side){ .work = &asking, .lanes = { with } };
	sides[1] = (struct measure_side){ .work = &asking, .lanes = { without } };
	sides[2] = (struct measure_side){ .work = &reading };
	for (unsigned i = 0; i < 3; i++)
		sides[i].threads = 1;
	if (!measure_sides(sides, 3, &result->plan))
		return false;
	result->with = measure_figures(&sides[0], result->plan.rounds).median;
	result->without = measure_figures(&sides[1], result->plan.rounds).median;
	result->file = measure_figures(&sides[2], result->plan.rounds).median;
	return true;
}

void loads_measure(struct loads_result *result)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	struct listener listener;
	void *without;

	result->verdict = FAILED;
	config.dwFlags = HOSTMEM_MONITOR_OFF;
	if (FAILED(HostMemCreate(&config, &IID_IHostMemoryManager, &without)))
		return;
	if (listener_open(&listener, NULL, NULL) == NULL) {
		if (measure(result, listener.manager, without))
			result->verdict = OK;
		listener_close(&listener);
	}
	(void)IHostMemoryManager_Release((IHostMemoryManager *)without);
}
