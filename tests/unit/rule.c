/* Rules: what may be written, which one fires, and what becomes of its command. */
#include "config.h"

#include "name.h"
#include "rule_list.h"
#include "rule_match.h"
#include "spool_dir.h"

#include <cancel/cancel.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <glob.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
	TIMEOUT_S = 20,
	TEXT_SIZE = 1024 * 1024,
};

static struct cancel_config config;
static struct cancel_rules rules;
static struct cancel_error error;
static struct cancel_request request;
static struct spool_dir dir;

static void set_up(void)
{
	(void)unsetenv(CANCEL_CONFIG_VARIABLE);
	(void)unsetenv(CANCEL_SPOOL_VARIABLE);
	cancel_config_init(&config);
	cancel_request_init(&request);
	request.task_id = "task_1";
}

static void tear_down(void)
{
	rule_list_free(&rules);
	cancel_request_clear(&request);
}

TestSuite(rule, .init = set_up, .fini = tear_down, .timeout = TIMEOUT_S);

static int read_rules(const char *text)
{
	rule_list_free(&rules);
	return config_read_rules(&config, &rules, "f.yaml", text, strlen(text), &error);
}

static void load(const char *text)
{
	cr_assert_eq(read_rules(text), 0, "%s: %s", text, error.text);
}

/* --- reading ------------------------------------------------------------------------------------------ */

static void expect_exec(const struct cancel_rule *rule, const char *const *exec)
{
	size_t count = 0;

	for (; exec[count]; count++)
		cr_assert_str_eq(rule->exec[count], exec[count]);
	cr_assert_eq(rule->exec_count, count);
	cr_assert_null(rule->exec[count]);
}

#define EXPECT_EXEC(rule, ...) expect_exec((rule), (const char *const[]){__VA_ARGS__, NULL})

Test(rule, what_a_rule_does_not_say_has_its_default)
{
	load("rules:\n  - match: 'a-*'\n    exec: [stop]\n");
	cr_assert_eq(rules.count, 1);
	cr_assert_str_eq(rules.list[0].match, "a-*");
	EXPECT_EXEC(&rules.list[0], "stop");
	cr_assert_eq(rules.list[0].timeout_ms, 30 * 1000);
	cr_assert_eq(rules.list[0].decide, CANCEL_RULE_BY_EXIT_STATUS);
	cr_assert_eq(rules.list[0].max_parallel, 4);
	cr_assert_eq(rules.list[0].retries, 5);
	cr_assert_eq(rules.list[0].retry_interval_ms, 1000);
	cr_assert_not(rules.list[0].allow_options);
	cr_assert_eq(rules.list[0].line, 2);
}

Test(rule, every_key_reaches_its_field)
{
	load("log: {level: debug}\n"
	     "rules:\n"
	     "  - match: \"slurm-*[0-9]\"\n"
	     "    exec:\n"
	     "      - scancel\n"
	     "      - --\n"
	     "      - \"{match}\"\n"
	     "      - ''\n"
	     "      - 9\n"
	     "    timeout: 10s\n"
	     "    decide: stopped\n"
	     "    max_parallel: 2\n"
	     "    retry: 7\n"
	     "    retry_interval: 250ms\n"
	     "    allow_options: yes\n"
	     "\n"
	     "  - {exec: [b, '{{}}'], match: b, decide: no, allow_options: no}\n"
	     "spool: {path: /x}\n");
	cr_assert_eq(config.log_level, CANCEL_LOG_DEBUG);
	cr_assert_str_eq(config.spool_path, "/x");
	cr_assert_eq(rules.count, 2);
	cr_assert_str_eq(rules.list[0].match, "slurm-*[0-9]");
	EXPECT_EXEC(&rules.list[0], "scancel", "--", "{match}", "", "9");
	cr_assert_eq(rules.list[0].timeout_ms, 10 * 1000);
	cr_assert_eq(rules.list[0].decide, CANCEL_RULE_STOPPED);
	cr_assert_eq(rules.list[0].max_parallel, 2);
	cr_assert_eq(rules.list[0].retries, 7);
	cr_assert_eq(rules.list[0].retry_interval_ms, 250);
	cr_assert(rules.list[0].allow_options);
	cr_assert_eq(rules.list[0].line, 3);
	EXPECT_EXEC(&rules.list[1], "b", "{{}}");
	cr_assert_eq(rules.list[1].decide, CANCEL_RULE_NO);
	cr_assert_eq(rules.list[1].max_parallel, 4);
	cr_assert_eq(rules.list[1].line, 17);
	load("rules: [{match: c, exec: [c], decide: by-exit-status}]");
	cr_assert_eq(rules.list[0].decide, CANCEL_RULE_BY_EXIT_STATUS);
}

Test(rule, a_section_that_says_nothing_has_no_rules)
{
	static const char *const texts[] = {"", "rules:\n", "rules: ~\n", "rules: []\n",
					    "rules:\n  # - match: x\n"};

	for (size_t i = 0; i < COUNT(texts); i++) {
		load(texts[i]);
		cr_assert_eq(rules.count, 0);
		cr_assert_null(cancel_rules_match(&rules, "a"));
	}
}

