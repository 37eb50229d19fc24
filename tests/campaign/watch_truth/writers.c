#include "writers.h"

#include "campaign.h"
#include "observers.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	TEXT_SIZE = 256,
	NAME_SIZE_OURS = TASK_ID_SIZE + 24,
};

/* --- the library ------------------------------------------------------------------------------------ */

static void expect_new(struct stage *stage, const struct letter *letter, int result,
		       const struct cancel_error *error)
{
	if (result != CANCEL_REQUESTED)
		truth_complain(stage->truth, "asking for '%s' says %d: %s", letter->task_id, result,
			       result < 0 && error ? error->text : "");
}

static void fill(struct cancel_request *request, const struct letter *letter)
{
	cancel_request_init(request);
	request->task_id = letter->task_id;
	request->reason = letter->reason;
}

void write_by_library(struct stage *stage, const struct letter *letter)
{
	struct cancel_request request;
	struct cancel_error error;

	fill(&request, letter);
	expect_new(stage, letter, cancel_spool_request(stage->spool, &request, NULL, &error), &error);
	cancel_request_clear(&request);
}

struct batch_case {
	struct stage *stage;
	const struct letter *letter;
};

static void on_report(void *arg, int64_t tag, int result, const struct cancel_request *request,
		      const struct cancel_error *error)
{
	const struct batch_case *batch_case = arg;

	(void)tag;
	(void)request;
	expect_new(batch_case->stage, batch_case->letter, result, error);
}

void write_by_batch(struct stage *stage, const struct letter *letter)
{
	struct batch_case batch_case = {stage, letter};
	struct cancel_request request;
	struct cancel_batch *batch;
	struct cancel_error error;

	fill(&request, letter);
	if (cancel_batch_open(&batch, stage->spool, on_report, &batch_case, &error) < 0) {
		expect_new(stage, letter, -1, &error);
		return;
	}
	cancel_batch_add(batch, &request, 0);
	(void)cancel_batch_close(batch, &error);
	cancel_request_clear(&request);
}

void write_by_program(struct stage *stage, const struct letter *letter)
{
	char program[512], config[160];
	struct process process;

	process_run(&process,
		    WORDS(program_path("cancelreq", "CANCELREQ", program), "--config",
			  stage_config(stage, config), letter->task_id, letter->reason),
		    WORDS("TASK_CANCELLATION_DIR"), NULL);
	if (process.exit_code != 0)
		truth_complain(stage->truth, "cancelreq for '%s' exits with %d: %s", letter->task_id,
			       process.exit_code, process.err);
	process_free(&process);
}

/* --- who knows nothing of it ------------------------------------------------------------------------- */

static bool expect_done(struct stage *stage, const struct letter *letter, const char *what, bool is_done)
{
	if (!is_done)
		truth_complain(stage->truth, "cannot %s for '%s': %s", what, letter->task_id,
			       strerror(errno));
	return is_done;
}

static bool make_file(int dir_fd, const char *name, const char *text)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ssize_t length = (ssize_t)strlen(text);
	bool is_made = fd >= 0 && write(fd, text, (size_t)length) == length;

	return fd >= 0 && close(fd) == 0 && is_made;
}

static void drop_into(struct stage *stage, int root_fd, const struct letter *letter)
{
	char draft[NAME_SIZE_OURS], name[NAME_SIZE_OURS], text[TEXT_SIZE];

	(void)snprintf(draft, sizeof draft, ".%s", letter->task_id);
	(void)snprintf(name, sizeof name, "%s.json", letter->task_id);
	(void)snprintf(text, sizeof text, "{\"reason\": \"%s\"}", letter->reason);
	if (expect_done(stage, letter, "write a drop", make_file(root_fd, draft, text)))
		(void)expect_done(stage, letter, "rename a drop",
				  renameat(root_fd, draft, root_fd, name) == 0);
}

static void random_digits(char digits[33])
{
	(void)snprintf(digits, 33, "%016llx%016llx", (unsigned long long)campaign_chance(),
		       (unsigned long long)campaign_chance());
}

static void link_into(struct stage *stage, int root_fd, const struct letter *letter)
{
	char digits[33], draft[NAME_SIZE_OURS], name[NAME_SIZE_OURS], text[TEXT_SIZE];

	random_digits(digits);
	(void)snprintf(draft, sizeof draft, "tmp/%s.draft", digits);
	(void)snprintf(name, sizeof name, "pending/%s.json", letter->task_id);
	random_digits(digits);
	(void)snprintf(text, sizeof text, "{\"task_id\": \"%s\", \"request_id\": \"%s\", \"reason\": \"%s\"}",
		       letter->task_id, digits, letter->reason);
	if (!expect_done(stage, letter, "write a draft", make_file(root_fd, draft, text)))
		return;
	/* What stands there must be litter, as a decision may leave it that met the removal of a draft; it is
	 * cleared away under the name's lock, for which there is cancelreq. */
	if (linkat(root_fd, draft, root_fd, name, 0) < 0 &&
	    expect_done(stage, letter, "link a draft", errno == EEXIST && root_fd == stage->root_fd))
		write_by_library(stage, letter);
	(void)unlinkat(root_fd, draft, 0);
}

void write_drop(struct stage *stage, const struct letter *letter)
{
	drop_into(stage, stage->root_fd, letter);
}

void write_link(struct stage *stage, const struct letter *letter)
{
	link_into(stage, stage->root_fd, letter);
}

void write_drop_behind(struct stage *stage, const struct letter *letter)
{
	drop_into(stage, stage->behind_fd, letter);
}

void write_link_behind(struct stage *stage, const struct letter *letter)
{
	link_into(stage, stage->behind_fd, letter);
}

void write_drop_by_shell(struct stage *stage, const struct letter *letter)
{
	static const char script[] =
		"tmp=\"$1/.$$.json\"\n"
		"printf '{\"reason\": \"%s\"}' \"$3\" > \"$tmp\" && mv \"$tmp\" \"$1/$2.json\"\n";
	struct process process;

	process_run(&process, WORDS("sh", "-c", script, "sh", stage->path, letter->task_id, letter->reason),
		    NULL, NULL);
	if (process.exit_code != 0)
		truth_complain(stage->truth, "a drop by sh for '%s' exits with %d: %s", letter->task_id,
			       process.exit_code, process.err);
	process_free(&process);
}
