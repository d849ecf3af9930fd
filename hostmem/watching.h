#ifndef HOSTMEM_WATCHING_H
#define HOSTMEM_WATCHING_H

#include "monitor.h"
#include "pressure.h"

/*
 * The files that a monitor watches and reads.  On the loop's thread, where nothing else is said.
 */

/* Looks up what figures are read from, and watches what can be watched, as far as it does not
 * already. */
void hm_watching_open(struct hm_host *host, const struct hm_pressure_rules *rules,
		      uint64_t now);

/* What was told through a file is taken; one that fails or calls too often is left out. */
void hm_watching_take(struct hm_host *host, unsigned slot);

/* Everything is closed; also when the loop's thread has ended. */
void hm_watching_close(struct hm_host *host, struct hm_loop *loop);

/* In a fork child whose loop is a part of the program's: nothing is told through the files any
 * more.  They are closed on the loop's thread. */
void hm_watching_silence(struct hm_monitor *monitor);

/* In one whose loop is gone: they are closed at once. */
void hm_watching_forget(struct hm_monitor *monitor);

/* Any thread, while no loop runs. */
void hm_watching_set_results(struct hm_monitor *monitor, HRESULT result);

/* Adds to a number that stands for many; one that stands for the thresholds. */
uint64_t hm_watching_mix(uint64_t sum, uint64_t value);
uint64_t hm_watching_mix_rules(const struct hm_pressure_rules *rules);

#endif