Test(rule, a_configuration_is_checked_with_its_rules)
{
	static const char text[] = "rules: [{match: a}]";

	cr_assert_eq(config_read(&config, "f.yaml", text, strlen(text), &error), -EINVAL);
	cr_assert_eq(read_rules("rules: [{match: a, exec: [a]}]\nlog: {level: loud}\n"), -EINVAL);
}

#define RULE_KEYS "match, exec, timeout, decide, max_parallel, retry, retry_interval, allow_options"
#define PLACEHOLDERS                                                                                        \
	"{task_id}, {task_name}, {match}, {run}, {reason}, {requester}, {request_id}, {uid}, or {{ and }} " \
	"for braces"

/* "R" stands for a rule that is complete so far, at line 1, column 9. */
#define R "rules: [{match: 'a*', exec: [a], "

Test(rule, what_is_no_rule_is_refused_with_its_place)
{
	static const struct {
		const char *text, *sentence;
	} refusals[] = {
		{"rules: on", "f.yaml:1:8: rules: expected a list of rules (" RULE_KEYS "), found 'on'"},
		{"rules: {match: a}",
		 "f.yaml:1:8: rules: expected a list of rules (" RULE_KEYS "), found keys"},
		{"rules: ''", "f.yaml:1:8: rules: expected a list of rules (" RULE_KEYS "), found ''"},
		{"rules: [a]", "f.yaml:1:9: rules[0]: expected keys (" RULE_KEYS "), found 'a'"},
		{"rules: [[a]]", "f.yaml:1:9: rules[0]: expected keys (" RULE_KEYS "), found a list"},
		{"rules: [~]", "f.yaml:1:9: rules[0]: expected keys (" RULE_KEYS "), found nothing"},
		{"rules:\n  - {exec: [a]}\n",
		 "f.yaml:2:5: rules[0]: expected the keys match and exec, found no match"},
		{"rules:\n  - {}\n",
		 "f.yaml:2:5: rules[0]: expected the keys match and exec, found no match"},
		{"rules:\n  - {match: a, exec: [a]}\n  - {match: a}\n",
		 "f.yaml:3:5: rules[1]: expected the keys match and exec with a command, found no exec, or "
		 "an empty one"},
		{"rules: [{match: a, exec: []}]", "f.yaml:1:9: rules[0]: expected the keys match and exec "
						  "with a command, found no exec, or an empty one"},
		{"rules: [{match: a}, {match: a, exec: [a]}]",
		 "f.yaml:1:9: rules[0]: expected the keys match and exec with a command, found no exec, or "
		 "an empty one"},
		{"rules: []\nrules: []\n", "f.yaml:2:1: rules: expected once, found again after line 1"},
		{"rules: [{match: a,\n match: a}]",
		 "f.yaml:2:2: rules[0].match: expected once, found again after line 1"},
		{"rules: [{match: a, exec: [a],\n exec: [b]}]",
		 "f.yaml:2:2: rules[0].exec: expected once, found again after line 1"},
		{R "retry: 1, retry: 1}]",
		 "f.yaml:1:44: rules[0].retry: expected once, found again after line 1"},
		{R "when: now}]",
		 "f.yaml:1:34: rules[0]: expected one of the keys " RULE_KEYS ", found 'when'"},
		{R "max-parallel: 1}]", "f.yaml:1:34: rules[0]: expected one of the keys " RULE_KEYS
					", found 'max-parallel'; did you mean 'max_parallel'?"},
		{"exec: [a]",
		 "f.yaml:1:1: expected one of the keys spool, request, processed, watch, sweep, log, rules, "
		 "found 'exec'; did you mean 'exec' under 'rules'?"},
		{"rule: []",
		 "f.yaml:1:1: expected one of the keys spool, request, processed, watch, sweep, log, rules, "
		 "found 'rule'; did you mean 'rules'?"},
		{"rules: [{match: '', exec: [a]}]",
		 "f.yaml:1:17: rules[0].match: expected a pattern of task ids (like \"slurm-*\"), found ''"},
		{"rules: [{match: , exec: [a]}]", "f.yaml:1:17: rules[0].match: expected a pattern of task "
						  "ids (like \"slurm-*\"), found nothing"},
		{"rules: [{match: [a], exec: [a]}]", "f.yaml:1:17: rules[0].match: expected a pattern of "
						     "task ids (like \"slurm-*\"), found a list"},
		{"rules: [{match: {a: b}, exec: [a]}]", "f.yaml:1:17: rules[0].match: expected a pattern of "
							"task ids (like \"slurm-*\"), found keys"},
		{"rules: [{match: \"a\\0\", exec: [a]}]", "f.yaml:1:17: rules[0].match: expected a pattern "
							  "of task ids (like \"slurm-*\"), found 'a\\x00'"},
		{"rules: [{match: a, exec: scancel}]",
		 "f.yaml:1:26: rules[0].exec: expected a command as a list "
		 "(like [scancel, \"{task_id}\"]), found 'scancel'"},
		{"rules: [{match: a, exec: }]",
		 "f.yaml:1:26: rules[0].exec: expected a command as a list (like "
		 "[scancel, \"{task_id}\"]), found nothing"},
		{"rules: [{match: a, exec: ['']}]",
		 "f.yaml:1:27: rules[0].exec[0]: expected the name or path of a command, found ''"},
		{"rules: [{match: a, exec: [~]}]",
		 "f.yaml:1:27: rules[0].exec[0]: expected the name or path of a command, found nothing"},
		{"rules: [{match: a, exec: [[a]]}]",
		 "f.yaml:1:27: rules[0].exec[0]: expected the name or path of a command, found a list"},
		{"rules: [{match: a, exec: ['{task_id}']}]",
		 "f.yaml:1:27: rules[0].exec[0]: expected a command without placeholders, found '{task_id}'"},
		{"rules: [{match: a, exec: ['/bin/{run}x']}]",
		 "f.yaml:1:27: rules[0].exec[0]: expected a command without placeholders, found "
		 "'/bin/{run}x'"},
		{"rules: [{match: a, exec: [a, {b: c}]}]", "f.yaml:1:30: rules[0].exec[1]: expected a text "
							   "without NULs, quoted if it is empty, found keys"},
		{"rules: [{match: a, exec: [a, null]}]",
		 "f.yaml:1:30: rules[0].exec[1]: expected a text without NULs, quoted if it is empty, found "
		 "nothing"},
		{"rules: [{match: a, exec: [a, \"b\\0c\"]}]",
		 "f.yaml:1:30: rules[0].exec[1]: expected a text without NULs, quoted if it is empty, found "
		 "'b\\x00c'"},
		{"rules: [{match: a, exec: [a, '{match}']}]",
		 "f.yaml:1:9: rules[0]: expected a * in match for {match} to stand for, found none"},
		{"rules: [{match: 'set-[0-9]*', exec: [a, '{match}']}]",
		 "f.yaml:1:9: rules[0]: expected plain text before the * that {match} stands for, found ? or ["},
		{"rules: [{match: 'a?*', exec: [a, '{match}']}]",
		 "f.yaml:1:9: rules[0]: expected plain text before the * that {match} stands for, found ? or ["},
		{"rules: [{exec: [a, 'x{match}'], match: 'a\\*[*]'}]",
		 "f.yaml:1:9: rules[0]: expected a * in match for {match} to stand for, found none"},
		{R "decide: maybe}]",
		 "f.yaml:1:42: rules[0].decide: expected by-exit-status, stopped or no, found 'maybe'"},
		{R "decide: finished}]",
		 "f.yaml:1:42: rules[0].decide: expected by-exit-status, stopped or no, found 'finished'"},
		{R "allow_options: true}]",
		 "f.yaml:1:49: rules[0].allow_options: expected yes or no, found 'true'"},
		{R "timeout: 10}]",
		 "f.yaml:1:43: rules[0].timeout: expected a duration from 1s to 1h (like 500ms, 30s, "
		 "10m), found '10'"},
		{R "retry: many}]",
		 "f.yaml:1:41: rules[0].retry: expected a whole number from 0 to 1000, found 'many'"},
		{R "retry: [1]}]",
		 "f.yaml:1:41: rules[0].retry: expected a whole number from 0 to 1000, found a list"},
	};

	for (size_t i = 0; i < COUNT(refusals); i++) {
		cr_assert_eq(read_rules(refusals[i].text), -EINVAL, "accepted: %s", refusals[i].text);
		cr_assert_eq(error.code, -EINVAL);
		cr_assert_str_eq(error.text, refusals[i].sentence);
	}
}

