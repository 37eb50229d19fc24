#include "order.h"

#include "scenario_parts.h"

typedef int operate(struct scenario_trial *trial);

/* One step of an order: by whom, and what. */
struct step {
	operate *operate;
	operate *set_up;
	bool is_other;
	bool is_part; /* of what the next one does: nobody is told of it */
};

struct scenario order_scenario(const struct pair_state *state, const struct pair_operation *operation)
{
	return (struct scenario){
		.name = operation->name,
		.operation = operation->name,
		.prepare = state->prepare,
		.operate = operation->operate,
		.set_up = operation->set_up,
	};
}

struct scenario_trial order_beside(const struct scenario_trial *trial, const struct scenario *scenario,
				   struct scenario_result *result)
{
	struct scenario_trial beside = *trial;

	beside.scenario = scenario;
	beside.result = result;
	beside.set_up = NULL;
	return beside;
}

/* In this process. */
static void take(struct scenario_trial *trial, const struct step *step)
{
	int told = trial->result->claim_count;

	if (step->set_up)
		(void)step->set_up(trial);
	trial->result->code = step->operate(trial);
	if (step->is_part)
		trial->result->claim_count = told;
	scenario_end_set_up(trial);
}

static struct outcome outcome_of_steps(const struct pair_state *state, const struct step *steps, int count,
				       bool is_told)
{
	struct scenario scenario = {.name = "one after the other", .prepare = state->prepare};
	struct scenario_result other_result = {0};
	struct scenario_trial trial, other;
	struct outcome outcome;

	scenario_begin(&trial, &scenario);
	other = order_beside(&trial, &scenario, &other_result);
	for (int i = 0; i < count; i++)
		take(steps[i].is_other ? &other : &trial, &steps[i]);
	outcome = outcome_of(&trial, is_told ? trial.result : NULL, &other_result);
	scenario_end(&trial);
	return outcome;
}

static void add(struct orders *orders, const struct pair_state *state, bool is_told, struct step first,
		struct step second)
{
	const struct step steps[] = {first, second};

	if (first.operate && second.operate)
		orders->outcomes[orders->count++] = outcome_of_steps(state, steps, 2, is_told);
}

/* The other one comes in when a part of `last` is done. */
static void add_between(struct orders *orders, const struct pair_state *state, bool is_told, operate *part,
			struct step other, struct step last)
{
	const struct step steps[] = {{.operate = part, .is_part = true}, other, last};

	if (part && last.operate)
		orders->outcomes[orders->count++] = outcome_of_steps(state, steps, 3, is_told);
}

static struct step step_of(const struct pair_operation *operation, bool is_other)
{
	return (struct step){operation->operate, operation->set_up, is_other, false};
}

static struct step refusal_of(const struct pair_operation *other)
{
	return (struct step){.operate = other->refused, .is_other = true};
}

struct orders orders_whole(const struct pair_state *state, const struct pair_operation *one,
			   const struct pair_operation *other)
{
	struct step held = step_of(one, false), beside = step_of(other, true);
	struct orders orders = {.count = 0};

	add(&orders, state, true, held, beside);
	add(&orders, state, true, beside, held);
	add(&orders, state, true, held, refusal_of(other));
	add_between(&orders, state, true, state->first, beside, held);
	add_between(&orders, state, true, one->half, beside, held);
	return orders;
}

static int do_nothing(struct scenario_trial *trial)
{
	(void)trial;
	return 0;
}

struct orders orders_killed(const struct pair_state *state, const struct pair_operation *one,
			    const struct pair_operation *other)
{
	const struct step parts[] = {
		{.operate = do_nothing},
		{.operate = state->first},
		{.operate = one->half},
		step_of(one, false),
	};
	struct orders orders = {.count = 0};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		add(&orders, state, false, parts[i], step_of(other, true));
		add(&orders, state, false, step_of(other, true), parts[i]);
		add(&orders, state, false, parts[i], refusal_of(other));
		add_between(&orders, state, false, state->first, step_of(other, true), parts[i]);
		add_between(&orders, state, false, one->half, step_of(other, true), parts[i]);
	}
	return orders;
}

bool orders_allow(const struct orders *orders, const struct outcome *outcome)
{
	for (int i = 0; i < orders->count; i++)
		if (outcome_same(&orders->outcomes[i], outcome))
			return true;
	return false;
}
