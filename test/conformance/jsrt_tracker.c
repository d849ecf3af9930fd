/*
 * A memory tracker as an application embeds one: seeded with the usage, it counts what the
 * callback tells, knows the peak, and notifies of thresholds, not more often than each one
 * wishes.  A handler never runs inside the callback: it is posted to a queue, whose thread
 * runs it.  The design and the figures are those of React Native for Windows.
 *
 * Time is the test's own.
 */
#include "jsrt.h"

#include <pthread.h>

enum { THRESHOLDS = 4, TASKS = 16 };

typedef void (*tracker_handler)(void *state, size_t usage);

struct task {
	tracker_handler handler;
	void *state;
	size_t usage;
};

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct task tasks[TASKS];
	size_t posted, done;
	bool ending;
	pthread_t thread;
};

static void *queue_run(void *state)
{
	struct queue *queue = (struct queue *)state;

	pthread_mutex_lock(&queue->lock);
	while (!queue->ending || queue->done < queue->posted) {
		struct task task;

		if (queue->done == queue->posted) {
			pthread_cond_wait(&queue->changed, &queue->lock);
			continue;
		}
		task = queue->tasks[queue->done];
		pthread_mutex_unlock(&queue->lock);
		task.handler(task.state, task.usage);
		pthread_mutex_lock(&queue->lock);
		queue->done++;
		pthread_cond_broadcast(&queue->changed);
	}
	pthread_mutex_unlock(&queue->lock);
	return NULL;
}

static void queue_start(struct queue *queue)
{
	*queue = (struct queue){ .lock = PTHREAD_MUTEX_INITIALIZER,
				 .changed = PTHREAD_COND_INITIALIZER };
	CHECK(pthread_create(&queue->thread, NULL, queue_run, queue) == 0);
}

static void queue_post(struct queue *queue, struct task task)
{
	pthread_mutex_lock(&queue->lock);
	if (CHECK(queue->posted < TASKS))
		queue->tasks[queue->posted++] = task;
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
}

/* When all that was posted has run. */
static void queue_end(struct queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->ending = true;
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
	CHECK(pthread_join(queue->thread, NULL) == 0);
}

struct threshold {
	uint32_t cookie; /* 0: not used */
	size_t bytes;
	uint64_t interval; /* ms */
	bool notified;
	uint64_t last;
	tracker_handler handler;
	void *state;
};

struct tracker {
	struct queue *queue;
	pthread_mutex_t lock;
	size_t current, peak;
	uint64_t now; /* ms */
	uint32_t cookies;
	struct threshold thresholds[THRESHOLDS];
};

static void tracker_notify_locked(struct tracker *tracker, struct threshold *threshold)
{
	if (threshold->cookie == 0 || tracker->current < threshold->bytes)
		return;
	if (threshold->notified && tracker->now - threshold->last < threshold->interval)
		return;
	threshold->notified = true;
	threshold->last = tracker->now;
	queue_post(tracker->queue, (struct task){ threshold->handler, threshold->state,
						  tracker->current });
}

/* Failures are not looked at, as in the original; nothing here fails. */
static bool HOSTMEM_CALL tracker_event(void *state, JsMemoryEventType event, size_t size)
{
	struct tracker *tracker = (struct tracker *)state;

	pthread_mutex_lock(&tracker->lock);
	if (event == JsMemoryFree) {
		CHECK(tracker->current >= size);
		tracker->current -= size;
	}
	if (event == JsMemoryAllocate) {
		tracker->current += size;
		if (tracker->peak < tracker->current)
			tracker->peak = tracker->current;
		for (size_t i = 0; i < THRESHOLDS; i++)
			tracker_notify_locked(tracker, &tracker->thresholds[i]);
	}
	pthread_mutex_unlock(&tracker->lock);
	return true;
}

static void tracker_start(struct tracker *tracker, struct queue *queue, size_t usage)
{
	*tracker = (struct tracker){ .queue = queue,
				     .lock = PTHREAD_MUTEX_INITIALIZER,
				     .current = usage,
				     .peak = usage };
}

static uint32_t tracker_add(struct tracker *tracker, size_t bytes, uint64_t interval,
			    tracker_handler handler, void *state)
{
	uint32_t cookie = 0;

	pthread_mutex_lock(&tracker->lock);
	for (size_t i = 0; i < THRESHOLDS && cookie == 0; i++) {
		if (tracker->thresholds[i].cookie != 0)
			continue;
		cookie = ++tracker->cookies;
		tracker->thresholds[i] = (struct threshold){ .cookie = cookie,
							     .bytes = bytes,
							     .interval = interval,
							     .handler = handler,
							     .state = state };
	}
	pthread_mutex_unlock(&tracker->lock);
	return cookie;
}

static bool tracker_remove(struct tracker *tracker, uint32_t cookie)
{
	bool found = false;

	pthread_mutex_lock(&tracker->lock);
	for (size_t i = 0; i < THRESHOLDS; i++) {
		if (tracker->thresholds[i].cookie != cookie)
			continue;
		tracker->thresholds[i].cookie = 0;
		found = true;
	}
	pthread_mutex_unlock(&tracker->lock);
	return found;
}

/* ---- Handlers ---- */

struct heard {
	unsigned calls;
	size_t usage;
	pthread_t thread;
};

static void hear(void *state, size_t usage)
{
	struct heard *heard = (struct heard *)state;

	heard->calls++;
	heard->usage = usage;
	heard->thread = pthread_self();
}