Test(rule, a_brace_that_says_nothing_is_refused)
{
	static const struct {
		const char *text, *found;
	} wrong[] = {
		{"{", "{"},
		{"}", "}"},
		{"a{b", "{b"},
		{"a}b", "}"},
		{"{}", "{}"},
		{"{{}", "}"},
		{"{{{", "{"},
		{"{id}", "{id}"},
		{"{task_id", "{task_id"},
		{"{ task_id }", "{ task_id }"},
		{"{TASK_ID}", "{TASK_ID}"},
		{"x{task_id}{no such}", "{no such}"},
		{"{{task_id}", "}"},
		{"{task_id}}", "}"},
		{"{\x1B}", "{\\x1B}"},
	};
	char text[256], sentence[512];

	for (size_t i = 0; i < COUNT(wrong); i++) {
		const char *escape = strchr(wrong[i].text, '\x1B');

		(void)snprintf(text, sizeof text, "rules: [{match: a, exec: [a, \"%s\"]}]",
			       escape ? "{\\e}" : wrong[i].text);
		(void)snprintf(sentence, sizeof sentence,
			       "f.yaml:1:30: rules[0].exec[1]: expected " PLACEHOLDERS ", found '%s'",
			       wrong[i].found);
		cr_assert_eq(read_rules(text), -EINVAL, "accepted: %s", text);
		cr_assert_str_eq(error.text, sentence);
	}
}

