/* The manual pages: they name what the headers offer, and their examples, and README.md's, work. */
#include "asking.h"
#include "name.h"
#include "process.h"
#include "spool_dir.h"

#include <cancel/cancel.h>

#include <criterion/criterion.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADERS SOURCE_DIR "/lib/include/cancel/*.h"
#define PAGES   SOURCE_DIR "/man/*.[1-8]"

#define FUNCTIONS_MAX 200
#define NAME_ROOM     64
#define PAGES_MAX     32
#define TEXT_ROOM     (256 * 1024)

/* The examples are linked with the library of this build, so they need its checkers too. */
#if defined(__SANITIZE_ADDRESS__)
#define VARIANT_FLAGS "-fsanitize=address,undefined"
#elif defined(__SANITIZE_THREAD__)
#define VARIANT_FLAGS "-fsanitize=thread"
#else
#define VARIANT_FLAGS (strstr(BUILD_DIR, "/coverage") ? "--coverage" : "")
#endif

static struct spool_dir dir;

static void set_up(void)
{
	spool_dir_make(&dir);
}

static void tear_down(void)
{
	spool_dir_remove(&dir);
}

TestSuite(manual, .init = set_up, .fini = tear_down, .timeout = 300);

/* --- text ------------------------------------------------------------------------------------------- */

static char *read_file(const char *path)
{
	char *text = calloc(1, TEXT_ROOM);
	FILE *file = fopen(path, "re");
	size_t length;

	cr_assert(text && file, "cannot read %s", path);
	length = fread(text, 1, TEXT_ROOM, file);
	cr_assert_lt(length, TEXT_ROOM, "%s is too long for this test", path);
	fclose(file);
	return text;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0, "cannot write %s", path);
}

static void drop_comments(char *text)
{
	char *begin, *end;

	while ((begin = strstr(text, "/*")) && (end = strstr(begin, "*/")))
		memmove(begin, end + 2, strlen(end + 2) + 1);
}

static void drop_spaces(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++)
		if (!isspace((unsigned char)*from))
			*to++ = *from;
	*to = '\0';
}

/* Each line of `text`, without its end; false after the last. */
static bool next_line(const char **text, char line[1024])
{
	size_t length = strcspn(*text, "\n");

	if (!**text)
		return false;
	cr_assert_lt(length, 1024);
	memcpy(line, *text, length);
	line[length] = '\0';
	*text += length + ((*text)[length] == '\n');
	return true;
}

static bool begins(const char *text, const char *beginning)
{
	return !strncmp(text, beginning, strlen(beginning));
}

/* --- headers and pages ------------------------------------------------------------------------------ */

/* All public headers, without comments and spaces; and what they export. */
struct headers {
	char text[TEXT_ROOM];
	char functions[FUNCTIONS_MAX][NAME_ROOM];
	size_t count;
};

/* What every function of the API begins with: those of the library, and those of the headers alone. */
static const char *const api_marks[] = {"\nCANCEL_API ", "\nstatic inline "};

static void add_functions(struct headers *headers, const char *text, const char *mark)
{
	for (const char *at = text; (at = strstr(at, mark)); at++) {
		const char *end = strchr(at, '('), *begin = end;

		while (begin[-1] == '_' || isalnum((unsigned char)begin[-1]))
			begin--;
		cr_assert(headers->count < FUNCTIONS_MAX && end - begin < NAME_ROOM);
		memcpy(headers->functions[headers->count++], begin, (size_t)(end - begin));
	}
}

static struct headers *read_headers(void)
{
	struct headers *headers = calloc(1, sizeof *headers);
	glob_t found;

	cr_assert(headers && glob(HEADERS, 0, NULL, &found) == 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char *text = read_file(found.gl_pathv[i]);

		drop_comments(text);
		for (size_t j = 0; j < sizeof api_marks / sizeof api_marks[0]; j++)
			add_functions(headers, text, api_marks[j]);
		drop_spaces(text);
		cr_assert_lt(strlen(headers->text) + strlen(text), TEXT_ROOM);
		strcat(headers->text, text);
		free(text);
	}
	globfree(&found);
	return headers;
}

/* What one page says about functions: " name name " under NAME, and one line for each prototype of SYNOPSIS,
 * without spaces. */
struct page {
	const char *path;
	char names[4096];
	char prototypes[16384];
};