/* ---- The tests of the original, with its figures ---- */

static void a_threshold_is_added_and_removed_once(void)
{
	struct tracker tracker;
	struct heard heard = { .calls = 0 };
	struct queue queue;
	uint32_t cookie;

	queue_start(&queue);
	tracker_start(&tracker, &queue, 0);
	cookie = tracker_add(&tracker, 1000, 100, hear, &heard);
	CHECK(tracker_remove(&tracker, cookie));
	CHECK(!tracker_remove(&tracker, cookie));
	queue_end(&queue);
	CHECK_U32(heard.calls, 0);
}

static void what_it_begins_with_is_current_and_peak(void)
{
	struct tracker tracker;

	tracker_start(&tracker, NULL, 1000);
	CHECK_SIZE(tracker.current, 1000);
	CHECK_SIZE(tracker.peak, 1000);
}

/* The original calls its own callback; a host charges pages, so it has a test below. */
static void a_threshold_is_notified_once_on_another_thread(void)
{
	struct tracker tracker;
	struct heard heard = { .calls = 0 };
	struct queue queue;
	uint32_t cookie;

	queue_start(&queue);
	tracker_start(&tracker, &queue, 500);
	cookie = tracker_add(&tracker, 1000, 100, hear, &heard);
	CHECK(tracker_event(&tracker, JsMemoryAllocate, 1000));
	queue_end(&queue);
	CHECK_U32(heard.calls, 1);
	CHECK_SIZE(heard.usage, 1500);
	CHECK(!pthread_equal(heard.thread, pthread_self()));
	CHECK_SIZE(tracker.current, 1500);
	CHECK_SIZE(tracker.peak, 1500);
	CHECK(tracker_remove(&tracker, cookie));
}

/* ---- The same with a runtime, in pages ---- */

static void a_runtime_feeds_the_tracker(void)
{
	struct tracker tracker;
	struct heard heard = { .calls = 0 };
	struct queue queue;
	void *first = engine_commit(&engine, 500);
	void *second;

	queue_start(&queue);
	tracker_start(&tracker, &queue, engine_usage(&engine));
	engine_set_callback(&engine, &tracker, tracker_event);
	CHECK(tracker_add(&tracker, 1000 * PAGE, 100, hear, &heard) != 0);
	second = engine_commit(&engine, 1000);
	queue_end(&queue);
	CHECK_U32(heard.calls, 1);
	CHECK_SIZE(heard.usage, 1500 * PAGE);
	CHECK(!pthread_equal(heard.thread, pthread_self()));
	CHECK_SIZE(tracker.current, 1500 * PAGE);
	CHECK_SIZE(tracker.peak, 1500 * PAGE);
	engine_free(&engine, first);
	CHECK_SIZE(tracker.current, 1000 * PAGE);
	CHECK_SIZE(tracker.peak, 1500 * PAGE);
	engine_free(&engine, second);
	CHECK_SIZE(tracker.current, 0);
}

static void a_threshold_is_notified_again_when_its_interval_has_passed(void)
{
	static const struct {
		uint64_t now;
		size_t pages;
		unsigned calls;
	} steps[] = {
		{ 0, 9, 0 },  /* below */
		{ 0, 1, 1 },  /* reached */
		{ 99, 1, 1 }, /* too early */
		{ 100, 1, 2 }, { 150, 1, 2 }, { 1000, 1, 3 },
	};
	void *bases[ROWS(steps)];
	struct tracker tracker;
	struct heard heard = { .calls = 0 };
	struct queue queue;

	queue_start(&queue);
	tracker_start(&tracker, &queue, engine_usage(&engine));
	engine_set_callback(&engine, &tracker, tracker_event);
	CHECK(tracker_add(&tracker, 10 * PAGE, 100, hear, &heard) != 0);
	for (size_t i = 0; i < ROWS(steps); i++) {
		tap_row("step %zu", i);
		tracker.now = steps[i].now;
		bases[i] = engine_commit(&engine, steps[i].pages);
		CHECK_SIZE(queue.posted, steps[i].calls);
	}
	queue_end(&queue);
	CHECK_U32(heard.calls, 3);
	CHECK_SIZE(heard.usage, 14 * PAGE);
	for (size_t i = 0; i < ROWS(steps); i++)
		engine_free(&engine, bases[i]);
	CHECK_SIZE(tracker.current, 0);
}

/* Unregistered first, the tracker would keep what is left; so it stays to the end. */
static void a_tracker_that_stays_until_the_end_ends_at_zero(void)
{
	struct tracker tracker;
	struct engine other;

	if (!engine_start(&other, JsRuntimeAttributeNone))
		return;
	tracker_start(&tracker, NULL, engine_usage(&other));
	engine_set_callback(&other, &tracker, tracker_event);
	CHECK(engine_commit(&other, 5) != NULL);
	engine_end(&other);
	CHECK_SIZE(tracker.current, 0);
	CHECK_SIZE(tracker.peak, 5 * PAGE);
}

int main(void)
{
	TAP_RUN(a_threshold_is_added_and_removed_once);
	TAP_RUN(what_it_begins_with_is_current_and_peak);
	TAP_RUN(a_threshold_is_notified_once_on_another_thread);
	ENGINE_RUN(a_runtime_feeds_the_tracker);
	ENGINE_RUN(a_threshold_is_notified_again_when_its_interval_has_passed);
	TAP_RUN(a_tracker_that_stays_until_the_end_ends_at_zero);
	return tap_done();
}