Test(rule, both_edges_of_each_range_are_in_and_the_next_values_out)
{
	static const struct {
		const char *key;
		const char *in[3];
		const char *out[4];
	} ranges[] = {
		{"timeout", {"1s", "1h", "1000ms"}, {"999ms", "3601s", "3600001ms", "never"}},
		{"max_parallel", {"1", "256"}, {"0", "257", "-1", "01"}},
		{"retry", {"0", "1000"}, {"1001", "-1", "00", "1.0"}},
		{"retry_interval", {"10ms", "1h"}, {"9ms", "3600001ms", "0s", "1"}},
	};
	char text[128];

	for (size_t i = 0; i < COUNT(ranges); i++) {
		for (size_t j = 0; j < COUNT(ranges[i].in) && ranges[i].in[j]; j++) {
			(void)snprintf(text, sizeof text, R "%s: %s}]", ranges[i].key, ranges[i].in[j]);
			load(text);
		}
		for (size_t j = 0; j < COUNT(ranges[i].out); j++) {
			(void)snprintf(text, sizeof text, R "%s: %s}]", ranges[i].key, ranges[i].out[j]);
			cr_assert_eq(read_rules(text), -EINVAL, "accepted: %s", text);
		}
	}
	load(R "timeout: 1h, max_parallel: 256, retry: 1000, retry_interval: 1h}]");
	cr_assert_eq(rules.list[0].timeout_ms, 3600 * 1000);
	cr_assert_eq(rules.list[0].max_parallel, CANCEL_RULE_PARALLEL_MAX);
	cr_assert_eq(rules.list[0].retries, 1000);
	cr_assert_eq(rules.list[0].retry_interval_ms, 3600 * 1000);
}

static void write_rules(char *text, size_t count)
{
	size_t used = (size_t)sprintf(text, "rules:\n");

	for (size_t i = 0; i < count; i++)
		used += (size_t)sprintf(text + used, " - {match: a%zu, exec: [a]}\n", i);
}

Test(rule, CANCEL_RULES_MAX_rules)
{
	char text[32 * (CANCEL_RULES_MAX + 2)];

	write_rules(text, CANCEL_RULES_MAX);
	load(text);
	cr_assert_eq(rules.count, CANCEL_RULES_MAX);
	cr_assert_eq(cancel_rules_match(&rules, "a255"), &rules.list[CANCEL_RULES_MAX - 1]);
	write_rules(text, CANCEL_RULES_MAX + 1);
	cr_assert_eq(read_rules(text), -EINVAL);
	cr_assert_str_eq(error.text, "f.yaml:258:4: rules[256]: expected at most 256 rules, found keys");
}

static void write_exec(char *text, size_t count)
{
	size_t used = (size_t)sprintf(text, "rules: [{match: a, exec: [");

	for (size_t i = 0; i < count; i++)
		used += (size_t)sprintf(text + used, "e%zu,", i);
	(void)sprintf(text + used, "]}]");
}

Test(rule, CANCEL_RULE_EXEC_MAX_elements)
{
	char text[8 * CANCEL_RULE_EXEC_MAX];

	write_exec(text, CANCEL_RULE_EXEC_MAX);
	load(text);
	cr_assert_eq(rules.list[0].exec_count, CANCEL_RULE_EXEC_MAX);
	cr_assert_str_eq(rules.list[0].exec[CANCEL_RULE_EXEC_MAX - 1], "e63");
	cr_assert_null(rules.list[0].exec[CANCEL_RULE_EXEC_MAX]);
	write_exec(text, CANCEL_RULE_EXEC_MAX + 1);
	cr_assert_eq(read_rules(text), -EINVAL);
	cr_assert_str_eq(error.text,
			 "f.yaml:1:273: rules[0].exec[64]: expected at most 64 elements, found 'e64'");
}

/* --- matching ----------------------------------------------------------------------------------------- */

static void expect_line(const char *task_id, size_t line)
{
	const struct cancel_rule *rule = cancel_rules_match(&rules, task_id);

	cr_assert_eq(rule ? rule->line : 0, line, "%s: line %zu", task_id, rule ? rule->line : 0);
}

Test(rule, the_first_that_matches_fires)
{
	load("rules:\n"
	     "  - {match: 'a-[0-9]*', exec: [one]}\n"
	     "  - {match: 'a-*', exec: [two]}\n"
	     "  - {match: 'a-1', exec: [never]}\n"
	     "  - {match: '?', exec: [three]}\n"
	     "  - {match: '*', exec: [rest]}\n");
	expect_line("a-1", 2);
	expect_line("a-x", 3);
	expect_line("a-", 3);
	expect_line("b", 5);
	expect_line("bb", 6);
	load("rules:\n  - {match: 'a-*', exec: [one]}\n");
	expect_line("b-a-", 0);
	expect_line("", 0);
}

