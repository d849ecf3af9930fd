#ifndef HOSTMEM_CONFORM_TOLD_H
#define HOSTMEM_CONFORM_TOLD_H

#include "callback.h"
#include "control.h"

/*
 * A host that tells a callback about memory, in virtual time: it judges memory by nothing but
 * what the case says, and each call comes on this thread before the method returns that
 * caused it.
 */

#define HM_LOW eMemoryAvailableLow
#define HM_NEUTRAL eMemoryAvailableNeutral
#define HM_HIGH eMemoryAvailableHigh

struct hm_told {
	struct hm_trial *t;
	IHostMemoryControl *control;
	IHostMemorySimulator *simulator;
	struct hm_listener listener; /* the one that is registered; its state is this */
	struct hm_listener other;    /* one more, for the case; the same */
	struct hm_bystander bystander;
	unsigned calls; /* for the case */
};

/* false: the case is skipped, or has failed.  From here on the host has a pointer into the
 * record: a case that needs more of the host asks for it before.  What is registered when the
 * host is shut down is held until its end, after the case: such cases have their record in
 * static memory. */
bool hm_told_begin(struct hm_told *told, struct hm_trial *t);
/* Nobody is registered any more, nothing is left to be told, and no reference is left. */
void hm_told_end(struct hm_told *told);
/* NotifyMemory, which has to succeed. */
void hm_notify(struct hm_told *told, EMemoryAvailable available);
/* The simulator's methods, which have to succeed. */
void hm_load(struct hm_told *told, DWORD percent, SIZE_T available);
void hm_clear_load(struct hm_told *told);
void hm_say(struct hm_told *told, EMemoryAvailable available);
void hm_clear_availability(struct hm_told *told);
void hm_advance(struct hm_told *told, DWORD ms);

#endif
