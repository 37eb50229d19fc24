#include "run_case.h"

#include "asking.h"

#include <cancel/spool.h>

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct process run_process;
struct canary run_canary;

void run_set_up(void)
{
	tool_set_up();
	canary_start(&run_canary);
	tree_begin();
	asking_make(tool_dir.path);
}

void run_skip_unless_mounts(void)
{
	if (geteuid() != 0)
		cr_skip_test("only root can do that");
	tool_run(WORDS("unshare", "--mount", "true"), NULL);
	if (tool.exit_code != 0)
		cr_skip_test("no mount namespace to be had");
}

/* Here an assertion that fails would fail no test. */
static void check_canary(void)
{
	if (canary_is_untouched(&run_canary))
		return;
	(void)fprintf(stderr, "a process that has nothing to do with the run was touched\n");
	abort();
}

void run_tear_down(void)
{
	process_free(&run_process);
	tree_end();
	check_canary();
	canary_end(&run_canary);
	tool_tear_down();
}

bool run_has_groups(void)
{
	RUN("-q", "probe", "--", "cat", "/proc/self/cgroup");
	return strstr(tool.out, "/cancelwatch-") != NULL;
}

void run_await(const char *text)
{
	cr_assert(process_wait_out(&run_process, text, PROCESS_TIMEOUT_MS), "no '%s'; out: %s err: %s", text,
		  run_process.out, run_process.err);
}

void run_await_err(const char *text)
{
	cr_assert(process_wait_err(&run_process, text, PROCESS_TIMEOUT_MS), "no '%s'; out: %s err: %s", text,
		  run_process.out, run_process.err);
}

static bool is_there(void *arg)
{
	return access(arg, F_OK) == 0;
}

void run_await_file(const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s", tool_path(name));
	cr_assert(wait_until(is_there, path, PROCESS_TIMEOUT_MS), "no %s", path);
}

struct parent {
	pid_t pid;
	const char *name; /* of the child; or NULL */
	pid_t child;
};

static bool has_child(void *arg)
{
	struct parent *parent = arg;

	parent->child = tree_child(parent->pid, parent->name);
	return parent->child != 0;
}

static pid_t child_of(pid_t pid, const char *name)
{
	struct parent parent = {.pid = pid, .name = name};

	cr_assert(wait_until(has_child, &parent, PROCESS_TIMEOUT_MS), "process %ld has no child", (long)pid);
	return parent.child;
}

pid_t run_supervisor(void)
{
	return child_of(run_process.pid, "cancelwatch");
}

pid_t run_command(void)
{
	return child_of(run_supervisor(), NULL);
}

static bool sleeps(void *pid)
{
	*(pid_t *)pid = tree_named("sleep");
	return *(pid_t *)pid != 0;
}

pid_t run_await_sleep(void)
{
	pid_t pid;

	cr_assert(wait_until(sleeps, &pid, PROCESS_TIMEOUT_MS), "nobody sleeps: %s", tree_text());
	return pid;
}

struct in_state {
	pid_t pid;
	char state;
};

static bool is_in_state(void *arg)
{
	const struct in_state *wanted = arg;

	return tree_state(wanted->pid) == wanted->state;
}

void run_await_state(pid_t pid, char state)
{
	struct in_state wanted = {pid, state};

	cr_assert(wait_until(is_in_state, &wanted, PROCESS_TIMEOUT_MS), "process %ld is in state %c",
		  (long)pid, tree_state(pid));
}

void run_ask(const char *task_id)
{
	asking_request(tool_dir.path, task_id, "why", CANCEL_EXPIRES_DEFAULT);
}

void run_finish(void)
{
	cr_assert(process_wait(&run_process, PROCESS_TIMEOUT_MS), "it still runs, with %s", tree_text());
	process_free(&tool);
	tool = run_process;
	run_process = (struct process){.exit_code = -1};
}

void run_expect_end(int exit_code)
{
	run_finish();
	tool_expect_exit(exit_code);
}

static enum cancel_lookup look_up(const char *task_id, struct cancel_request *request)
{
	struct cancel_spool_options options;
	struct cancel_spool *spool = NULL;
	struct cancel_error error = {0};
	int code;

	cancel_spool_options_init(&options);
	options.path = tool_dir.path;
	cr_assert_eq(cancel_spool_open(&spool, &options, &error), 0, "%s", error.text);
	cancel_request_init(request);
	code = cancel_spool_lookup(spool, task_id, NULL, request, &error);
	cr_assert_geq(code, 0, "%s", error.text);
	cancel_spool_close(spool);
	return (enum cancel_lookup)code;
}

void run_expect_record(const char *task_id, enum cancel_outcome outcome, const char *detail)
{
	struct cancel_request request;

	cr_assert_eq(look_up(task_id, &request), CANCEL_LOOKUP_PROCESSED, "'%s' is not decided; err: %s",
		     task_id, tool.err);
	cr_assert_str_eq(cancel_outcome_text(request.outcome), cancel_outcome_text(outcome), "detail: %s",
			 request.detail);
	cr_assert_eq(request.detail == NULL, detail == NULL, "detail: %s", request.detail);
	if (detail)
		cr_assert_str_eq(tool_plain(request.detail), detail);
	cancel_request_clear(&request);
}

static void expect_lookup(const char *task_id, enum cancel_lookup expected)
{
	struct cancel_request request;
	enum cancel_lookup found = look_up(task_id, &request);

	cr_assert_eq(found, expected, "'%s' is in state %d: %s", task_id, (int)found, request.detail);
	cancel_request_clear(&request);
}

void run_expect_pending(const char *task_id)
{
	expect_lookup(task_id, CANCEL_LOOKUP_PENDING);
}

void run_expect_none(const char *task_id)
{
	expect_lookup(task_id, CANCEL_LOOKUP_NONE);
}

void run_expect_all_gone(void)
{
	cr_assert_eq(tree_count(NULL), 0, "left alive: %s", tree_text());
	cr_assert_not(tree_left_behind(), "the run did not wait for all of its processes");
}
