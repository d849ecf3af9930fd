/*
 * The words of cases in which a host tells a runtime about memory.
 */
#include "told.h"

#include <string.h>

bool hm_told_begin(struct hm_told *told, struct hm_trial *t)
{
	memset(told, 0, sizeof(*told));
	told->t = t;
	told->bystander.t = t;
	told->control = hm_control(t);
	told->simulator = told->control != NULL ? hm_simulator(t) : NULL;
	hm_listener_init(&told->listener);
	hm_listener_init(&told->other);
	told->listener.state = told;
	told->other.state = told;
	return told->simulator != NULL && hm_register(t, &told->listener);
}

void hm_told_end(struct hm_told *told)
{
	hm_row(told->t, "at the end");
	(void)hm_register(told->t, NULL);
	CHECK_HEARD(told->t, &told->listener, "");
	CHECK_SIZE(told->t, told->listener.references, 1);
	CHECK_SIZE(told->t, told->other.references, 1);
}

void hm_notify(struct hm_told *told, EMemoryAvailable available)
{
	CHECK_HR(told->t, IHostMemoryControl_NotifyMemory(told->control, available),
		 S_OK);
}

void hm_load(struct hm_told *told, DWORD percent, SIZE_T available)
{
	CHECK_HR(told->t,
		 IHostMemorySimulator_SetMemoryLoad(told->simulator, percent, available),
		 S_OK);
}

void hm_advance(struct hm_told *told, DWORD ms)
{
	CHECK_HR(told->t, IHostMemorySimulator_Advance(told->simulator, ms), S_OK);
}

void hm_clear_load(struct hm_told *told)
{
	CHECK_HR(told->t, IHostMemorySimulator_ClearMemoryLoad(told->simulator), S_OK);
}

void hm_clear_availability(struct hm_told *told)
{
	CHECK_HR(told->t, IHostMemorySimulator_ClearAvailability(told->simulator), S_OK);
}

void hm_say(struct hm_told *told, EMemoryAvailable available)
{
	CHECK_HR(told->t,
		 IHostMemorySimulator_SetAvailability(told->simulator, available), S_OK);
}
