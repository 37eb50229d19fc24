/* Threads that play rounds together: each begins when all are there, and the round is over when all have done
 * their part. Whoever calls is member 0. */
#ifndef SUPPORT_STRESS_TEAM_H
#define SUPPORT_STRESS_TEAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define STRESS_MEMBERS_MAX 8

/* What a member does in a round; `random` is the member's own stream. */
typedef void stress_act(void *scene, unsigned member, uint64_t *random);

struct stress_line {
	atomic_uint arrived, generation;
	unsigned count;
};

struct stress_team {
	struct stress_member {
		pthread_t thread;
		struct stress_team *team;
		uint64_t random;
		unsigned number;
	} members[STRESS_MEMBERS_MAX];
	struct stress_line line;
	stress_act *act;
	void *scene;
	unsigned count;
	bool over;
};

void stress_team_start(struct stress_team *team, unsigned count, stress_act *act, void *scene);
void stress_team_round(struct stress_team *team);
void stress_team_end(struct stress_team *team);

/* Wait until `count` threads have called this, without sleeping: those that wait must start at once. */
void stress_line_up(struct stress_line *line);

/* Wait until it is set. */
void stress_await(const atomic_bool *flag);

#endif