Test(rule, a_pattern_means_what_fnmatch_says)
{
	static const struct {
		const char *pattern, *task_id;
		bool matches;
	} cases[] = {
		{"a*", "a/b/../c", true},
		{"*", ".hidden", true},
		{"a\\*", "a*", true},
		{"a\\*", "ab", false},
		{"[a-c]x", "bx", true},
		{"[!a-c]x", "bx", false},
		{"a*b*c", "a--b--c", true},
		{"a*", "A1", false},
		{"*\n*", "a\nb", true},
		{"{task_id}", "{task_id}", true},
		{"-rf", "-rf", true},
		{"t-*[!0-9]*", "t-17", false},
		{"t-*[!0-9]*", "t-1x", true},
		{"t-*[!0-9]*", "t-", false},
		{"t-*[!0-9]*", "t-\xC3\xA9", true},
	};
	char text[128];

	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct cancel_rule rule = {.match = cases[i].pattern};
		const struct cancel_rules one = {.count = 1, .list = (struct cancel_rule *)(uintptr_t)&rule};

		(void)snprintf(text, sizeof text, "%s on %s", cases[i].pattern, cases[i].task_id);
		cr_assert_eq(cancel_rules_match(&one, cases[i].task_id) != NULL, cases[i].matches, "%s",
			     text);
	}
}

/* A pattern with many wildcards against the longest id is no way to keep a program busy. */
Test(rule, a_pattern_of_many_stars_is_soon_done_with)
{
	char id[CANCEL_TASK_ID_MAX + 1];
	const char *part;
	size_t length;

	memset(id, 'a', CANCEL_TASK_ID_MAX);
	id[CANCEL_TASK_ID_MAX] = '\0';
	load("rules: [{match: '*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b', exec: [x]}]");
	expect_line(id, 0);
	cr_assert_eq(rule_match_part("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", id, &part, &length), 0);
}

Test(rule, the_first_star_is_found_where_it_stands_for_text)
{
	static const struct {
		const char *pattern;
		int star; /* -1: none */
	} cases[] = {
		{"*", 0},    {"a*b*", 1},     {"abc", -1},           {"", -1},       {"\\*", -1},
		{"\\**", 2}, {"[*]", -1},     {"[*]*", 3},           {"[]*]*", 4},   {"[!]*]*", 5},
		{"[*", 1},   {"[^*]x*", 5},   {"[[:digit:]*]*", 12}, {"[\\]*]*", 5}, {"a[", -1},
		{"\\", -1},  {"[[.*.]]*", 7}, {"[[=*=]]", -1},       {"[[:*", 3},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *star = rule_match_star(cases[i].pattern);

		cr_assert_eq(star ? (int)(star - cases[i].pattern) : -1, cases[i].star, "%s",
			     cases[i].pattern);
	}
}

Test(rule, match_is_the_part_that_the_first_star_stands_for)
{
	static const struct {
		const char *pattern, *task_id, *part;
	} cases[] = {
		{"tsp-*", "tsp-17", "17"},
		{"tsp-*", "tsp-", ""},
		{"tsp-*", "tsp-a b\n-*", "a b\n-*"},
		{"*", "whole", "whole"},
		{"job-*.service", "job-7.service", "7"},
		{"job-*.service", "job-7.service.service", "7.service"},
		{"a*-*", "a1-2-3", "1"},
		{"a*b", "abab", "ba"},
		{"[a-c]?x*", "bzx9", "9"},
		{"[*]-*", "*-5", "5"},
		{"t\\**z", "t*yz", "y"},
		{"t-*", "other", ""},
		{"none", "none", ""},
	};
	char found[64];

	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *part;
		size_t length;

		cr_assert_eq(rule_match_part(cases[i].pattern, cases[i].task_id, &part, &length), 0);
		(void)snprintf(found, sizeof found, "%.*s", (int)length, part);
		cr_assert_str_eq(found, cases[i].part, "%s on %s: '%s'", cases[i].pattern, cases[i].task_id,
				 found);
	}
}

Test(rule, ways_to_decide_have_words)
{
	cr_assert_str_eq(cancel_rule_decide_text(CANCEL_RULE_BY_EXIT_STATUS), "by-exit-status");
	cr_assert_str_eq(cancel_rule_decide_text(CANCEL_RULE_STOPPED), "stopped");
	cr_assert_str_eq(cancel_rule_decide_text(CANCEL_RULE_NO), "no");
	cr_assert_str_eq(cancel_rule_decide_text((enum cancel_rule_decide)3), "unknown");
	cr_assert_str_eq(cancel_rule_decide_text((enum cancel_rule_decide) - 1), "unknown");
}

/* --- arguments ---------------------------------------------------------------------------------------- */

