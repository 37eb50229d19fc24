#include "scenario_parts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void ask(struct scenario_trial *trial, const char *task)
{
	scenario_require(trial, scenario_ask(trial, task, trial->accepted) == CANCEL_REQUESTED, "asking");
}

static void decide(struct scenario_trial *trial)
{
	scenario_require(trial,
			 scenario_decide(trial, trial->accepted, CANCEL_OUTCOME_STOPPED) == CANCEL_DECIDED,
			 "deciding");
}

static void write_file(struct scenario_trial *trial, const char *file, const char *text, int64_t mtime_s)
{
	const struct timespec times[2] = {{.tv_sec = mtime_s}, {.tv_sec = mtime_s}};
	size_t length = strlen(text);
	int fd = open(scenario_path(trial, file), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	scenario_require(trial, fd >= 0 && write(fd, text, length) == (ssize_t)length, "writing a file");
	if (mtime_s)
		scenario_require(trial, futimens(fd, times) == 0, "dating a file");
	(void)close(fd);
}

void state_nothing(struct scenario_trial *trial)
{
	(void)trial;
}

void state_pending(struct scenario_trial *trial)
{
	ask(trial, SCENARIO_TASK);
}

void state_second(struct scenario_trial *trial)
{
	ask(trial, SCENARIO_TASK);
	decide(trial);
	(void)strcpy(trial->former, trial->accepted);
	ask(trial, SCENARIO_TASK);
}

/* The very file, because a copy's times would tell a sweep to look at it. */
void state_litter(struct scenario_trial *trial)
{
	const char *pending = "pending/" SCENARIO_TASK ".json";
	char kept[64];

	(void)snprintf(kept, sizeof(kept), "%s/kept", trial->dir.root);
	ask(trial, SCENARIO_TASK);
	scenario_require(trial, link(scenario_path(trial, pending), kept) == 0, "keeping a pending file");
	decide(trial);
	scenario_require(trial, rename(kept, scenario_path(trial, pending)) == 0,
			 "putting a pending file back");
}

static void write_expired(struct scenario_trial *trial, const char *task, const char *id)
{
	char file[64], text[300];

	(void)snprintf(file, sizeof(file), "pending/%s.json", task);
	(void)snprintf(text, sizeof(text),
		       "{\"task_id\": \"%s\", \"request_id\": \"%s\", \"expires_in_s\": 1, "
		       "\"requested_at\": \"2020-01-01T00:00:00Z\"}",
		       task, id);
	write_file(trial, file, text, 1600000000);
}

/* Two, so that a sweep takes all locks at once. */
void state_expired(struct scenario_trial *trial)
{
	(void)strcpy(trial->accepted, SCENARIO_OLD_ID);
	write_expired(trial, SCENARIO_TASK, SCENARIO_OLD_ID);
	write_expired(trial, SCENARIO_TASK "2", "000000000000000000000000000002d0");
}

static void drop_at(struct scenario_trial *trial, const char *file)
{
	char text[200];

	(void)snprintf(text, sizeof(text),
		       "{\"task_id\": \"" SCENARIO_TASK "\", \"reason\": \"" SCENARIO_DROP_REASON
		       "\", \"expires_in_s\": %d}",
		       SCENARIO_DROP_LIFE_S);
	write_file(trial, file, text, 0);
}

void state_drop(struct scenario_trial *trial)
{
	drop_at(trial, SCENARIO_TASK ".json");
}

void state_drop_on_pending(struct scenario_trial *trial)
{
	state_pending(trial);
	state_drop(trial);
}

void state_drop_left(struct scenario_trial *trial)
{
	drop_at(trial, "tmp/" SCENARIO_TASK ".drop");
	write_file(trial, "runs/" SCENARIO_TASK, "{\"task_id\": \"" SCENARIO_TASK "\"}", 1600000000);
}

/* What `accepted` is of, then. */
void state_group(struct scenario_trial *trial)
{
	ask(trial, SCENARIO_GROUP);
}