/* The arguments of a macro, with commas between those that stand in quotes. */
static void add_arguments(char *prototype, const char *line)
{
	for (const char *at = strchr(line, ' '); at && *at; at++)
		if (*at == '"' && at[1] == ' ')
			strcat(prototype, ",");
		else if (*at != '"')
			strncat(prototype, at, 1);
}

static void read_synopsis_line(struct page *page, const char *line, char prototype[4096])
{
	size_t length;

	if (begins(line, ".Ft ")) {
		strcpy(prototype, line + 4);
	} else if (begins(line, ".Fo ") || begins(line, ".Fn ")) {
		length = strcspn(line + 4, " ");
		strncat(prototype, line + 4, length);
		strcat(prototype, "(");
		add_arguments(prototype, line + 4);
	} else if (begins(line, ".Fa ")) {
		add_arguments(prototype, line);
		strcat(prototype, ",");
	}
	if (begins(line, ".Fc") || begins(line, ".Fn ")) {
		length = strlen(prototype);
		if (prototype[length - 1] == ',')
			prototype[length - 1] = '\0';
		strcat(prototype, ");");
		drop_spaces(prototype);
		strcat(strcat(page->prototypes, prototype), "\n");
	}
}

static struct page *read_page(const char *path)
{
	struct page *page = calloc(1, sizeof *page);
	char *text = read_file(path), line[1024], section[1024] = "", prototype[4096] = "";
	const char *rest = text;

	cr_assert(page);
	page->path = path;
	strcpy(page->names, " ");
	while (next_line(&rest, line)) {
		if (begins(line, ".Sh "))
			strcpy(section, line + 4);
		else if (!strcmp(section, "NAME") && begins(line, ".Nm "))
			strcat(strncat(page->names, line + 4, strcspn(line + 4, " ,")), " ");
		else if (!strcmp(section, "SYNOPSIS"))
			read_synopsis_line(page, line, prototype);
	}
	free(text);
	return page;
}

struct pages {
	glob_t found;
	struct page *pages[PAGES_MAX];
	size_t count;
};

static void read_pages(struct pages *pages)
{
	pages->count = 0;
	cr_assert_eq(glob(SOURCE_DIR "/man/*.3", 0, NULL, &pages->found), 0);
	cr_assert_lt(pages->found.gl_pathc, PAGES_MAX);
	for (; pages->count < pages->found.gl_pathc; pages->count++)
		pages->pages[pages->count] = read_page(pages->found.gl_pathv[pages->count]);
}

static void free_pages(struct pages *pages)
{
	while (pages->count)
		free(pages->pages[--pages->count]);
	globfree(&pages->found);
}

static bool names(const struct page *page, const char *function)
{
	char word[NAME_ROOM + 2];

	(void)snprintf(word, sizeof word, " %s ", function);
	return strstr(page->names, word) != NULL;
}

static bool declares(const struct page *page, const char *function)
{
	char call[NAME_ROOM + 1];

	(void)snprintf(call, sizeof call, "%s(", function);
	return strstr(page->prototypes, call) != NULL;
}

Test(manual, every_function_is_on_exactly_one_page)
{
	struct headers *headers = read_headers();
	struct pages pages;

	read_pages(&pages);
	cr_assert_gt(headers->count, 30, "only %zu functions found", headers->count);
	for (size_t i = 0; i < headers->count; i++) {
		const char *function = headers->functions[i];
		int named = 0, declared = 0, both = 0;

		for (size_t j = 0; j < pages.count; j++) {
			named += names(pages.pages[j], function);
			declared += declares(pages.pages[j], function);
			both += names(pages.pages[j], function) && declares(pages.pages[j], function);
		}
		cr_expect(named == 1 && declared == 1 && both == 1,
			  "%s is in the NAME of %d pages and in the SYNOPSIS of %d", function, named,
			  declared);
	}
	free_pages(&pages);
	free(headers);
}

Test(manual, every_prototype_is_that_of_a_header)
{
	struct headers *headers = read_headers();
	struct pages pages;

	read_pages(&pages);
	for (size_t i = 0; i < pages.count; i++) {
		const char *rest = pages.pages[i]->prototypes;
		char prototype[1024];

		while (next_line(&rest, prototype)) {
			/* A header goes on with an attribute, or a body. */
			prototype[strlen(prototype) - strlen(";")] = '\0';
			cr_expect(strstr(headers->text, prototype), "%s: no header declares %s",
				  pages.pages[i]->path, prototype);
		}
	}
	free_pages(&pages);
	free(headers);
}

