/*
 * A host and settings that are played to it.
 */
#ifndef HOSTMEM_TEST_UNIT_PLAYING_H
#define HOSTMEM_TEST_UNIT_PLAYING_H

#include "hostmem/attach/player.h"

#include "test/tap.h"

#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define BIT(action) (1U << (action))

static struct hm_settings settings;
static struct hm_player player;
static IHostMemoryControl *control;
static IHostMemoryManager *memory;

static inline void open_host(void)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	void *face;

	config.dwFlags = HOSTMEM_MONITOR_OFF;
	CHECK_HR(HostMemCreate(&config, &IID_IHostMemoryControl, &face), S_OK);
	control = face;
	CHECK_HR(IHostMemoryControl_QueryInterface(control, &IID_IHostMemoryManager,
						   &face),
		 S_OK);
	memory = face;
	hm_settings_init(&settings);
}

static inline void close_host(void)
{
	(void)IHostMemoryManager_Release(memory);
	CHECK_SIZE(IHostMemoryControl_Release(control), 0);
}

static inline HRESULT start(void)
{
	return hm_player_start(&player, (IUnknown *)control, &settings);
}

static inline struct hm_step *add_step(enum hm_trigger trigger, uint64_t when)
{
	struct hm_step *step = &settings.steps[settings.step_count++];

	step->trigger = trigger;
	step->when = when;
	return step;
}

static inline void add_action(struct hm_step *step, enum hm_action action, uint64_t value)
{
	step->actions |= BIT(action);
	step->value[action] = value;
}

static inline void add_simple(enum hm_trigger trigger, uint64_t when,
			      enum hm_action action, uint64_t value)
{
	add_action(add_step(trigger, when), action, value);
}

static inline HRESULT commit(size_t size)
{
	void *page;

	return IHostMemoryManager_VirtualAlloc(memory, NULL, size,
					       MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE,
					       eTaskCritical, &page);
}

static inline uint64_t played(void)
{
	return atomic_load(&player.played);
}

/* Until so many steps have been played; a watchdog ends a test that waits in vain. */
static inline void wait_for(uint64_t steps)
{
	while (played() < steps)
		(void)usleep(1000);
}

#endif
