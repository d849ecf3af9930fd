/*
 * One heap in a process of its own: what it does there.
 *
 * A peak is counted from what was resident before the heap was opened, and with the tables
 * of the workload resident already, so all that a heap needs beside the blocks is in it:
 * ours brings its host along.
 */
#include "heaprows.h"
#include "machine.h"
#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
	struct heap heap;
	enum allocator allocator;
	bool measuring; /* measure_open has been called */
	struct measure_side side;
	const struct heap_row *row;
} self;

bool worker_is_this(int count, char **words)
{
	return count == 5 && strcmp(words[1], "--worker") == 0;
}

static void answer_failed(struct worker_answer *answer, const char *why)
{
	answer->verdict = FAILED;
	snprintf(answer->note, sizeof(answer->note), "%s", why);
}

static void answer_refused(struct worker_answer *answer)
{
	answer->verdict = FAILED;
	heap_put_refusal(answer->note);
}

static void open_heap(struct worker_answer *answer)
{
	answer->verdict = heap_open(&self.heap, self.allocator, answer->note);
}

static void prepare(const struct worker_order *order, struct worker_answer *answer)
{
	const struct heap_row *row = &heap_rows[order->row];
	struct heap_lane *lanes = loops_open(&self.heap, row->size);

	if (!self.measuring && !measure_open()) {
		answer_failed(answer, "no thread to be had");
		return;
	}
	self.measuring = true;
	/* After that: the second thread has all processors. */
	machine_stay(row->threads == 1);
	self.row = row;
	memset(&self.side, 0, sizeof(self.side));
	self.side.work = self.heap.ours ? &row->loop->ours : &row->loop->theirs;
	self.side.threads = row->threads;
	for (unsigned i = 0; i < row->threads; i++)
		self.side.lanes[i] = &lanes[i];
	if (!measure_prepare(&self.side, &order->plan))
		answer_refused(answer);
}

static void sample(struct worker_answer *answer)
{
	if (!measure_sample(&self.side, 0)) {
		answer_refused(answer);
		return;
	}
	answer->ns = self.side.samples[0] / self.row->pairs;
	answer->clean = self.side.clean[0];
}

static void finish(struct worker_answer *answer)
{
	if (!loops_close())
		answer_refused(answer);
}

static void peak(const struct worker_order *order, struct worker_answer *answer)
{
	static const char status[] = "/proc/self/status";
	size_t before, highest;

	workloads_touch();
	before = machine_bytes(status, "VmRSS:");
	open_heap(answer);
	if (answer->verdict != OK)
		return;
	if (!peak_rows[order->row].run(&self.heap, &answer->live)) {
		answer_refused(answer);
		return;
	}
	highest = machine_bytes(status, "VmHWM:");
	if (before == 0 || highest < before)
		answer_failed(answer, "no VmHWM in /proc/self/status");
	else
		answer->peak = highest - before;
}

static void serve(const struct worker_order *order, struct worker_answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	answer->verdict = OK;
	switch (order->task) {
	case WORKER_OPEN:
		open_heap(answer);
		break;
	case WORKER_PREPARE:
		prepare(order, answer);
		break;
	case WORKER_SAMPLE:
		sample(answer);
		break;
	case WORKER_FINISH:
		finish(answer);
		break;
	case WORKER_PEAK:
		peak(order, answer);
		break;
	}
}

int worker_main(char **words)
{
	int line = atoi(words[3]), voice = atoi(words[4]);
	struct worker_order order;
	struct worker_answer answer;

	self.allocator = (enum allocator)atoi(words[2]);
	if (voice >= 0 && dup2(voice, STDERR_FILENO) >= 0)
		(void)close(voice);
	for (;;) {
		ssize_t got = recv(line, &order, sizeof(order), 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got != (ssize_t)sizeof(order))
			break;
		serve(&order, &answer);
		if (send(line, &answer, sizeof(answer), MSG_NOSIGNAL) < 0)
			break;
	}
	if (self.measuring)
		measure_close();
	heap_close(&self.heap);
	return 0;
}
