#include <cancel/request.h>

#include "clock.h"
#include "process.h"
#include "shifted_clock.h"
#include "spool_case.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define SEED 20261120

static void set_up(void)
{
	cancel_request_init(&found);
}

static void tear_down(void)
{
	cancel_request_clear(&found);
}

TestSuite(request, .init = set_up, .fini = tear_down, .timeout = 60);

static int parse_bytes(const char *text, size_t length)
{
	cancel_request_clear(&found);
	return cancel_request_parse(&found, text, length, &error);
}

static int parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

static void expect_bad(const char *text, const char *words)
{
	EXPECT(-EBADMSG, parse(text));
	EXPECT_WORDS(words);
	cr_assert_null(found.json, "a failure set the request");
	cr_assert_null(found.task_id);
}

Test(request, an_empty_one_holds_nothing)
{
	struct cancel_request request;

	memset(&request, 0xa5, sizeof(request));
	cancel_request_init(&request);
	cr_assert_null(request.task_id);
	cr_assert_null(request.run);
	cr_assert_null(request.reason);
	cr_assert_eq(request.expires_in_s, CANCEL_EXPIRES_DEFAULT);
	cr_assert_eq(request.cancel_at_us, 0);
	cr_assert(request.requester.uid == -1 && request.requester.gid == -1 && request.requester.pid == -1);
	cr_assert_eq(request.outcome, CANCEL_OUTCOME_NONE);
	cancel_request_clear(&request);
	cancel_request_clear(&request);
	cancel_request_clear(NULL);
}

Test(request, words_and_outcomes_belong_together)
{
	static const char *const words[] = {"none", "stopped", "finished", "failed", "refused", "withdrawn", "expired"};

	for (int i = 0; i < 7; i++) {
		cr_assert_str_eq(cancel_outcome_text((enum cancel_outcome)i), words[i]);
		cr_assert_eq(cancel_outcome_parse(words[i]), i ? i : -EINVAL);
	}
	cr_assert_str_eq(cancel_outcome_text((enum cancel_outcome)7), "unknown");
	cr_assert_str_eq(cancel_outcome_text((enum cancel_outcome)-1), "unknown");
	cr_assert_str_eq(cancel_status_text(CANCEL_STATUS_PENDING), "pending");
	cr_assert_str_eq(cancel_status_text(CANCEL_STATUS_PROCESSED), "processed");
	cr_assert_str_eq(cancel_status_text((enum cancel_status)9), "unknown");
	cr_assert_eq(cancel_outcome_parse("unknown"), -EINVAL);
	cr_assert_eq(cancel_outcome_parse(""), -EINVAL);
	cr_assert_eq(cancel_outcome_parse("Stopped"), -EINVAL);
}

/* --- reading ------------------------------------------------------------------------------------------ */

