/* Every limit of cancel/limits.h at its edge: the largest that works, the first that does not. */
#include <cancel/limits.h>

#include "path.h"
#include "shifted_clock.h"
#include "spool_case.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(limits, .init = spool_case_set_up, .fini = spool_case_tear_down, .timeout = 60);

/* `length` times `letter`; a fresh copy, to be freed. */
static char *text_of(char letter, size_t length)
{
	char *text = malloc(length + 1);

	memset(text, letter, length);
	text[length] = '\0';
	return text;
}

static void expect_edge_of_id(bool is_run, size_t max)
{
	char *longest = text_of('x', max), *longer = text_of('x', max + 1);

	EXPECT(CANCEL_REQUESTED, is_run ? ask("a", longest, NULL, NULL) : ask(longest, NULL, NULL, NULL));
	EXPECT(-ENAMETOOLONG, is_run ? ask("a", longer, NULL, NULL) : ask(longer, NULL, NULL, NULL));
	EXPECT(-EINVAL, is_run ? ask("a", "", NULL, NULL) : ask("", NULL, NULL, NULL));
	EXPECT(CANCEL_REQUESTED, is_run ? ask("a", "x", NULL, NULL) : ask("x", NULL, NULL, NULL));
	free(longest);
	free(longer);
}

Test(limits, CANCEL_TASK_ID_MAX_bytes)
{
	expect_edge_of_id(false, CANCEL_TASK_ID_MAX);
}

Test(limits, CANCEL_RUN_ID_MAX_bytes)
{
	expect_edge_of_id(true, CANCEL_RUN_ID_MAX);
}

Test(limits, CANCEL_NAME_MAX_bytes)
{
	char *longest = text_of('x', CANCEL_NAME_MAX), *longer = text_of('x', CANCEL_NAME_MAX + 1), file[256];

	EXPECT(CANCEL_REQUESTED, ask(longest, NULL, NULL, NULL));
	(void)snprintf(file, sizeof(file), "pending/%s.json", longest);
	cr_assert(there(file));
	EXPECT(CANCEL_REQUESTED, ask(longer, NULL, NULL, NULL));
	(void)snprintf(file, sizeof(file), "pending/%s.json", longer);
	cr_assert(!there(file));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup(longer, NULL));
	free(longest);
	free(longer);
}

Test(limits, CANCEL_RECORD_MAX_bytes)
{
	char *text = text_of(' ', CANCEL_RECORD_MAX + 1);

	memcpy(text, "{\"task_id\": \"a\"}", 16);
	put_bytes("pending/a.json", text, CANCEL_RECORD_MAX + 1);
	EXPECT(-EBADMSG, lookup("a", NULL));
	put_bytes("pending/a.json", text, CANCEL_RECORD_MAX);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cancel_request_clear(&found);
	EXPECT(0, cancel_request_parse(&found, text, CANCEL_RECORD_MAX, &error));
	cancel_request_clear(&found);
	EXPECT(-EMSGSIZE, cancel_request_parse(&found, text, CANCEL_RECORD_MAX + 1, &error));
	free(text);
}

static void expect_edge_of_reason(size_t max)
{
	char *longest = text_of('x', max), *longer = text_of('x', max + 1);

	EXPECT(-EMSGSIZE, ask("a", NULL, longer, NULL));
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, longest, NULL));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_str_eq(found.reason, longest);
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	free(longest);
	free(longer);
}

Test(limits, CANCEL_REASON_MAX_bytes_unless_the_spool_lowers_it)
{
	struct cancel_spool_options options;
	char *text = malloc(2 * CANCEL_RECORD_MAX), *reason = text_of('x', CANCEL_REASON_MAX + 1);

	expect_edge_of_reason(4096);
	cancel_spool_options_init(&options);
	options.max_reason_bytes = CANCEL_REASON_MAX;
	EXPECT(0, spool_case_reopen(&options));
	expect_edge_of_reason(CANCEL_REASON_MAX);
	options.max_reason_bytes = 0;
	EXPECT(0, spool_case_reopen(&options));
	EXPECT(-EMSGSIZE, ask("b", NULL, "x", NULL));
	EXPECT(CANCEL_REQUESTED, ask("b", NULL, NULL, NULL));
	(void)sprintf(text, "{\"reason\": \"%s\"}", reason);
	EXPECT(-EBADMSG, cancel_request_parse(&found, text, strlen(text), &error));
	(void)sprintf(text, "{\"reason\": \"%s\"}", reason + 1);
	cancel_request_clear(&found);
	EXPECT(0, cancel_request_parse(&found, text, strlen(text), &error));
	free(reason);
	free(text);
}