static void expect_arguments(const struct cancel_rule *rule, const char *const *expected)
{
	char **arguments = NULL;
	int count = 0, result;

	error = (struct cancel_error){.code = 7, .text = "before"};
	result = cancel_rule_arguments(rule, &request, &arguments, &error);
	cr_assert_geq(result, 0, "%s", error.text);
	cr_assert_eq(error.code, 7);
	for (; expected[count]; count++)
		cr_assert_str_eq(arguments[count], expected[count]);
	cr_assert_eq(result, count);
	cr_assert_null(arguments[count]);
	free(arguments);
}

#define EXPECT_ARGUMENTS(...) expect_arguments(&rules.list[0], (const char *const[]){__VA_ARGS__, NULL})

static void expect_failure(int code, const char *sentence)
{
	char *before[] = {NULL}, **arguments = before;

	cr_assert_eq(cancel_rule_arguments(&rules.list[0], &request, &arguments, &error), code, "%s",
		     error.text);
	cr_assert_eq(error.code, code);
	cr_assert_str_eq(error.text, sentence);
	cr_assert_eq(arguments, before);
	cr_assert_eq(cancel_rule_arguments(&rules.list[0], &request, &arguments, NULL), code);
}

Test(rule, each_placeholder_stands_for_what_the_request_says)
{
	load("rules: [{match: 't-*', exec: [x, '{task_id}', '{task_name}', '{match}', '{run}', '{reason}', "
	     "'{requester}', '{request_id}', '{uid}']}]");
	request.task_id = "t-a/b";
	request.run = "7";
	request.reason = "disk full";
	request.requester.name = "alice";
	request.requester.uid = 1001;
	(void)strcpy(request.request_id, "0123456789abcdef0123456789abcdef");
	EXPECT_ARGUMENTS("x", "t-a/b", "t-a%2Fb", "a/b", "7", "disk full", "alice",
			 "0123456789abcdef0123456789abcdef", "1001");
}

Test(rule, what_a_request_has_not_is_empty)
{
	load("rules: [{match: 't-*', exec: [x, '{match}', '{run}', '{reason}', '{requester}', "
	     "'{request_id}', '{uid}']}]");
	request.task_id = "t-";
	EXPECT_ARGUMENTS("x", "", "", "", "", "", "");
	request.requester.uid = 0;
	EXPECT_ARGUMENTS("x", "", "", "", "", "", "0");
}

Test(rule, text_and_placeholders_may_be_mixed)
{
	load("rules: [{match: '*', exec: [x, 'a{task_id}b{task_id}', '{{{task_id}}}', '{{}}', '{{task_id}}', "
	     "'']}]");
	EXPECT_ARGUMENTS("x", "atask_1btask_1", "{task_1}", "{}", "{task_id}", "");
}

/* What an id holds is never looked at again, and never parted. */
/* DESIGN.md, invariant 50 */
Test(rule, an_id_stays_one_argument_whatever_it_holds)
{
	static const char *const ids[] = {
		"a b",
		"'; rm -rf / #",
		"$(reboot) `reboot` $HOME",
		"\"quoted\" \\ back",
		"two\nlines\r\ttab",
		"{task_id}",
		"{{}}{reason}",
		"}{",
		"*?[a]",
		"%s%n",
		"x -rf",
		"\xF0\x9F\x9B\x91 \xC3\xA9",
		"\x01\x1B[2J",
		"..",
	};

	load("rules: [{match: '*', exec: [x, '{task_id}', 'id={task_id}.']}]");
	for (size_t i = 0; i < COUNT(ids); i++) {
		char around[128];

		request.task_id = ids[i];
		(void)snprintf(around, sizeof around, "id=%s.", ids[i]);
		EXPECT_ARGUMENTS("x", ids[i], around);
	}
}

#define WOULD_BE_OPTION(argument, element)                                       \
	"the argument '" argument "' for '" element                              \
	"' of the rule in line 1 would be an option; write \"--\" before it in " \
	"exec if the command knows that, or allow_options: yes"

/* DESIGN.md, invariant 50 */
Test(rule, an_id_cannot_become_an_option)
{
	load("rules: [{match: '*', exec: [rm, '{task_id}']}]");
	request.task_id = "-rf";
	expect_failure(-EPERM, WOULD_BE_OPTION("-rf", "{task_id}"));
	request.task_id = "--";
	expect_failure(-EPERM, WOULD_BE_OPTION("--", "{task_id}"));
	request.task_id = "-";
	expect_failure(-EPERM, WOULD_BE_OPTION("-", "{task_id}"));
	request.task_id = "\xE2\x88\x92rf"; /* a minus sign of typographers is none */
	EXPECT_ARGUMENTS("rm", "\xE2\x88\x92rf");
}