Test(request, every_field_is_read)
{
	EXPECT(0, parse("{\"task_id\": \"t\", \"run\": \"r\", \"request_id\": \"0123456789abcdef0123456789abcdef\","
			"\"reason\": \"why\", \"status\": \"processed\", \"requested_at\": \"2026-11-20T10:11:12.000001Z\","
			"\"boot_id\": \"00000000-1111-2222-3333-444444444444\", \"boottime_ns\": 9223372036854775807,"
			"\"expires_in_s\": 60, \"cancel_at\": \"2026-11-20T11:11:12+01:00\","
			"\"requester\": {\"name\": \"n\", \"uid\": 4294967295, \"gid\": 0, \"pid\": 7, \"host\": \"h\","
			"\"program\": \"p\"}, \"processed_at\": \"2026-11-20T10:11:13Z\", \"outcome\": \"failed\","
			"\"detail\": \"d\", \"processed_boot_id\": \"10000000-1111-2222-3333-444444444444\","
			"\"processed_boottime_ns\": 5, \"worker\": {\"uid\": 1, \"pid\": 2, \"host\": \"wh\", \"run\": \"wr\"},"
			"\"last_cancel_id\": \"f123456789abcdef0123456789abcdef\"}"));
	cr_assert_str_eq(found.task_id, "t");
	cr_assert_str_eq(found.run, "r");
	cr_assert_str_eq(found.request_id, "0123456789abcdef0123456789abcdef");
	cr_assert_str_eq(found.reason, "why");
	cr_assert_eq(found.status, CANCEL_STATUS_PROCESSED);
	cr_assert_eq(found.requested_at_us, 1795169472000001);
	cr_assert_str_eq(found.boot_id, "00000000-1111-2222-3333-444444444444");
	cr_assert_eq(found.boottime_ns, INT64_MAX);
	cr_assert_eq(found.expires_in_s, 60);
	cr_assert_eq(found.cancel_at_us, 1795169472000000);
	cr_assert_str_eq(found.requester.name, "n");
	cr_assert_eq(found.requester.uid, UINT32_MAX);
	cr_assert_eq(found.requester.gid, 0);
	cr_assert_eq(found.requester.pid, 7);
	cr_assert_str_eq(found.requester.host, "h");
	cr_assert_str_eq(found.requester.program, "p");
	cr_assert_eq(found.processed_at_us, 1795169473000000);
	cr_assert_eq(found.outcome, CANCEL_OUTCOME_FAILED);
	cr_assert_str_eq(found.detail, "d");
	cr_assert_str_eq(found.processed_boot_id, "10000000-1111-2222-3333-444444444444");
	cr_assert_eq(found.processed_boottime_ns, 5);
	cr_assert_eq(found.worker.uid, 1);
	cr_assert_eq(found.worker.pid, 2);
	cr_assert_str_eq(found.worker.host, "wh");
	cr_assert_str_eq(found.worker.run, "wr");
	cr_assert_str_eq(found.last_cancel_id, "f123456789abcdef0123456789abcdef");
}

Test(request, no_field_is_required_and_null_means_not_given)
{
	EXPECT(0, parse("{}"));
	cr_assert_null(found.task_id);
	EXPECT(0, parse(" \n\t{\"task_id\": null, \"run\": null, \"reason\": null, \"requester\": {\"uid\": null}, "
			"\"cancel_at\": null, \"outcome\": null, \"detail\": null, \"worker\": null, \"boottime_ns\": null, "
			"\"boot_id\": null, \"request_id\": null, \"requested_at\": null} \n"));
	cr_assert_null(found.task_id);
	cr_assert_null(found.reason);
	cr_assert_eq(found.requester.uid, -1);
	cr_assert_eq(found.expires_in_s, CANCEL_EXPIRES_DEFAULT);
	EXPECT(0, parse("{\"expires_in_s\": null}"));
	cr_assert_eq(found.expires_in_s, CANCEL_EXPIRES_NEVER);
}

Test(request, what_pythons_json_writes_is_read_right)
{
	static const char script[] = "import json, sys\n"
				     "sys.stdout.write(json.dumps({'task_id': 'Gr\\u00f6\\u00dfe \\U0001f6d1/\\n', 'reason': "
				     "'\\u65e5\\u672c \\\"q\\\" \\\\ \\x7f \\x01', 'requester': {'name': 'J\\u00fcrgen'}}))";
	struct process python;

	process_run(&python, WORDS("python3", "-c", script), NULL, NULL);
	cr_assert_not_null(strstr(python.out, "\\ud83d\\uded1"), "a surrogate pair: %s", python.out);
	EXPECT(0, parse(python.out));
	cr_assert_str_eq(found.task_id, "Größe \xf0\x9f\x9b\x91/\n");
	cr_assert_str_eq(found.reason, "日本 \"q\" \\ \x7f \x01");
	cr_assert_str_eq(found.requester.name, "Jürgen");
	process_free(&python);
}

Test(request, what_is_not_one_json_object_is_refused)
{
	expect_bad("", "not JSON");
	expect_bad("{", "not JSON");
	expect_bad("{\"task_id\": \"a\"", "not JSON");
	expect_bad("{}x", "not JSON");
	expect_bad("{} {}", "not JSON");
	expect_bad("[]", "not a JSON object");
	expect_bad("[{}]", "not a JSON object");
	expect_bad("{'task_id': 'a'}", "not JSON");
	expect_bad("{\"a\": NaN}", "not JSON");
	expect_bad("{\"a\": 1,}", "not JSON");
	EXPECT(-EBADMSG, parse("\"a\""));
	EXPECT(-EBADMSG, parse("null"));
	expect_bad("\xef\xbb\xbf{}", "not JSON"); /* a byte order mark */
}

