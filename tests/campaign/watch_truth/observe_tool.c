/* The programs: a process that reads what cancelwatch prints, and one that runs commands by it. */
#include "observers.h"

#include "process.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	EXIT_CANCELLED = 123,
	WORDS_SIZE = 1024,
};

const char *program_path(const char *name, const char *variable, char path[512])
{
	const char *given = getenv(variable);

	(void)snprintf(path, 512, "%s%s", given ? given : BUILD_DIR "/bin/", given ? "" : name);
	return path;
}

/* --- watch ------------------------------------------------------------------------------------------ */

static void start_tool(const struct stage *stage, unsigned index, int output)
{
	char program[512], config[160];
	pid_t pid;

	(void)program_path("cancelwatch", "CANCELWATCH", program);
	(void)stage_config(stage, config);
	pid = fork();
	if (pid < 0)
		stage_die("fork");
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(output, STDOUT_FILENO);
		/* What is wrong while the spool is being replaced it tells there. */
		(void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
		(void)unsetenv("TASK_CANCELLATION_DIR");
		(void)unsetenv("NOTIFY_SOCKET");
		(void)execl(program, program, "--config", config, "--json", "watch", (char *)NULL);
		_exit(127);
	}
	atomic_store(&stage->truth->observers[index].pid, pid);
}

static void take_line(struct stage *stage, unsigned index, const char *line)
{
	json_t *event = json_loads(line, 0, NULL), *request = json_object_get(event, "request");
	const char *type = json_string_value(json_object_get(event, "event"));

	if (!type) {
		truth_complain(stage->truth, "cancelwatch prints no event: %.200s", line);
		return;
	}
	for (int i = 0; i < EVENT_TYPES; i++)
		if (!strcmp(type, cancel_event_text((enum cancel_event_type)i)))
			(void)atomic_fetch_add(&stage->truth->observers[index].events[i], 1);
	if (!strcmp(type, "requested"))
		truth_saw(stage->truth, index, json_string_value(json_object_get(request, "task_id")),
			  json_string_value(json_object_get(request, "reason")));
	json_decref(event);
}

/* Until it has ended. What was begun of a line when it was killed is none. */
static void read_lines(struct stage *stage, unsigned index, FILE *lines)
{
	size_t size = 0;
	char *line = NULL;

	while (getline(&line, &size, lines) > 0)
		if (strchr(line, '\n'))
			take_line(stage, index, line);
	free(line);
}

void observe_by_tool(struct stage *stage, unsigned index)
{
	int ends[2], status = 0;
	pid_t pid;
	FILE *lines;

	if (pipe(ends) < 0)
		stage_die("pipe");
	start_tool(stage, index, ends[1]);
	(void)close(ends[1]);
	pid = atomic_load(&stage->truth->observers[index].pid);
	lines = fdopen(ends[0], "r");
	if (!lines)
		stage_die("fdopen");
	read_lines(stage, index, lines);
	(void)waitpid(pid, &status, 0);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		truth_complain(stage->truth, "cancelwatch ended with status %#x", (unsigned)status);
	exit(0);
}

/* --- run -------------------------------------------------------------------------------------------- */

/* It has seen it when it says so: "cancelwatch: NAME: cancelled by WHO: REASON; sending SIGTERM". How long
 * the command takes to end is another matter. */
static void take_words(struct stage *stage, unsigned index, const char *task_id, struct process *process)
{
	char words[WORDS_SIZE];
	const char *reason;
	ssize_t length;

	while (!process_wait_err(process, "truth ", PROCESS_TIMEOUT_MS) && process->pid)
		;
	length = process->pid ? pread(process->err_fd, words, sizeof words - 1, 0) : 0;
	words[length > 0 ? length : 0] = '\0';
	reason = strstr(process->pid ? words : process->err, "truth ");
	if (reason)
		truth_saw(stage->truth, index, task_id, reason);
	else
		truth_complain(stage->truth, "cancelwatch run does not say why '%s' was cancelled: %.200s",
			       task_id, process->pid ? words : process->err);
}

void observe_by_run(struct stage *stage, unsigned index)
{
	struct observer_state *state = &stage->truth->observers[index];
	char program[512], config[160];

	(void)program_path("cancelwatch", "CANCELWATCH", program);
	(void)stage_config(stage, config);
	for (unsigned turn = 1;; turn++) {
		struct process process;
		char task_id[TASK_ID_SIZE];

		stage_worker_name(stage, index, turn, task_id);
		atomic_store(&state->offered, turn);
		process_start(&process,
			      WORDS(program, "run", "--config", config, task_id, "--", "sh", "-c",
				    "echo begun; exec sleep 3600"),
			      WORDS("TASK_CANCELLATION_DIR"), NULL);
		(void)process_wait_out(&process, "begun",
				       PROCESS_TIMEOUT_MS); /* or it never begins, and has ended */
		atomic_store(&state->begun, turn);
		atomic_store(&state->ready, true);
		take_words(stage, index, task_id, &process);
		while (!process_wait(&process, PROCESS_TIMEOUT_MS))
			;
		if (process.exit_code != EXIT_CANCELLED)
			truth_complain(stage->truth, "cancelwatch run of '%s' exits with %d: %s", task_id,
				       process.exit_code, process.err);
		process_free(&process);
	}
}