Test(limits, CANCEL_DETAIL_MAX_bytes)
{
	char *longest = text_of('x', CANCEL_DETAIL_MAX), *longer = text_of('x', CANCEL_DETAIL_MAX + 1);

	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	EXPECT(-EMSGSIZE, cancel_spool_decide(spool, "a", NULL, NULL, CANCEL_OUTCOME_STOPPED, longer, NULL, &error));
	EXPECT(CANCEL_DECIDED, cancel_spool_decide(spool, "a", NULL, NULL, CANCEL_OUTCOME_STOPPED, longest, NULL, &error));
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("a", NULL));
	cr_assert_str_eq(found.detail, longest);
	free(longest);
	free(longer);
}

Test(limits, CANCEL_PARTY_TEXT_MAX_bytes)
{
	char *longest = text_of('x', CANCEL_PARTY_TEXT_MAX), *longer = text_of('x', CANCEL_PARTY_TEXT_MAX + 1);
	const char **fields[3];
	struct cancel_request request;

	cancel_request_init(&request);
	request.task_id = "a";
	fields[0] = &request.requester.name;
	fields[1] = &request.requester.host;
	fields[2] = &request.requester.program;
	for (int i = 0; i < 3; i++) {
		*fields[i] = longer;
		EXPECT(-EMSGSIZE, cancel_spool_request(spool, &request, NULL, &error));
		*fields[i] = longest;
	}
	EXPECT(CANCEL_REQUESTED, cancel_spool_request(spool, &request, NULL, &error));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert(!found.malformed);
	cr_assert_str_eq(found.requester.host, longest);
	free(longest);
	free(longer);
}

static int parse_depth(int depth, char open, char close)
{
	char text[512], *end = text;

	end += sprintf(end, "{\"x\": ");
	for (int i = 1; i < depth; i++)
		end += sprintf(end, "%s", open == '[' ? "[" : "{\"y\": ");
	*end++ = '1';
	for (int i = 1; i < depth; i++)
		*end++ = close;
	*end++ = '}';
	cancel_request_clear(&found);
	return cancel_request_parse(&found, text, (size_t)(end - text), &error);
}

Test(limits, CANCEL_JSON_DEPTH_MAX_levels)
{
	EXPECT(0, parse_depth(CANCEL_JSON_DEPTH_MAX, '[', ']'));
	EXPECT(-EBADMSG, parse_depth(CANCEL_JSON_DEPTH_MAX + 1, '[', ']'));
	EXPECT(0, parse_depth(CANCEL_JSON_DEPTH_MAX, '{', '}'));
	EXPECT(-EBADMSG, parse_depth(CANCEL_JSON_DEPTH_MAX + 1, '{', '}'));
}

static void expect_id(const char *text, const char *expected)
{
	cancel_request_clear(&found);
	EXPECT(0, cancel_request_parse(&found, text, strlen(text), &error));
	cr_assert_str_eq(found.request_id[0] ? found.request_id : found.boot_id, expected);
}

Test(limits, CANCEL_REQUEST_ID_LENGTH_and_CANCEL_BOOT_ID_LENGTH_characters)
{
	expect_id("{\"request_id\": \"0123456789abcdef0123456789abcdef\"}", "0123456789abcdef0123456789abcdef");
	expect_id("{\"request_id\": \"0123456789abcdef0123456789abcde\"}", "");
	expect_id("{\"request_id\": \"0123456789abcdef0123456789abcdef0\"}", "");
	expect_id("{\"boot_id\": \"00000000-1111-2222-3333-444444444444\"}", "00000000-1111-2222-3333-444444444444");
	expect_id("{\"boot_id\": \"00000000-1111-2222-3333-44444444444\"}", "");
	expect_id("{\"boot_id\": \"00000000-1111-2222-3333-4444444444444\"}", "");
}

Test(limits, CANCEL_SETTLE_MS_milliseconds)
{
	struct stat info;

	put("pending/a.json", "{");
	info = stat_of("pending/a.json");
	time_stops(&info.st_mtim);
	time_passes(CANCEL_SETTLE_MS / 1000 - 1);
	EXPECT(CANCEL_LOOKUP_NONE, lookup("a", NULL));
	time_passes(1);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
}

Test(limits, CANCEL_DRAFT_KEEP_S_seconds)
{
	struct stat info;

	put("tmp/0123456789abcdef0123456789abcdef.draft", "");
	info = stat_of("tmp/0123456789abcdef0123456789abcdef.draft");
	time_stops(&info.st_ctim);
	time_passes(CANCEL_DRAFT_KEEP_S - 1);
	cr_assert_eq(sweep(NULL).drafts, 0);
	time_passes(1);
	cr_assert_eq(sweep(NULL).drafts, 1);
}

Test(limits, CANCEL_CLOCK_STEP_MS_milliseconds)
{
	time_stops(NULL);
	(void)sweep(NULL);
	clock_steps_ms(CANCEL_CLOCK_STEP_MS);
	cr_assert_eq(sweep(NULL).clock_step_ms, 0);
	clock_steps_ms(1);
	cr_assert_neq(sweep(NULL).clock_step_ms, 0);
}