Test(rule, neither_can_another_placeholder_nor_a_part_of_the_id)
{
	static const char *const execs[] = {"{reason}",    "{requester}",   "{run}",        "{match}",
					    "{task_name}", "{run}{reason}", "{reason}.pid", "{uid}-x"};
	char text[128], sentence[512];

	request.task_id = "-t--o";
	request.run = "-r";
	request.reason = "--all";
	request.requester.name = "-b";
	for (size_t i = 0; i < COUNT(execs); i++) {
		static const char *const found[] = {"--all", "-b",      "-r",        "-o",
						    "-t--o", "-r--all", "--all.pid", "-x"};

		(void)snprintf(text, sizeof text, "rules: [{match: '-t-*', exec: [x, '%s']}]", execs[i]);
		load(text);
		(void)snprintf(sentence, sizeof sentence, WOULD_BE_OPTION("%s", "%s"), found[i], execs[i]);
		expect_failure(-EPERM, sentence);
	}
}

Test(rule, behind_two_dashes_or_where_it_is_allowed_it_may_begin_with_one)
{
	request.task_id = "-rf";
	load("rules: [{match: '*', exec: [rm, --, '{task_id}', '{task_id}']}]");
	EXPECT_ARGUMENTS("rm", "--", "-rf", "-rf");
	load("rules: [{match: '*', exec: [rm, '{task_id}'], allow_options: yes}]");
	EXPECT_ARGUMENTS("rm", "-rf");
	load("rules: [{match: '*', exec: [rm, '-{task_id}', '--id={task_id}', './{task_id}']}]");
	EXPECT_ARGUMENTS("rm", "--rf", "--id=-rf", "./-rf");
	/* Dashes that come from an id protect nothing. */
	load("rules: [{match: '*', exec: [rm, '{task_id}', --, '{task_id}']}]");
	expect_failure(-EPERM, WOULD_BE_OPTION("-rf", "{task_id}"));
	load("rules: [{match: '*', exec: [rm, '--{run}', '{task_id}']}]");
	expect_failure(-EPERM, WOULD_BE_OPTION("-rf", "{task_id}"));
}

Test(rule, a_task_name_is_safe_in_a_path)
{
	char long_id[CANCEL_TASK_ID_MAX + 1], name[NAME_SIZE], path[NAME_SIZE + 32];

	load("rules: [{match: '*', exec: [x, '/run/jobs/{task_name}.pid']}]");
	request.task_id = "..";
	EXPECT_ARGUMENTS("x", "/run/jobs/%2E..pid");
	request.task_id = "../../etc/passwd";
	EXPECT_ARGUMENTS("x", "/run/jobs/%2E.%2F..%2Fetc%2Fpasswd.pid");
	memset(long_id, '/', CANCEL_TASK_ID_MAX);
	long_id[CANCEL_TASK_ID_MAX] = '\0';
	request.task_id = long_id;
	name_encode(name, long_id, NULL);
	(void)snprintf(path, sizeof path, "/run/jobs/%s.pid", name);
	EXPECT_ARGUMENTS("x", path);
}

Test(rule, the_longest_id_is_passed_whole)
{
	char id[CANCEL_TASK_ID_MAX + 1];

	memset(id, 'i', CANCEL_TASK_ID_MAX);
	id[CANCEL_TASK_ID_MAX] = '\0';
	request.task_id = id;
	load("rules: [{match: 'i*', exec: [x, '{task_id}', '{match}']}]");
	EXPECT_ARGUMENTS("x", id, id + 1);
}

Test(rule, what_is_no_task_id_has_no_arguments)
{
	char id[CANCEL_TASK_ID_MAX + 2];

	load("rules: [{match: '*', exec: [x, '{task_name}', '{match}']}]");
	memset(id, '/', CANCEL_TASK_ID_MAX + 1);
	id[CANCEL_TASK_ID_MAX + 1] = '\0';
	request.task_id = id;
	expect_failure(-ENAMETOOLONG, "the task id is 1025 bytes long; at most 1024 are allowed");
	request.task_id = "";
	expect_failure(-EINVAL, "the task id is empty; give 1 to 1024 bytes");
	request.task_id = NULL;
	expect_failure(-EINVAL, "the task id is empty; give 1 to 1024 bytes");
	request.task_id = "a\xFF";
	expect_failure(-EILSEQ, "the task id 'a\\xFF' is not valid UTF-8");
}

static char *reason_of(size_t length)
{
	char *reason = malloc(length + 1);

	memset(reason, 'r', length);
	reason[length] = '\0';
	return reason;
}

#define TOO_BIG "the arguments of the rule in line 1 are over 131072 bytes together"

/* "x" and its NUL, then four times the reason and a NUL. */
Test(rule, CANCEL_RULE_ARGUMENTS_MAX_bytes)
{
	size_t longest = (CANCEL_RULE_ARGUMENTS_MAX - 2) / 4 - 1;
	char *reason = reason_of(longest + 1), **arguments;

	load("rules: [{match: '*', exec: [x, '{reason}', '{reason}', '{reason}', '{reason}ab']}]");
	request.reason = reason;
	reason[longest] = '\0';
	cr_assert_eq(cancel_rule_arguments(&rules.list[0], &request, &arguments, &error), 5, "%s",
		     error.text);
	cr_assert_eq(strlen(arguments[4]), longest + 2);
	free(arguments);
	load("rules: [{match: '*', exec: [x, '{reason}', '{reason}', '{reason}', '{reason}abc']}]");
	expect_failure(-E2BIG, TOO_BIG);
	free(reason);
}