/* --- running ---------------------------------------------------------------------------------------- */

/* By the shell in the test's directory, with its spool: checkers that follow processes stop there. */
static void start_shell(struct process *process, const char *line, const char *input)
{
	char spool[96], command[2048];

	(void)snprintf(spool, sizeof spool, "TASK_CANCELLATION_DIR=%s", dir.path);
	(void)snprintf(command, sizeof command, "cd %s && %s", dir.root, line);
	process_start(process, WORDS("sh", "-c", command), WORDS(spool), input);
}

static void run_shell(struct process *process, const char *line, const char *input)
{
	start_shell(process, line, input);
	cr_assert(process_wait(process, 4 * PROCESS_TIMEOUT_MS), "still runs: %s", line);
}

static void expect_shell(const char *line, const char *input, int exit_code, const char *out, const char *err)
{
	struct process process;

	run_shell(&process, line, input);
	cr_assert_eq(process.exit_code, exit_code, "%s: exit code %d: %s", line, process.exit_code,
		     process.err);
	cr_assert_str_eq(process.out, out, "%s", line);
	cr_assert_str_eq(process.err, err, "%s", line);
	process_free(&process);
}

static bool has_mandoc(void)
{
	struct process process;
	bool has;

	run_shell(&process, "command -v mandoc", NULL);
	has = process.exit_code == 0;
	process_free(&process);
	return has;
}