Test(limits, CANCEL_REFUSED_FILES_MAX_files)
{
	for (int i = 0; i < CANCEL_REFUSED_FILES_MAX; i++) {
		cr_assert_eq(mkfifo(at("pending/a.json"), 0600), 0);
		EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
		cr_assert_eq(unlink(at("pending/a.json")), 0);
	}
	cr_assert_eq(count_in("refused"), CANCEL_REFUSED_FILES_MAX);
	cr_assert_eq(mkfifo(at("pending/a.json"), 0600), 0);
	EXPECT(-ENOSPC, ask("a", NULL, NULL, NULL));
	cr_assert_eq(count_in("refused"), CANCEL_REFUSED_FILES_MAX);
	cr_assert(there("pending/a.json"));
}

/* CANCEL_LOCK_WAIT_MS is in lock.c: a test of ten seconds, made once. CANCEL_PATH_MAX is in config.c,
 * CANCEL_LINK_DEPTH_MAX in token_link.c, CANCEL_WAIT_ANY_MAX and CANCEL_POLL_MAX in token_token.c,
 * CANCEL_TASK_ALSO_MAX in task.c, CANCEL_CHECKPOINT_LOOK_MS, CANCEL_ROUND_MIN_MS and CANCEL_ROUND_MAX_MS in
 * task_cost.c, CANCEL_SCHEDULER_THREADS_MAX, CANCEL_SCHEDULER_QUEUE_MAX and CANCEL_RETRIES_MAX in scheduler.c,
 * CANCEL_RETRY_PAUSE_MAX_S in tries.c. */

Test(limits, CANCEL_EXPIRES_MAX_S_seconds)
{
	EXPECT(CANCEL_REQUESTED, ask_terms("a", CANCEL_EXPIRES_MAX_S, 0));
	EXPECT(-EINVAL, ask_terms("b", CANCEL_EXPIRES_MAX_S + 1, 0));
	EXPECT(CANCEL_REQUESTED, ask_terms("b", 1, 0));
	EXPECT(-EINVAL, ask_terms("c", -2, 0));
}

Test(limits, CANCEL_TRUSTED_USERS_MAX_users)
{
	struct cancel_spool_options options;

	need_root();
	cancel_spool_options_init(&options);
	for (size_t i = 0; i < CANCEL_TRUSTED_USERS_MAX; i++)
		options.trusted_users[i] = (uid_t)(5000 + i);
	options.trusted_count = CANCEL_TRUSTED_USERS_MAX + 1;
	EXPECT(-EINVAL, spool_case_reopen(&options));
	options.trusted_count = CANCEL_TRUSTED_USERS_MAX;
	EXPECT(0, spool_case_reopen(&options));
	put("pending/a.json", "{}");
	cr_assert_eq(chown(at("pending/a.json"), 5000 + CANCEL_TRUSTED_USERS_MAX - 1, (gid_t)-1), 0);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_eq(chown(at("pending/a.json"), 5000 + CANCEL_TRUSTED_USERS_MAX, (gid_t)-1), 0);
	EXPECT(-EBADMSG, lookup("a", NULL));
}

Test(limits, CANCEL_PATH_LINKS_MAX_links)
{
	char link[16], target[16];
	int fd;

	need_root();
	cr_assert_eq(mkdir(beside("l0"), 0700), 0);
	for (int i = 1; i <= CANCEL_PATH_LINKS_MAX + 1; i++) {
		(void)snprintf(link, sizeof(link), "l%d", i);
		(void)snprintf(target, sizeof(target), "l%d", i - 1);
		cr_assert_eq(symlink(target, beside(link)), 0);
	}
	(void)snprintf(link, sizeof(link), "l%d", CANCEL_PATH_LINKS_MAX);
	fd = path_open_safely(beside(link), (uid_t)-1, NULL, &error);
	cr_assert_geq(fd, 0, "%s", error.text);
	(void)close(fd);
	(void)snprintf(link, sizeof(link), "l%d", CANCEL_PATH_LINKS_MAX + 1);
	EXPECT(-ELOOP, path_open_safely(beside(link), (uid_t)-1, NULL, &error));
	EXPECT_WORDS("more than 8 symbolic links");
}

/* A sentence with more outside text in it than fits is cut and still one. */
Test(limits, CANCEL_ERROR_TEXT_MAX_bytes)
{
	char path[4000];
	struct cancel_spool_options options;

	memset(path, '\x01', sizeof(path));
	for (size_t i = 0; i < sizeof(path); i += 200)
		path[i] = '/';
	path[sizeof(path) - 1] = '\0';
	cancel_spool_options_init(&options);
	options.path = path;
	EXPECT(-ENOENT, spool_case_reopen(&options));
	cr_assert_lt(strlen(error.text), CANCEL_ERROR_TEXT_MAX);
}
