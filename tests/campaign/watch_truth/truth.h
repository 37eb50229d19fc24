/* What was published in one row of the campaign, and who saw it when: shared by all of the row's processes.
 *
 * Each request is published once, with its number in the reason, so that it is known again whoever gave it
 * its id. The row's own process announces, awaits and judges; its observers tell what they saw. */
#ifndef WATCH_TRUTH_TRUTH_H
#define WATCH_TRUTH_TRUTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	OBSERVERS_MAX = 8,
	RECORDS = 1024, /* that may be unjudged at a time; beyond that numbers use the places of old ones */
	COMPLAINTS = 12,
	COMPLAINT_SIZE = 400,
	EVENT_TYPES = 8,
	BUCKETS = 512,
	TASK_ID_SIZE = 48,
	REASON_SIZE = 48,
};

struct record {
	char task_id[TASK_ID_SIZE];
	uint32_t wanted; /* a bit for each observer that has to see it */
	int64_t published_ns;
	_Atomic uint64_t number; /* 0: none yet; set last */
	_Atomic int64_t seen_ns[OBSERVERS_MAX];
};

/* One observer's. */
struct tally {
	long published, missed;
	long latencies[BUCKETS];
	int64_t longest_ns;
};

struct observer_state {
	atomic_int pid;      /* whom to stop and to kill; 0: none yet */
	atomic_bool ready;   /* it looks, or its first task has begun */
	atomic_uint offered; /* a worker's turns: about to begin, begun, */
	atomic_uint begun;   /* 0: this one not yet */
	unsigned asked;      /* and asked for, by the row's process only */
	atomic_int events[EVENT_TYPES];
};

struct truth {
	uint64_t published, judged; /* numbers, by the row's process only */
	struct record records[RECORDS];
	struct tally tallies[OBSERVERS_MAX];
	struct observer_state observers[OBSERVERS_MAX];
	bool may_double; /* an observer that was started again tells again what stands */
	atomic_long doubled;
	atomic_int complaints;
	struct complaint {
		atomic_bool is_whole;
		char text[COMPLAINT_SIZE];
	} complaint[COMPLAINTS];
	char left_out[COMPLAINT_SIZE]; /* why the row cannot be played here; "": it can */
};

int64_t truth_now_ns(void);

/* Memory for `count` of them, shared with whoever is forked. Aborts when there is none. */
struct truth *truth_make(unsigned count);

/* A violation. From any process of the row. */
void truth_complain(struct truth *truth, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* About to be published, for this task; the number is written into `reason`. */
uint64_t truth_announce(struct truth *truth, const char *task_id, uint32_t wanted, char reason[REASON_SIZE]);

/* An observer saw a request with this reason for this task. */
void truth_saw(struct truth *truth, unsigned observer, const char *task_id, const char *reason);

/* Wait until all that was announced was seen by whom it is for; what was not is a violation. */
bool truth_await(struct truth *truth, const char *const names[OBSERVERS_MAX]);

/* How long to wait for what must come: 30 s beyond what the manual promises. Who looks for a first violation
 * only, as mutants are caught, has less patience: there nothing is lost by being wrong. */
int64_t truth_patience_ms(void);

/* Of the latencies, in ns, about: 0.5, 0.99. */
double truth_percentile_ns(const struct tally *tally, double part);

#endif