Test(request, a_key_that_comes_twice_is_refused_at_any_depth)
{
	expect_bad("{\"task_id\": \"a\", \"task_id\": \"b\"}", "not JSON");
	expect_bad("{\"x\": {\"y\": 1, \"y\": 1}}", "not JSON");
	expect_bad("{\"task_id\": \"a\", \"task\\u005fid\": \"b\"}", "not JSON");
}

Test(request, nul_bad_utf8_and_lone_surrogates_are_refused)
{
	EXPECT(-EBADMSG, parse_bytes("{\"a\": \"b\0c\"}", 12));
	EXPECT(-EBADMSG, parse_bytes("{}\0", 3));
	expect_bad("{\"a\": \"\\u0000\"}", "not JSON");
	expect_bad("{\"a\\u0000\": 1}", "not JSON");
	expect_bad("{\"a\": \"\xff\"}", "not JSON");
	expect_bad("{\"a\": \"\xed\xa0\x80\"}", "not JSON");
	expect_bad("{\"a\": \"\\ud83d\"}", "not JSON");
	expect_bad("{\"a\": \"\\uded1\\ud83d\"}", "not JSON");
	expect_bad("{\"a\": \"\n\"}", "not JSON");
}

Test(request, fields_of_the_wrong_type_are_named)
{
	static const char *const cases[][2] = {
		{"{\"task_id\": 7}", "task_id"},
		{"{\"task_id\": \"\"}", "task_id"},
		{"{\"run\": \"\"}", "run"},
		{"{\"run\": []}", "run"},
		{"{\"reason\": {}}", "reason"},
		{"{\"status\": \"done\"}", "status"},
		{"{\"status\": 1}", "status"},
		{"{\"boottime_ns\": \"1\"}", "boottime_ns"},
		{"{\"boottime_ns\": 1.0}", "boottime_ns"},
		{"{\"cancel_at\": 1795169472}", "cancel_at"},
		{"{\"cancel_at\": \"soon\"}", "cancel_at"},
		{"{\"cancel_at\": \"2026-11-20T10:11:12\"}", "cancel_at"},
		{"{\"requester\": []}", "requester"},
		{"{\"requester\": {\"uid\": \"root\"}}", "requester"},
		{"{\"outcome\": \"none\"}", "outcome"},
		{"{\"outcome\": true}", "outcome"},
		{"{\"detail\": 1}", "detail"},
		{"{\"worker\": {\"run\": \"\"}}", "worker"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_bad(cases[i][0], cases[i][1]);
}

Test(request, numbers_out_of_range_are_named)
{
	static const char *const cases[][2] = {
		{"{\"expires_in_s\": 0}", "expires_in_s"},
		{"{\"expires_in_s\": -1}", "expires_in_s"},
		{"{\"expires_in_s\": 316224001}", "expires_in_s"},
		{"{\"expires_in_s\": 60.5}", "expires_in_s"},
		{"{\"boottime_ns\": -1}", "boottime_ns"},
		{"{\"processed_boottime_ns\": -1}", "processed_boottime_ns"},
		{"{\"requester\": {\"uid\": -1}}", "requester"},
		{"{\"requester\": {\"gid\": 4294967296}}", "requester"},
		{"{\"worker\": {\"pid\": -7}}", "worker"},
		{"{\"boottime_ns\": 9223372036854775808}", "not JSON"},
		{"{\"x\": 99999999999999999999}", "not JSON"},
		{"{\"x\": 1e999}", "not JSON"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_bad(cases[i][0], cases[i][1]);
	EXPECT(0, parse("{\"expires_in_s\": 316224000}"));
}

Test(request, ids_and_times_that_are_of_no_use_are_as_good_as_none)
{
	EXPECT(0, parse("{\"request_id\": \"c0ffee\", \"boot_id\": 7, \"requested_at\": \"yesterday\","
			"\"last_cancel_id\": \"0123456789ABCDEF0123456789ABCDEF\"}"));
	cr_assert_str_eq(found.request_id, "");
	cr_assert_str_eq(found.boot_id, "");
	cr_assert_str_eq(found.last_cancel_id, "");
	cr_assert_eq(found.requested_at_us, 0);
}

Test(request, a_failure_leaves_the_request_alone)
{
	struct cancel_request before;

	memcpy(&before, &found, sizeof(before));
	EXPECT(-EBADMSG, cancel_request_parse(&found, "{\"task_id\": \"a\", \"run\": 1}", 25, &error));
	cr_assert_eq(memcmp(&before, &found, sizeof(before)), 0);
}

/* --- writing ------------------------------------------------------------------------------------------ */

static json_t *written(const struct cancel_request *request)
{
	char *text = cancel_request_json(request);
	json_error_t problem;
	json_t *json;

	cr_assert_not_null(text);
	cr_assert_null(strchr(text, '\n'), "more than one line: %s", text);
	json = json_loads(text, JSON_REJECT_DUPLICATES, &problem);
	cr_assert_not_null(json, "%s: %s", problem.text, text);
	free(text);
	return json;
}

static void expect_text(json_t *json, const char *field, const char *expected)
{
	json_t *value = json_object_get(json, field);

	cr_assert_not_null(value, "no '%s'", field);
	if (!expected)
		cr_assert(json_is_null(value), "'%s' is not null", field);
	else
		cr_assert(json_is_string(value) && !strcmp(json_string_value(value), expected), "'%s' is not '%s'", field,
			  expected);
}

Test(request, a_pending_record_has_the_fields_of_the_format)
{
	json_t *json;

	found.task_id = "t";
	found.requested_at_us = 1795169472000001;
	found.expires_in_s = CANCEL_EXPIRES_NEVER;
	json = written(&found);
	cr_assert_eq(json_object_size(json), 11);
	expect_text(json, "task_id", "t");
	expect_text(json, "run", NULL);
	expect_text(json, "request_id", NULL);
	expect_text(json, "reason", "(none given)");
	expect_text(json, "status", "pending");
	expect_text(json, "requested_at", "2026-11-20T10:11:12.000001Z");
	expect_text(json, "boot_id", NULL);
	cr_assert(json_is_integer(json_object_get(json, "boottime_ns")));
	expect_text(json, "expires_in_s", NULL);
	expect_text(json, "cancel_at", NULL);
	cr_assert_eq(json_object_size(json_object_get(json, "requester")), 6);
	json_decref(json);
}

/* A string of all sorts: control bytes, quotes, backslashes, every script. */
static char *random_text(size_t max)
{
	static const char *const pieces[] = {"\"", "\\", "/", "\b", "\f", "\n", "\r", "\t", "\x01", "\x1f", "\x7f",
					     "ö",  "\xe2\x80\xa8", "\xf0\x9f\x9b\x91", "\\u0041", "null", "</script>"};
	size_t wanted = (size_t)random() % max, used = 0;
	char *text = malloc(max + 16);

	while (used < wanted) {
		const char *piece = pieces[(size_t)random() % (sizeof(pieces) / sizeof(pieces[0]))];

		if (random() % 2)
			used += (size_t)sprintf(text + used, "%s", piece);
		else
			text[used++] = (char)(1 + random() % 0x7f);
	}
	text[used] = '\0';
	return text;
}

static bool same_text(const char *one, const char *other)
{
	return one && other ? !strcmp(one, other) : one == other;
}

static void expect_same(const struct cancel_request *one, const struct cancel_request *other)
{
	cr_assert(same_text(one->task_id, other->task_id) && same_text(one->run, other->run) &&
		  same_text(one->reason, other->reason) && same_text(one->detail, other->detail));
	cr_assert(same_text(one->requester.name, other->requester.name) &&
		  same_text(one->requester.host, other->requester.host) &&
		  same_text(one->requester.program, other->requester.program) &&
		  same_text(one->worker.host, other->worker.host) && same_text(one->worker.run, other->worker.run));
	cr_assert(one->requester.uid == other->requester.uid && one->requester.gid == other->requester.gid &&
		  one->requester.pid == other->requester.pid && one->worker.uid == other->worker.uid &&
		  one->worker.pid == other->worker.pid);
	cr_assert(one->status == other->status && one->outcome == other->outcome &&
		  one->requested_at_us == other->requested_at_us && one->boottime_ns == other->boottime_ns &&
		  one->expires_in_s == other->expires_in_s && one->cancel_at_us == other->cancel_at_us &&
		  one->processed_at_us == other->processed_at_us &&
		  one->processed_boottime_ns == other->processed_boottime_ns);
	cr_assert(!strcmp(one->request_id, other->request_id) && !strcmp(one->boot_id, other->boot_id) &&
		  !strcmp(one->last_cancel_id, other->last_cancel_id) &&
		  !strcmp(one->processed_boot_id, other->processed_boot_id));
}

static char *not_empty(char *text)
{
	if (!*text)
		(void)strcpy(text, "x");
	return text;
}

static int64_t random_number(int64_t max)
{
	return (((int64_t)random() << 31) | random()) % max;
}

static void fill_randomly(struct cancel_request *request, char *texts[9])
{
	for (int i = 0; i < 9; i++)
		texts[i] = random_text(i == 2 ? 3000 : 240);
	cancel_request_init(request);
	request->task_id = not_empty(texts[0]);
	request->run = random() % 2 ? not_empty(texts[1]) : NULL;
	request->reason = texts[2];
	request->requester.name = random() % 2 ? texts[3] : NULL;
	request->requester.host = texts[4];
	request->requester.program = texts[5];
	request->requester.uid = random() % 2 ? random() : -1;
	request->requester.gid = random() % 2 ? random() : -1;
	request->requester.pid = random();
	(void)strcpy(request->request_id, "0123456789abcdef0123456789abcdef");
	(void)strcpy(request->boot_id, "00000000-1111-2222-3333-444444444444");
	request->requested_at_us = 1 + random_number(253402300800000000);
	request->boottime_ns = random_number(INT64_MAX);
	request->expires_in_s = random() % 2 ? 1 + random() % CANCEL_EXPIRES_MAX_S : CANCEL_EXPIRES_NEVER;
	request->cancel_at_us = random() % 2 ? random_number(253402300800000000) : 0;
	if (random() % 2)
		return;
	request->status = CANCEL_STATUS_PROCESSED;
	request->outcome = (enum cancel_outcome)(1 + random() % 6);
	request->detail = random() % 2 ? texts[6] : NULL;
	request->processed_at_us = 1 + random_number(253402300800000000);
	(void)strcpy(request->processed_boot_id, "10000000-1111-2222-3333-444444444444");
	request->processed_boottime_ns = random_number(INT64_MAX);
	request->worker.uid = random();
	request->worker.pid = random();
	request->worker.host = texts[7];
	request->worker.run = random() % 2 ? not_empty(texts[8]) : NULL;
	if (random() % 2)
		(void)strcpy(request->last_cancel_id, "f123456789abcdef0123456789abcdef");
}

Test(request, whatever_is_written_is_read_back_by_jansson)
{
	(void)printf("seed %d\n", SEED);
	srandom(SEED);
	for (int i = 0; i < 5000; i++) {
		struct cancel_request request;
		char *texts[9], *json;

		fill_randomly(&request, texts);
		json = cancel_request_json(&request);
		EXPECT(0, parse(json));
		expect_same(&request, &found);
		free(json);
		for (int k = 0; k < 9; k++)
			free(texts[k]);
	}
}

static const char compare_script[] = "import json, sys\n"
				     "for line in sys.stdin.read().split('\\n')[:-1]:\n"
				     "    sys.stdout.write(json.loads(line)['reason'].encode().hex() + '\\n')\n";

Test(request, python_and_jq_read_what_is_written)
{
	enum { LINES = 300 };
	char *reasons[LINES], *input = calloc(LINES, 20000), *end = input, *rest;
	struct process python, jq;

	srandom(SEED);
	for (int i = 0; i < LINES; i++) {
		struct cancel_request request;
		char *json;

		reasons[i] = random_text(1000);
		cancel_request_init(&request);
		request.task_id = "t";
		request.reason = reasons[i];
		request.expires_in_s = 1;
		json = cancel_request_json(&request);
		end += sprintf(end, "%s\n", json);
		free(json);
	}
	process_run(&python, WORDS("python3", "-c", compare_script), NULL, input);
	cr_assert_eq(python.exit_code, 0, "%s", python.err);
	process_run(&jq, WORDS("jq", "-c", ".reason | length"), NULL, input);
	cr_assert_eq(jq.exit_code, 0, "%s", jq.err);
	rest = python.out;
	for (int i = 0; i < LINES; i++) {
		const char *line = strsep(&rest, "\n");

		cr_assert_eq(strlen(line), 2 * strlen(reasons[i]));
		for (size_t k = 0; reasons[i][k]; k++) {
			char hex[3];

			(void)snprintf(hex, sizeof(hex), "%02x", (unsigned char)reasons[i][k]);
			cr_assert_eq(strncmp(line + 2 * k, hex, 2), 0, "line %d, byte %zu", i, k);
		}
		free(reasons[i]);
	}
	process_free(&python);
	process_free(&jq);
	free(input);
}

Test(request, unknown_fields_are_written_out_again_last)
{
	json_t *json;
	char *text;

	EXPECT(0, parse("{\"x-trace\": {\"b\": [1, 2.5, true, null, \"\\u0001\"], \"a\": {}}, \"task_id\": \"t\","
			"\"expires_in_s\": 5, \"\": 1, \"requester\": {\"name\": \"n\", \"team\": [\"ops\"]}, \"ticket\\n\": 7}"));
	json = written(&found);
	cr_assert(json_is_true(json_array_get(
		json_object_get(json_object_get(json, "x-trace"), "b"), 2)));
	cr_assert_eq(json_integer_value(json_object_get(json, "ticket\n")), 7);
	cr_assert_eq(json_integer_value(json_object_get(json, "")), 1);
	cr_assert_str_eq(
		json_string_value(json_array_get(json_object_get(json_object_get(json, "requester"), "team"), 0)), "ops");
	json_decref(json);
	text = cancel_request_json(&found);
	cr_assert_gt(strstr(text, "x-trace"), strstr(text, "\"requester\""));
	free(text);
}

Test(request, a_requester_that_is_a_plain_name_is_read)
{
	EXPECT(0, parse("{\"requester\": \"alice\"}"));
	cr_assert_str_eq(found.requester.name, "alice");
}

/* --- ageing ------------------------------------------------------------------------------------------- */

static void made_in_this_boot(int64_t ago_s, int64_t expires_in_s)
{
	(void)strcpy(found.boot_id, clock_boot_id());
	found.boottime_ns = clock_boottime_ns() - ago_s * 1000000000;
	found.expires_in_s = expires_in_s;
}

/* DESIGN.md, invariant 17 */
Test(request, one_of_this_boot_ages_by_boottime_whatever_the_wall_clock_says)
{
	made_in_this_boot(10, 11);
	found.requested_at_us = clock_realtime_us() - 1000000 * 86400LL;
	cr_assert(!cancel_request_expired(&found));
	clock_steps_ms(86400 * 1000);
	cr_assert(!cancel_request_expired(&found));
	clock_steps_ms(-2 * 86400 * 1000);
	time_passes(2);
	cr_assert(cancel_request_expired(&found));
}

Test(request, one_of_another_boot_ages_by_the_wall_clock)
{
	made_in_this_boot(1000, 60);
	(void)strcpy(found.boot_id, "00000000-1111-2222-3333-444444444444");
	found.requested_at_us = clock_realtime_us() - 50 * 1000000;
	cr_assert(!cancel_request_expired(&found));
	found.requested_at_us = clock_realtime_us() - 61 * 1000000;
	cr_assert(cancel_request_expired(&found));
	found.boot_id[0] = '\0';
	cr_assert(cancel_request_expired(&found));
}

/* DESIGN.md, invariant 17 */
Test(request, a_negative_age_never_expires)
{
	made_in_this_boot(-1000, 1);
	cr_assert(!cancel_request_expired(&found));
	found.boot_id[0] = '\0';
	found.requested_at_us = clock_realtime_us() + 1000000000;
	cr_assert(!cancel_request_expired(&found));
}

Test(request, never_is_never)
{
	made_in_this_boot(1000, CANCEL_EXPIRES_NEVER);
	found.boottime_ns = 0;
	cr_assert(!cancel_request_expired(&found));
}

Test(request, it_is_in_effect_at_once_or_when_its_time_has_come)
{
	cr_assert(cancel_request_in_effect(&found));
	found.cancel_at_us = clock_realtime_us() + 5 * 1000000;
	cr_assert(!cancel_request_in_effect(&found));
	time_passes(5);
	cr_assert(cancel_request_in_effect(&found));
}