Test(manual, every_page_lints)
{
	struct process process;
	glob_t found;

	if (!has_mandoc())
		cr_skip_test("mandoc is not installed");
	cr_assert_eq(glob(PAGES, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char line[1024];

		(void)snprintf(line, sizeof line, "mandoc -T lint -W warning '%s'", found.gl_pathv[i]);
		run_shell(&process, line, NULL);
		cr_expect(process.exit_code == 0 && !process.out_size && !process.err_size, "%s%s",
			  process.out, process.err);
		process_free(&process);
	}
	globfree(&found);
}

/* --- examples --------------------------------------------------------------------------------------- */

static const struct {
	const char *written, *means;
} escapes[] = {{"\\e", "\\"}, {"\\(aq", "'"}, {"\\(ha", "^"}, {"\\(ti", "~"}, {"\\&", ""}};

/* What a reader of the page sees. */
static void unescape(char *text)
{
	for (char *at = text; (at = strchr(at, '\\'));) {
		size_t i = 0, count = sizeof escapes / sizeof escapes[0], length;

		while (i < count && !begins(at, escapes[i].written))
			i++;
		cr_assert_lt(i, count, "an escape that this test does not know: %.20s", at);
		length = strlen(escapes[i].means);
		memcpy(at, escapes[i].means, length);
		memmove(at + length, at + strlen(escapes[i].written),
			strlen(at + strlen(escapes[i].written)) + 1);
		at += length;
	}
}

/* The literal display of a page that begins so. Freed by the caller. */
static char *example(const char *page, const char *beginning)
{
	char path[256], *text, *begin, *end;

	(void)snprintf(path, sizeof path, SOURCE_DIR "/man/%s", page);
	text = read_file(path);
	begin = strstr(text, beginning);
	end = begin ? strstr(begin, "\n.Ed\n") : NULL;
	cr_assert(end, "%s has no example that begins with '%s'", page, beginning);
	end[1] = '\0';
	memmove(text, begin, strlen(begin) + 1);
	unescape(text);
	return text;
}

static void compile_text(const char *program, const char *text)
{
	char path[64], line[1024];

	(void)snprintf(path, sizeof path, "%s/%s.c", dir.root, program);
	write_file(path, text);
	(void)snprintf(line, sizeof line,
		       "cc -Wall -Wextra -Werror %s -I" SOURCE_DIR "/lib/include -o %s %s.c " BUILD_DIR
		       "/libcancel.a -lyaml -ljansson -lpthread",
		       VARIANT_FLAGS, program, program);
	expect_shell(line, NULL, 0, "", "");
}

static void compile(const char *page, const char *program)
{
	char beginning[64], *text;

	(void)snprintf(beginning, sizeof beginning, "/* %s.c: ", program);
	text = example(page, beginning);
	compile_text(program, text);
	free(text);
}

static bool is_not_empty(void *path)
{
	struct stat status;

	return stat(path, &status) == 0 && status.st_size > 0;
}

static void expect_outcome(const char *task_id, enum cancel_outcome outcome)
{
	struct cancel_spool_options options;
	struct cancel_request request;
	struct cancel_spool *spool;

	cancel_spool_options_init(&options);
	options.path = dir.path;
	cr_assert_eq(cancel_spool_open(&spool, &options, NULL), 0);
	cancel_request_init(&request);
	cr_assert_eq(cancel_spool_lookup(spool, task_id, NULL, &request, NULL), CANCEL_LOOKUP_PROCESSED);
	cr_assert_eq(request.outcome, outcome, "%s", cancel_outcome_text(request.outcome));
	cancel_request_clear(&request);
	cancel_spool_close(spool);
}

Test(manual, requester_and_worker_of_libcancel_meet)
{
	struct process work;
	char copied[64];

	compile("libcancel.3", "ask");
	compile("libcancel.3", "work");
	(void)snprintf(copied, sizeof copied, "%s/copied", dir.root);
	/* The end of time is for when this test fails: nobody else would end the writer then. */
	start_shell(&work, "timeout 100 yes | ./work report_42 >copied", NULL);
	cr_assert(wait_until(is_not_empty, copied, PROCESS_TIMEOUT_MS), "the worker does not work");
	expect_shell("./ask report_42 'deleted by \033alice'", NULL, 0, "requested\n", "");
	cr_assert(process_wait(&work, PROCESS_TIMEOUT_MS), "the worker does not stop");
	cr_assert_eq(work.exit_code, 1, "%s", work.err);
	cr_assert_str_eq(work.err, "work: cancelled: deleted by \\x1Balice\n");
	process_free(&work);
	expect_outcome("report_42", CANCEL_OUTCOME_STOPPED);
}

Test(manual, worker_of_libcancel_is_hit_by_its_own_requests_only)
{
	compile("libcancel.3", "ask");
	compile("libcancel.3", "work");
	expect_shell("./ask early 'too late'", NULL, 0, "requested\n", "");
	expect_shell("./ask early again", NULL, 0, "already pending\n", "");
	expect_shell("./work early", "one\ntwo\n", 1, "", "work: cancelled: too late\n");
	expect_outcome("early", CANCEL_OUTCOME_STOPPED);
	expect_shell("./work early", "one\ntwo\n", 0, "one\ntwo\n", "");
	expect_shell("TASK_CANCELLATION_DIR=relative ./work early", NULL, 3, "",
		     "work: cannot use spool 'relative': the path must be absolute\n");
}

Test(manual, task_of_cancel_task_is_hit_by_its_own_requests_only)
{
	struct process copy;
	char copied[64];

	compile("cancel_task.3", "copy");
	compile("libcancel.3", "ask");
	expect_shell("./ask report_42 'too late'", NULL, 0, "requested\n", "");
	expect_shell("./copy report_42", "one\ntwo\n", 1, "", "copy: cancelled: too late\n");
	expect_outcome("report_42", CANCEL_OUTCOME_STOPPED);
	expect_shell("./copy report_42", "one\ntwo\n", 0, "one\ntwo\n", "");
	(void)snprintf(copied, sizeof copied, "%s/copied", dir.root);
	start_shell(&copy, "timeout 100 yes | ./copy report_42 >copied", NULL);
	cr_assert(wait_until(is_not_empty, copied, PROCESS_TIMEOUT_MS), "the task does not work");
	expect_shell("./ask report_42 'deleted by \033alice'", NULL, 0, "requested\n", "");
	cr_assert(process_wait(&copy, PROCESS_TIMEOUT_MS), "the task does not stop");
	cr_assert_eq(copy.exit_code, 1, "%s", copy.err);
	cr_assert_str_eq(copy.err, "copy: cancelled: deleted by \\x1Balice\n");
	process_free(&copy);
}

Test(manual, job_of_cancel_manager_starts_and_stops)
{
	compile("cancel_manager.3", "job");
	expect_shell("./job", "rpl\nmail\nrpl\nrpl\n", 0, "start rpl\nstart mail\nstop rpl\nstart rpl\n", "");
	expect_outcome("rpl", CANCEL_OUTCOME_STOPPED);
}

Test(manual, examples_of_runs_and_statistics_tell_what_there_is)
{
	struct process copy;
	char lease[96];

	compile("cancel_run.3", "whom");
	compile("cancel_statistics.3", "counted");
	compile("cancel_task.3", "copy");
	compile("libcancel.3", "ask");
	asking_make(dir.path);
	expect_shell("./whom report_42 && ./counted", NULL, 0, "", "");
	start_shell(&copy, "mkfifo silent && exec ./copy report_42 <>silent", NULL);
	(void)snprintf(lease, sizeof lease, "%s/runs/report_42", dir.path);
	cr_assert(wait_until(is_not_empty, lease, PROCESS_TIMEOUT_MS), "the task does not begin");
	expect_shell("./whom report_42; ./whom other", NULL, 0, "report_42\n", "");
	expect_shell("./ask other why && ./counted", NULL, 0, "requested\nrequested 1\n", "");
	process_free(&copy);
	expect_shell("./whom report_42", NULL, 0, "", "");
}

Test(manual, examples_of_tries_and_the_scheduler_say_what_they_should)
{
	compile("cancel_tries.3", "pauses");
	expect_shell("./pauses", NULL, 0, "again after 60 s\nagain after 180 s\nagain after 420 s\n", "");
	expect_shell("SCHEDULER_MAX_RETRIES=1 SCHEDULER_RETRY_INTERVAL=2m ./pauses", NULL, 0,
		     "again after 120 s\n", "");
	expect_shell("SCHEDULER_MAX_RETRIES=often ./pauses 2>&1 | grep -o SCHEDULER_MAX_RETRIES", NULL, 0,
		     "SCHEDULER_MAX_RETRIES\n", "");
	compile("cancel_scheduler.3", "lines");
	compile("libcancel.3", "ask");
	expect_shell("printf '1\\n2\\n' >two && ./lines two missing", NULL, 0,
		     "2 lines\ntwo: succeeded\nmissing: failed\n", "");
	expect_shell("./ask two 'nobody reads it'", NULL, 0, "requested\n", "");
	expect_shell("./lines two", NULL, 0, "two: cancelled\n", "");
	expect_outcome("two", CANCEL_OUTCOME_STOPPED);
}

/* --- rules ------------------------------------------------------------------------------------------ */

/* The file `rules.yaml`: a display of the configuration's page. */
static void write_rules(const char *beginning)
{
	char *text = example("cancel.yaml.5", beginning), path[64];

	(void)snprintf(path, sizeof path, "%s/rules.yaml", dir.root);
	write_file(path, text);
	free(text);
}

Test(manual, example_of_rules_fires)
{
	compile("cancel_rule.3", "fires");
	write_rules("rules:\n  - match:");
	expect_shell("./fires $PWD/rules.yaml slurm-7", NULL, 0, "scancel\n--\n7\n", "");
	expect_shell("./fires $PWD/rules.yaml 'slurm-7; rm -rf /'", NULL, 0, "scancel\n--\n7; rm -rf /\n",
		     "");
	expect_shell("./fires $PWD/rules.yaml other", NULL, 1, "no rule\n", "");
}

/* The page hands a shell an id as an argument, which is data there, whatever it holds. */
Test(manual, rule_with_a_shell_makes_no_text_of_an_id)
{
	compile("cancel_rule.3", "fires");
	write_rules("exec: [\"sh\", \"-c\"");
	expect_shell("sed -i '1s/^/rules: [{match: \"*\", /; $s/$/}]/' rules.yaml", NULL, 0, "", "");
	expect_shell("./fires $PWD/rules.yaml 'x\"; $(reboot)'", NULL, 0,
		     "sh\n-c\nscancel -- \"$1\"\nsh\nx\"; $(reboot)\n", "");
}

/* --- the command line of cancelwatch run -------------------------------------------------------------- */

#define RUN_PAGE   SOURCE_DIR "/man/cancelwatch-run.1"
#define COMPLETION SOURCE_DIR "/conf/completion/cancelwatch"

Test(manual, every_option_of_run_is_on_its_page_and_completed)
{
	char *page = read_file(RUN_PAGE), *completion = read_file(COMPLETION);
	struct process process;
	int count = 0;

	run_shell(&process, BUILD_DIR "/bin/cancelwatch run --help", NULL);
	cr_assert_eq(process.exit_code, 0);
	/* What stands before is an example. */
	for (const char *at = strstr(process.out, "usage:"); (at = strstr(at, " --")); at++) {
		char option[64], written[80];
		int length = (int)strspn(at + 1, "-abcdefghijklmnopqrstuvwxyz");

		if (length == 2)
			continue;
		(void)snprintf(option, sizeof option, "%.*s", length, at + 1);
		(void)snprintf(written, sizeof written, " %s", option + 1);
		cr_expect(strstr(page, written), "the page has no %s", option);
		cr_expect(strstr(completion, option), "%s is not completed", option);
		count++;
	}
	cr_expect_geq(count, 18, "only %d options found", count);
	process_free(&process);
	free(page);
	free(completion);
}

/* The page's script works on two files; it is asked to stop in the first. */
Test(manual, script_of_run_stops_by_itself)
{
	char *script = example("cancelwatch-run.1", "#!/bin/sh"), path[64];
	static const char process_command[] =
		"#!/bin/sh\n"
		"echo \"$1\" | tee partial\n"
		"until cancelreq --check -q -- \"$CANCEL_TASK_ID\"; do sleep 0.05; done\n";
	struct process run;

	(void)snprintf(path, sizeof path, "%s/report", dir.root);
	write_file(path, script);
	(void)snprintf(path, sizeof path, "%s/process", dir.root);
	write_file(path, process_command);
	expect_shell(
		"sed -i s:/data:data: report && chmod +x report process && mkdir data && touch data/a data/b",
		NULL, 0, "", "");
	start_shell(&run,
		    "PATH=$PWD:" BUILD_DIR "/bin:$PATH && export PATH && "
		    "exec cancelwatch run -q --cooperative 30s report_42 ./report",
		    NULL);
	cr_assert(process_wait_out(&run, "data/a\n", PROCESS_TIMEOUT_MS), "%s", run.err);
	expect_shell(BUILD_DIR "/bin/cancelreq -q report_42 deleted", NULL, 0, "", "");
	cr_assert(process_wait(&run, 4 * PROCESS_TIMEOUT_MS), "the script does not stop");
	cr_assert_eq(run.exit_code, 123, "%d: %s", run.exit_code, run.err);
	cr_assert_str_eq(run.out, "data/a\n");
	expect_shell("test ! -e partial", NULL, 0, "", "");
	expect_outcome("report_42", CANCEL_OUTCOME_STOPPED);
	process_free(&run);
	free(script);
}

static void say_something(const char *fifo)
{
	int fd = open(fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	cr_assert(fd >= 0 && write(fd, "\n", 1) == 1);
	close(fd);
}

Test(manual, loop_of_cancel_watch_tells_what_happens)
{
	struct process tell;
	char fifo[64];

	compile("cancel_watch.3", "tell");
	(void)snprintf(fifo, sizeof fifo, "%s/fifo", dir.root);
	cr_assert_eq(mkfifo(fifo, 0600), 0);
	asking_request(dir.path, "before", "it began", CANCEL_EXPIRES_DEFAULT);
	start_shell(&tell, "exec ./tell <>fifo", NULL);
	cr_assert(process_wait_out(&tell, "requested before\n", PROCESS_TIMEOUT_MS));
	asking_request(dir.path, "mean\nwhile", "it runs", CANCEL_EXPIRES_DEFAULT);
	cr_assert(process_wait_out(&tell, "requested mean\\nwhile\n", PROCESS_TIMEOUT_MS));
	asking_decide(dir.path, "before", CANCEL_OUTCOME_STOPPED, NULL);
	cr_assert(process_wait_out(&tell, "decided before\n", PROCESS_TIMEOUT_MS));
	say_something(fifo);
	cr_assert(process_wait(&tell, PROCESS_TIMEOUT_MS), "the loop does not end");
	cr_assert_eq(tell.exit_code, 0, "%s", tell.err);
	cr_assert_str_eq(tell.err, "");
	process_free(&tell);
}

/* --- examples of tokens ----------------------------------------------------------------------------- */

/* The programs that need nothing but their arguments and input. */
static const struct {
	const char *page, *program, *run, *input;
	int exit_code;
	const char *out;
} token_examples[] = {
	{"cancel_cause.3", "told", "./told 'go home'", NULL, 0,
	 "told to: go home\nnobody needs to know any more\n"},
	{"cancel_source.3", "stop", "./stop", NULL, 0, "stopped: it was enough\n"},
	{"cancel_token.3", "pause", "./pause 1", NULL, 0, "waiting\ntime is up\n"},
	{"cancel_registration.3", "save", "./save whole 100000 && cat whole", "it\n", 0, "saved\nit\n"},
	{"cancel_link.3", "which", "./which 0 && ./which 1 && ./which 2", NULL, 0,
	 "parent 0: the user left\nparent 1: memory is short\nparent 2: the program ends\n"},
	{"cancel_deadline.3", "answer", "mkfifo silent && ./answer 100000 && ./answer 1 <>silent", "42\n", 1,
	 "the answer is 42\ntoo late\n"},
	{"cancel_clock.3", "hour", "./hour", NULL, 0, "0 fired, 1 s are left\ndeadline passed\n1 fired\n"},
	{"cancel_dispatcher.3", "locked", "./locked", NULL, 0,
	 "cancelled\n2 jobs are forgotten\n0 jobs are left\n"},
	{"cancel_fd.3", "print", "./print", "it\n", 0, "it\nstopped: cancelled\n"},
};

Test(manual, examples_of_tokens_say_what_they_should)
{
	for (size_t i = 0; i < sizeof token_examples / sizeof token_examples[0]; i++) {
		compile(token_examples[i].page, token_examples[i].program);
		expect_shell(token_examples[i].run, token_examples[i].input, token_examples[i].exit_code,
			     token_examples[i].out, "");
	}
}

Test(manual, example_of_cancel_registration_removes_what_is_not_whole)
{
	compile("cancel_registration.3", "save");
	expect_shell("mkfifo silent && ./save partial 10 <>silent; test ! -e partial", NULL, 0,
		     "deadline passed: the file is removed\n", "");
}

/* Start an example, whose input never ends, end it by SIGTERM once it has said `ready`, and compare. */
static void expect_sigterm(const char *line, const char *input, const char *ready, int exit_code,
			   const char *out)
{
	struct process process;
	char fifo[64];

	(void)snprintf(fifo, sizeof fifo, "%s/fifo", dir.root);
	cr_assert(mkfifo(fifo, 0600) == 0 || errno == EEXIST);
	start_shell(&process, line, input);
	cr_assert(process_wait_out(&process, ready, PROCESS_TIMEOUT_MS), "%s: %s", line, process.err);
	cr_assert_eq(kill(process.pid, SIGTERM), 0);
	cr_assert(process_wait(&process, PROCESS_TIMEOUT_MS), "SIGTERM does not end %s", line);
	cr_assert_eq(process.exit_code, exit_code, "%s: exit code %d: %s", line, process.exit_code,
		     process.err);
	cr_assert_str_eq(process.out, out, "%s", line);
	process_free(&process);
}

Test(manual, examples_of_tokens_end_by_a_signal)
{
	compile("cancel_token.3", "pause");
	compile("cancel_fd.3", "print");
	expect_sigterm("exec ./pause 100000", NULL, "waiting\n", 1, "waiting\nstopped\n");
	/* The shell's word goes through the loop first, so its handler is there. */
	expect_sigterm("exec <>fifo && echo ready >fifo && exec ./print", NULL, "ready\n", 0,
		       "ready\nstopped: SIGTERM\n");
}

/* --- README.md -------------------------------------------------------------------------------------- */

#define README        SOURCE_DIR "/README.md"
#define SNIPPET_BEGIN "\n```c\n"
#define SNIPPET_END   "\n```\n"

/* Freed by the caller. */
static char *readme_snippet(void)
{
	char *text = read_file(README), *begin = strstr(text, SNIPPET_BEGIN), *end;

	cr_assert(begin, "README.md has no C");
	begin += strlen(SNIPPET_BEGIN);
	end = strstr(begin, SNIPPET_END);
	cr_assert(end, "the C of README.md has no end");
	cr_assert_null(strstr(end, SNIPPET_BEGIN), "README.md has more C, which this test does not compile");
	end[1] = '\0';
	memmove(text, begin, strlen(begin) + 1);
	return text;
}

/* What it takes for granted: four blocks, and somebody who asks while the second is hashed. */
static const char around_task[] =
	"#include <cancel/cancel.h>\n"
	"#include <stdio.h>\n"
	"struct block { int number; };\n"
	"static struct cancel_manager *manager;\n"
	"static struct cancel_task *task;\n"
	"static struct cancel_error error;\n"
	"static int blocks, stop_at;\n"
	"static bool next_block(struct block *block)\n"
	"{\n"
	"	block->number = ++blocks;\n"
	"	return blocks <= 4;\n"
	"}\n"
	"static void hash(struct block *block)\n"
	"{\n"
	"	printf(\"%%d \", block->number);\n"
	"	if (block->number != stop_at)\n"
	"		return;\n"
	"	(void)cancel_manager_cancel(manager, \"report_42\", \"why\", &error);\n"
	"}\n"
	"static int fail(const struct cancel_error *failure)\n"
	"{\n"
	"	puts(failure->text);\n"
	"	return 1;\n"
	"}\n"
	"static void remove_partial_output(void)\n"
	"{\n"
	"	printf(\"removed \");\n"
	"}\n"
	"int main(int argc, char **argv)\n"
	"{\n"
	"	struct block block;\n"
	"	bool stopped;\n"
	"	(void)argv;\n"
	"	stop_at = argc > 1 ? 2 : 0;\n"
	"%s"
	"	puts(stopped ? \"stopped\" : \"done\");\n"
	"	return 0;\n"
	"}\n";

static void compile_snippet(const char *name)
{
	char *snippet = readme_snippet(), program[4096];

	cr_assert_lt(strlen(snippet) + strlen(around_task), sizeof program);
	(void)snprintf(program, sizeof program, around_task, snippet);
	compile_text(name, program);
	free(snippet);
}

Test(manual, c_of_readme_does_what_it_says)
{
	compile_snippet("task");
	expect_shell("./task", NULL, 0, "1 2 3 4 done\n", "");
	expect_shell("./task stop", NULL, 0, "1 2 removed stopped\n", "");
	expect_shell("grep -c '\"outcome\": \"stopped\"' $TASK_CANCELLATION_DIR/processed/report_42.json", NULL, 0, "1\n", "");
}

/* --- names in another language ---------------------------------------------------------------------- */

#define IDS  1000
#define SEED 20261120

/* One character: those that are encoded, or are sly, or of any length in UTF-8. */
static const char *random_character(void)
{
	static const char *const odd[] = {"/",
					  "%",
					  "@",
					  ".",
					  "~",
					  "\x1f",
					  "\x7f",
					  "\n",
					  "a",
					  "\xc3\xa9",
					  "\xe2\x82\xac",
					  "\xf0\x9f\x98\x80"};
	static char ascii[2];

	if (random() % 2)
		return odd[(size_t)random() % (sizeof odd / sizeof odd[0])];
	ascii[0] = (char)(1 + random() % 127);
	return ascii;
}

static void random_id(char id[CANCEL_TASK_ID_MAX + 1])
{
	/* Short ones, those around the cut, and the longest. */
	static const size_t lengths[] = {1, 3, 20, 90, 110, 199, 201, CANCEL_TASK_ID_MAX};
	size_t length = lengths[(size_t)random() % (sizeof lengths / sizeof lengths[0])];

	id[0] = '\0';
	do
		strcat(id, random_character());
	while (strlen(id) + 4 <= length);
}

static void put_hex(FILE *file, const char *text, char end)
{
	for (; *text; text++)
		fprintf(file, "%02x", (unsigned char)*text);
	fputc(end, file);
}

/* A line for each id, or id and run, and what name_encode makes of it. */
static void make_names(FILE *ids, FILE *expected)
{
	srandom(SEED);
	for (int i = 0; i < IDS; i++) {
		char task_id[CANCEL_TASK_ID_MAX + 1], run[CANCEL_TASK_ID_MAX + 1], name[NAME_SIZE];
		bool has_run = random() % 2;

		random_id(task_id);
		random_id(run);
		put_hex(ids, task_id, has_run ? ' ' : '\n');
		if (has_run)
			put_hex(ids, run, '\n');
		name_encode(name, task_id, has_run ? run : NULL);
		put_hex(expected, name, '\n');
	}
}

Test(manual, python_of_cancel_spool_encodes_as_the_library_does)
{
	static const char loop[] =
		"import sys\n"
		"for line in sys.stdin:\n"
		"    print(name(*(bytes.fromhex(id).decode() for id in line.split())).hex())\n";
	char *function = example("cancel-spool.5", "def name("), *ids, *expected, path[64], script[4096];
	size_t ids_size, expected_size;
	FILE *ids_file = open_memstream(&ids, &ids_size);
	FILE *expected_file = open_memstream(&expected, &expected_size);

	cr_assert(ids_file && expected_file);
	make_names(ids_file, expected_file);
	fclose(ids_file);
	fclose(expected_file);
	(void)snprintf(path, sizeof path, "%s/name.py", dir.root);
	(void)snprintf(script, sizeof script, "import hashlib\n%s%s", function, loop);
	write_file(path, script);
	expect_shell("python3 name.py", ids, 0, expected, "");
	free(function);
	free(ids);
	free(expected);
}
