#include "facts.h"

#include <string.h>

void duty_begin(struct duty *duty)
{
	*duty = (struct duty){.outcome = CANCEL_OUTCOME_NONE};
}

static void keep(char target[CANCEL_REQUEST_ID_LENGTH + 1], const char *id)
{
	size_t length = strnlen(id, CANCEL_REQUEST_ID_LENGTH);

	memcpy(target, id, length);
	target[length] = '\0';
}

static void bury(struct duty *duty, const char *id)
{
	if (id[0] && duty->dead_count < FACTS_DEAD_MAX)
		keep(duty->dead[duty->dead_count++], id);
}

/* Where another one stands now, the one before it was decided on the way. */
static void accept(struct duty *duty, const struct fact *fact)
{
	if (duty->deciding[0] && strcmp(duty->deciding, fact->id) != 0)
		bury(duty, duty->deciding);
	duty->deciding[0] = '\0';
	keep(duty->standing, fact->id);
	duty->asking = false;
}

static void decide(struct duty *duty, const struct fact *fact)
{
	bury(duty, fact->id);
	keep(duty->decided, fact->id);
	duty->outcome = fact->outcome;
	duty->standing[0] = duty->deciding[0] = '\0';
	duty->may_be_gone = false;
}

static void reset(struct duty *duty)
{
	bury(duty, duty->deciding);
	duty->standing[0] = duty->deciding[0] = duty->decided[0] = '\0';
	duty->may_be_gone = true;
}

static void learn_told(struct duty *duty, const struct fact *fact)
{
	if (fact->what == FACT_ACCEPTED)
		accept(duty, fact);
	else if (fact->what == FACT_DECIDED)
		decide(duty, fact);
	else
		reset(duty);
}

/* Whoever decides may be done before he is told. */
static void begin_change(struct duty *duty, const struct fact *fact, bool promised)
{
	if (fact->what != FACT_REMOVING) {
		keep(duty->deciding, duty->standing);
		duty->standing[0] = '\0';
	}
	if (fact->what != FACT_DECIDING)
		duty->may_be_gone = true;
	if (!promised) {
		duty->standing[0] = duty->deciding[0] = duty->decided[0] = '\0';
		duty->dead_count = 0; /* its record may be removed before its pending file is */
		duty->is_open = true;
	}
}

void duty_learn(struct duty *duty, const struct fact *fact, bool promised)
{
	switch (fact->what) {
	case FACT_BASELINE:
		break;
	case FACT_ASKING:
		duty->asking = true;
		break;
	case FACT_DECIDING:
	case FACT_RESETTING:
	case FACT_REMOVING:
		begin_change(duty, fact, promised);
		break;
	case FACT_ACCEPTED:
	case FACT_DECIDED:
	case FACT_RESET:
		if (promised)
			learn_told(duty, fact);
		break;
	}
}

bool duty_is(const char *named, const char *id)
{
	return named[0] && (!strcmp(named, FACTS_ANY_ID) || !strcmp(named, id));
}

bool duty_is_dead(const struct duty *duty, const char *id)
{
	for (int i = 0; i < duty->dead_count; i++)
		if (!strcmp(duty->dead[i], id))
			return true;
	return false;
}
