#include "stress_team.h"

#include "stress_run.h"

#include <sched.h>
#include <stdlib.h>

enum { SPINS_BEFORE_YIELD = 200 };

static void wait_a_turn(unsigned *turns)
{
	if (++*turns > SPINS_BEFORE_YIELD)
		(void)sched_yield();
}

void stress_line_up(struct stress_line *line)
{
	unsigned generation = atomic_load(&line->generation), turns = 0;

	if (atomic_fetch_add(&line->arrived, 1) + 1 == line->count) {
		atomic_store(&line->arrived, 0);
		atomic_store(&line->generation, generation + 1);
		return;
	}
	while (atomic_load(&line->generation) == generation)
		wait_a_turn(&turns);
}

void stress_await(const atomic_bool *flag)
{
	unsigned turns = 0;

	while (!atomic_load(flag))
		wait_a_turn(&turns);
}

static void *run_member(void *arg)
{
	struct stress_member *member = arg;
	struct stress_team *team = member->team;

	for (;;) {
		stress_line_up(&team->line);
		if (team->over)
			return NULL;
		team->act(team->scene, member->number, &member->random);
		stress_line_up(&team->line);
	}
}

void stress_team_start(struct stress_team *team, unsigned count, stress_act *act, void *scene)
{
	*team = (struct stress_team){.act = act, .scene = scene, .count = count};
	team->line.count = count;
	for (unsigned i = 0; i < count; i++) {
		struct stress_member *member = &team->members[i];

		member->team = team;
		member->number = i;
		member->random = stress_seed(i);
		if (i > 0 && pthread_create(&member->thread, NULL, run_member, member) != 0)
			abort();
	}
}

void stress_team_round(struct stress_team *team)
{
	stress_line_up(&team->line);
	team->act(team->scene, 0, &team->members[0].random);
	stress_line_up(&team->line);
}

void stress_team_end(struct stress_team *team)
{
	team->over = true;
	stress_line_up(&team->line);
	for (unsigned i = 1; i < team->count; i++)
		(void)pthread_join(team->members[i].thread, NULL);
}
