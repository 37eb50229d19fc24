#include "scene.h"

#include "campaign.h"
#include "scenario_parts.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct scenario_trial scene;

static const struct scenario nameless = {.name = "before anything was broken"};

/* What did not hold was printed. */
static void expect_no_violation(void)
{
	cr_assert_eq(campaign_violations(), 0, "%s", scene.where);
}

void scene_make(void)
{
	const char *where = scene.where;

	campaign_begin("fault");
	scene = (struct scenario_trial){.scenario = &nameless, .where = where ? where : nameless.name};
	spool_dir_make(&scene.dir);
}

void scene_remove(void)
{
	spool_dir_remove(&scene.dir);
}

void scene_open(void)
{
	scenario_open(&scene);
}

void scene_close(void)
{
	cancel_spool_close(scene.spool);
	scene.spool = NULL;
}

const char *const *scene_environment(void)
{
	return scenario_environment(&scene);
}

const char *scene_path(const char *file)
{
	return scenario_path(&scene, file);
}

bool scene_exists(const char *file)
{
	return scenario_exists(&scene, file);
}

void scene_write(const char *file, const char *text, size_t length)
{
	int fd = open(scene_path(file), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	cr_assert(fd >= 0 && write(fd, text, length) == (ssize_t)length, "cannot write %s", file);
	(void)close(fd);
}

int scene_ask(const char *task, char id[CANCEL_REQUEST_ID_LENGTH + 1])
{
	int code = scenario_ask(&scene, task, id);

	expect_no_violation();
	return code;
}

int scene_decide(const char *id, enum cancel_outcome outcome)
{
	return scenario_decide(&scene, id, outcome);
}

/* --- before ------------------------------------------------------------------------------------------- */

void scene_prepare(void (*prepare)(void))
{
	scene_open();
	scenario_settle(&scene);
	cr_assert_eq(scene_ask(SCENARIO_BESIDE, scene.beside), CANCEL_REQUESTED);
	prepare();
	scene_close();
}

void scene_nothing(void)
{
	state_nothing(&scene);
}

void scene_pending(void)
{
	state_pending(&scene);
}

void scene_second(void)
{
	state_second(&scene);
}

void scene_litter(void)
{
	state_litter(&scene);
}

void scene_expired(void)
{
	state_expired(&scene);
}

void scene_drop(void)
{
	state_drop(&scene);
}

/* --- afterwards --------------------------------------------------------------------------------------- */

int scene_look(struct cancel_request *found)
{
	int code = scenario_look(&scene, found);

	expect_no_violation();
	return code;
}

bool scene_is_accepted(const struct cancel_request *found)
{
	return !strcmp(found->request_id, scene.accepted);
}

void scene_check_whole(void)
{
	scenario_check_whole(&scene);
	expect_no_violation();
}

void scene_check_beside(void)
{
	scenario_check_beside(&scene);
	expect_no_violation();
}

void scene_check_works(void)
{
	scenario_check_works(&scene);
	expect_no_violation();
}

void scene_check_no_runs(void)
{
	scenario_check_no_runs(&scene);
	expect_no_violation();
}

struct scenario_next_run scene_run_next(void)
{
	struct scenario_next_run run = scenario_run_next(&scene);

	expect_no_violation();
	return run;
}

int scene_count(const char *folder)
{
	struct scenario_files files = scenario_list(&scene, folder);

	return (int)files.count;
}