/* A mebibyte of placeholders, each of which stands for 32 KiB: neither time nor memory goes into it. */
Test(rule, a_text_that_stands_for_gigabytes_is_too_big_at_once)
{
	char *text = malloc(TEXT_SIZE), *reason = reason_of(CANCEL_REASON_MAX);
	size_t used = (size_t)sprintf(text, "rules: [{match: '*', exec: [x, '");

	while (used < TEXT_SIZE - 64)
		used += (size_t)sprintf(text + used, "{reason}");
	(void)sprintf(text + used, "']}]");
	load(text);
	request.reason = reason;
	expect_failure(-E2BIG, TOO_BIG);
	request.reason = NULL;
	EXPECT_ARGUMENTS("x", "");
	free(text);
	free(reason);
}

/* --- files -------------------------------------------------------------------------------------------- */

static void set_up_dir(void)
{
	set_up();
	spool_dir_make(&dir);
}

static void tear_down_dir(void)
{
	spool_dir_remove(&dir);
	tear_down();
}

TestSuite(rule_file, .init = set_up_dir, .fini = tear_down_dir, .timeout = TIMEOUT_S);

static const char *write_file(const char *text)
{
	static char path[CANCEL_PATH_MAX];
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/cancel.yaml", dir.root);
	file = fopen(path, "w");
	cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
	cr_assert_eq(chmod(path, 0644), 0);
	return path;
}

Test(rule_file, load_keeps_the_rules_and_says_of_which_file)
{
	const char *path = write_file("rules: [{match: a, exec: [b]}]\n");
	struct cancel_rules *loaded = NULL;

	cr_assert_eq(cancel_rules_load(&loaded, path, &error), 0, "%s", error.text);
	cr_assert_str_eq(loaded->file, path);
	cr_assert_eq(loaded->count, 1);
	cr_assert_str_eq(loaded->list[0].exec[0], "b");
	cancel_rules_free(loaded);
	cr_assert_eq(cancel_rules_load(&loaded, write_file("log: {level: debug}\n"), &error), 0);
	cr_assert_eq(loaded->count, 0);
	cancel_rules_free(loaded);
	cancel_rules_free(NULL);
}

Test(rule_file, the_file_in_the_environment_is_loaded_as_for_the_configuration)
{
	struct cancel_rules *loaded;

	(void)setenv(CANCEL_CONFIG_VARIABLE, write_file("rules: [{match: a, exec: [b]}]\n"), 1);
	cr_assert_eq(cancel_rules_load(&loaded, NULL, &error), 0, "%s", error.text);
	cr_assert_eq(loaded->count, 1);
	cancel_rules_free(loaded);
}

Test(rule_file, a_failure_leaves_the_caller_s_rules_alone)
{
	struct cancel_rules *loaded = &rules;

	cr_assert_eq(cancel_rules_load(&loaded, write_file("rules: [{match: a, exec: [b]}]\nx: 1\n"), &error),
		     -EINVAL);
	cr_assert_eq(loaded, &rules);
	cr_assert_eq(cancel_rules_load(&loaded, "/dev/null/none", NULL), -ENOTDIR);
	(void)setenv(CANCEL_SPOOL_VARIABLE, "relative", 1);
	cr_assert_eq(cancel_rules_load(&loaded, write_file(""), &error), -EINVAL);
	cr_assert_str_eq(error.text, "TASK_CANCELLATION_DIR: expected an absolute path, found 'relative'");
	cr_assert_eq(loaded, &rules);
}

Test(rule_file, a_configuration_with_rules_loads_for_everybody)
{
	cr_assert_eq(cancel_config_load(&config, write_file("rules: [{match: a, exec: [b]}]\n"), &error), 0,
		     "%s", error.text);
	cr_assert_eq(cancel_config_load(&config, write_file("rules: [{match: a, exec: b}]\n"), &error),
		     -EINVAL);
}

/* Each of them is a configuration by itself, and has rules. */
Test(rule_file, the_examples_load)
{
	glob_t files;

	cr_assert_eq(glob(SOURCE_DIR "/conf/rules/*.yaml", 0, NULL, &files), 0);
	cr_assert_geq(files.gl_pathc, 3);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		struct cancel_rules *loaded;

		cr_assert_eq(cancel_rules_load(&loaded, files.gl_pathv[i], &error), 0, "%s", error.text);
		cr_assert_gt(loaded->count, 0, "%s", files.gl_pathv[i]);
		cancel_rules_free(loaded);
	}
	globfree(&files);
}
