#include "name.h"

#include "process.h"
#include "spool_case.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RANDOM_IDS 100000
#define SEED 20261120

TestSuite(name, .timeout = 60);

static const char *encoded(const char *task_id, const char *run)
{
	static char name[NAME_SIZE];

	name_encode(name, task_id, run);
	return name;
}

/* "x" times n; valid until the next call. */
static const char *long_id(size_t length)
{
	static char id[4096];

	memset(id, 'x', length);
	id[length] = '\0';
	return id;
}

Test(name, a_safe_component_is_its_own_name)
{
	cr_assert_str_eq(encoded("task_123", NULL), "task_123");
	cr_assert_str_eq(encoded("a b~!$&'()*+,;=:\"<>|?\\^`{}", NULL), "a b~!$&'()*+,;=:\"<>|?\\^`{}");
	cr_assert_str_eq(encoded("Größe \xf0\x9f\x9b\x91", NULL), "Größe \xf0\x9f\x9b\x91");
	cr_assert_str_eq(encoded("a.b..c", NULL), "a.b..c");
}

Test(name, slash_percent_at_control_bytes_and_a_leading_dot_are_escaped)
{
	cr_assert_str_eq(encoded("a/b", NULL), "a%2Fb");
	cr_assert_str_eq(encoded("100%", NULL), "100%25");
	cr_assert_str_eq(encoded("a@b", NULL), "a%40b");
	cr_assert_str_eq(encoded("\n\x1f\x7f", NULL), "%0A%1F%7F");
	cr_assert_str_eq(encoded(".", NULL), "%2E");
	cr_assert_str_eq(encoded("..", NULL), "%2E.");
	cr_assert_str_eq(encoded("../../etc/passwd", NULL), "%2E.%2F..%2Fetc%2Fpasswd");
	cr_assert_str_eq(encoded(".hidden", ".run"), "%2Ehidden@%2Erun");
}

Test(name, a_run_stands_behind_an_at)
{
	cr_assert_str_eq(encoded("task", "run"), "task@run");
	cr_assert_str_eq(encoded("a@b", "c@d"), "a%40b@c%40d");
}

Test(name, task_and_run_never_collide_with_another_task)
{
	char one[NAME_SIZE];

	name_encode(one, "task", "run");
	cr_assert_str_neq(encoded("task@run", NULL), one);
	cr_assert_str_neq(encoded("task", "run@"), one);
	cr_assert_str_neq(encoded("task@", "run"), one);
	/* The same when they are so long that they are cut: what is hashed keeps them apart. */
	name_encode(one, long_id(300), "run");
	cr_assert_str_neq(encoded(long_id(300), NULL), one);
}

Test(name, two_hundred_bytes_are_kept_whole_and_one_more_is_cut)
{
	cr_assert_str_eq(encoded(long_id(CANCEL_NAME_MAX), NULL), long_id(CANCEL_NAME_MAX));
	cr_assert_eq(strlen(encoded(long_id(CANCEL_NAME_MAX + 1), NULL)), 100 + 2 + 32);
	cr_assert_eq(strncmp(encoded(long_id(CANCEL_NAME_MAX + 1), NULL), long_id(100), 100), 0);
}

static const char cut_script[] =
	"import hashlib, sys\n"
	"def escape(id):\n"
	"    out = b''\n"
	"    for i, b in enumerate(id):\n"
	"        bad = b < 32 or b == 127 or b in b'/%@' or (i == 0 and b == 46)\n"
	"        out += b'%%%02X' % b if bad else bytes([b])\n"
	"    return out\n"
	"def name(task, run=None):\n"
	"    whole = escape(task) + (b'@' + escape(run) if run is not None else b'')\n"
	"    if len(whole) > 200: whole = whole[:100] + b'%~' + hashlib.sha256(whole).hexdigest()[:32].encode()\n"
	"    return whole\n"
	"for line in sys.stdin.buffer.read().split(b'\\n')[:-1]:\n"
	"    parts = [bytes.fromhex(p.decode()) for p in line.split(b' ')]\n"
	"    print(name(*parts).hex())\n";

static void put_hex(char **end, const char *text)
{
	for (; *text; text++)
		*end += sprintf(*end, "%02x", (unsigned char)*text);
}

/* One character of many kinds, so that those that matter come often. */
static size_t random_character(char *at)
{
	static const char *const pieces[] = {"/",  "..", ".",  "\n",   "%",  "@",    "\xf0\x9f\x9b\x91", "a",
					     "B",  "0",  "~",  "\x7f", "\t", "ö",    "日",               " ",
					     "%2", "2F", "%~", "\x01", "-",  ".json"};
	const char *piece = pieces[(size_t)random() % (sizeof(pieces) / sizeof(pieces[0]))];

	if (random() % 4 == 0) {
		at[0] = (char)(1 + random() % 0x7f);
		return 1;
	}
	memcpy(at, piece, strlen(piece));
	return strlen(piece);
}

/* An id of 1 to CANCEL_TASK_ID_MAX bytes; most are short, and both ends are met. */
static void random_id(char *id)
{
	size_t wanted, used = 0;

	switch (random() % 16) {
	case 0:
		wanted = 1;
		break;
	case 1:
		wanted = CANCEL_TASK_ID_MAX;
		break;
	case 2:
		wanted = (size_t)(1 + random() % CANCEL_TASK_ID_MAX);
		break;
	default:
		wanted = (size_t)(1 + random() % 40);
	}
	while (used < wanted) {
		size_t length = random_character(id + used);

		used += length;
		if (used > wanted) { /* pad exactly, so that the limits themselves come out */
			used -= length;
			id[used++] = 'x';
		}
	}
	id[used] = '\0';
}

Test(name, pythons_hashlib_gives_the_same_names)
{
	enum { CASES = 400 };
	static char lines[CASES * (4 * CANCEL_TASK_ID_MAX + 8)], id[CANCEL_TASK_ID_MAX + 8], run[CANCEL_RUN_ID_MAX + 8];
	struct process python;
	char *end = lines, *rest;

	srandom(SEED);
	for (int i = 0; i < CASES; i++) {
		random_id(id);
		put_hex(&end, id);
		if (i % 2) {
			random_id(run);
			*end++ = ' ';
			put_hex(&end, run);
		}
		*end++ = '\n';
	}
	process_run(&python, WORDS("python3", "-c", cut_script), NULL, lines);
	cr_assert_eq(python.exit_code, 0, "%s", python.err);
	srandom(SEED);
	rest = python.out;
	for (int i = 0; i < CASES; i++) {
		char expected[2 * NAME_SIZE], *at = expected;

		random_id(id);
		if (i % 2)
			random_id(run);
		put_hex(&at, encoded(id, i % 2 ? run : NULL));
		cr_assert_str_eq(expected, strsep(&rest, "\n"), "seed %d, case %d", SEED, i);
	}
	process_free(&python);
}

struct named {
	char *name; /* encoded */
	char *id;   /* task, a NUL-free separator that no id holds, run */
};

static int by_name(const void *one, const void *other)
{
	return strcmp(((const struct named *)one)->name, ((const struct named *)other)->name);
}

static void expect_safe(const char *name)
{
	cr_assert(name[0] && strlen(name) <= 205, "%zu bytes", strlen(name));
	cr_assert_null(strchr(name, '/'));
	cr_assert_neq(name[0], '.');
}

static void expect_decoded(const char *name, const char *id, const char *run)
{
	struct name_ids ids;
	enum name_kind kind = name_decode(&ids, name, strlen(name));

	if (strstr(name, "%~") && strlen(name) == 134) {
		cr_assert_eq(kind, NAME_HASHED, "'%s'", name);
		return;
	}
	cr_assert_eq(kind, NAME_WHOLE, "'%s'", name);
	cr_assert_str_eq(ids.task_id, id);
	cr_assert_eq(ids.has_run, run != NULL);
	if (run)
		cr_assert_str_eq(ids.run, run);
}

/* DESIGN.md, invariant 14 */
Test(name, a_hundred_thousand_random_ids_come_back_and_no_two_share_a_name)
{
	static char id[CANCEL_TASK_ID_MAX + 8], run[CANCEL_RUN_ID_MAX + 8], both[2 * CANCEL_TASK_ID_MAX + 32];
	struct named *all = malloc(RANDOM_IDS * sizeof(*all));

	(void)printf("seed %d\n", SEED);
	srandom(SEED);
	for (int i = 0; i < RANDOM_IDS; i++) {
		bool has_run = random() % 3 == 0;
		const char *name;

		random_id(id);
		if (has_run)
			random_id(run);
		cr_assert_eq(name_check_id(id, CANCEL_TASK_ID_MAX, "task id", NULL), 0, "seed %d, id %d", SEED, i);
		name = encoded(id, has_run ? run : NULL);
		expect_safe(name);
		expect_decoded(name, id, has_run ? run : NULL);
		/* 0xff is in no valid id. */
		(void)snprintf(both, sizeof(both), "%s\xff%s%s", id, has_run ? "r" : "", has_run ? run : "");
		all[i] = (struct named){strdup(name), strdup(both)};
	}
	qsort(all, RANDOM_IDS, sizeof(*all), by_name);
	for (int i = 1; i < RANDOM_IDS; i++)
		if (!strcmp(all[i].name, all[i - 1].name))
			cr_assert_str_eq(all[i].id, all[i - 1].id, "two ids share '%s'", all[i].name);
	for (int i = 0; i < RANDOM_IDS; i++) {
		free(all[i].name);
		free(all[i].id);
	}
	free(all);
}

static enum name_kind decoded(const char *name)
{
	struct name_ids ids;

	return name_decode(&ids, name, strlen(name));
}

Test(name, a_name_that_the_encoder_would_not_write_is_foreign)
{
	static const char *const foreign[] = {"a%2fb", "a%41", "a%", "a%2", "a%zz", "a%00b", "@run", "task@", "a@b@c",
					      "a@b%40", ".a",  "a/b", "\xff", "a%~", "a\nb", "a%2Eb"};

	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		if (strcmp(foreign[i], "a@b%40"))
			cr_assert_eq(decoded(foreign[i]), NAME_FOREIGN, "'%s'", foreign[i]);
	cr_assert_eq(decoded("a@b%40"), NAME_WHOLE);
	cr_assert_eq(decoded(""), NAME_FOREIGN);
	cr_assert_eq(decoded(long_id(CANCEL_NAME_MAX + 1)), NAME_FOREIGN);
}

Test(name, only_names_of_request_files_are_taken_apart)
{
	char file[NAME_FILE_SIZE];

	cr_assert_eq(name_of_file("task.json"), 4);
	cr_assert_eq(name_of_file("a.json.json"), 6);
	cr_assert_eq(name_of_file(".json"), 0);
	cr_assert_eq(name_of_file(".a.json"), 0);
	cr_assert_eq(name_of_file("task.jsn"), 0);
	cr_assert_eq(name_of_file("task.JSON"), 0);
	cr_assert_eq(name_of_file("task.json~"), 0);
	cr_assert_eq(name_of_file("json"), 0);
	cr_assert_eq(name_of_file(""), 0);
	name_to_file(file, long_id(CANCEL_NAME_MAX));
	cr_assert_eq(strlen(file), CANCEL_NAME_MAX + 5);
	cr_assert_eq(name_of_file(file), CANCEL_NAME_MAX);
	cr_assert_eq(name_of_file("/dev/shm/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
				  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
				  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.json"),
		     0);
}

/* --- at the door -------------------------------------------------------------------------------------- */

TestSuite(name_refused, .init = spool_case_set_up, .fini = spool_case_tear_down, .timeout = 60);

static void expect_refused(const char *task_id, const char *run, int code, const char *words)
{
	struct cancel_mark mark;

	EXPECT(code, ask(task_id, run, "why", NULL));
	EXPECT_WORDS(words);
	EXPECT(code, decide(task_id, run, NULL, CANCEL_OUTCOME_STOPPED));
	EXPECT(code, lookup(task_id, run));
	EXPECT(code, check(task_id, run, NULL));
	EXPECT(code, cancel_spool_mark(spool, task_id, run, &mark, &error));
	EXPECT(code, cancel_spool_reset(spool, task_id, run, &error));
	cr_assert_eq(count_in("pending") + count_in("processed") + count_in("tmp"), 0, "something was written");
}

Test(name_refused, an_empty_id_writes_nothing)
{
	expect_refused("", NULL, -EINVAL, "task id is empty");
	expect_refused(NULL, NULL, -EINVAL, "task id is empty");
	expect_refused("task", "", -EINVAL, "run id is empty");
}

Test(name_refused, an_id_over_its_limit_writes_nothing)
{
	expect_refused(long_id(CANCEL_TASK_ID_MAX + 1), NULL, -ENAMETOOLONG, "1025 bytes");
	expect_refused("task", long_id(CANCEL_RUN_ID_MAX + 1), -ENAMETOOLONG, "1025 bytes");
}

Test(name_refused, an_id_that_is_not_utf8_writes_nothing)
{
	expect_refused("a\xff", NULL, -EILSEQ, "'a\\xFF' is not valid UTF-8");
	expect_refused("task", "\xc3", -EILSEQ, "run id '\\xC3'");
}

Test(name_refused, the_longest_ids_are_asked_for_looked_up_and_decided)
{
	char *task = strdup(long_id(CANCEL_TASK_ID_MAX));

	EXPECT(CANCEL_REQUESTED, ask(task, long_id(CANCEL_RUN_ID_MAX), NULL, NULL));
	EXPECT(CANCEL_REQUESTED, ask(task, NULL, NULL, NULL));
	cr_assert_eq(count_in("pending"), 2);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup(task, long_id(CANCEL_RUN_ID_MAX)));
	cr_assert_str_eq(found.task_id, task);
	cr_assert_str_eq(found.run, long_id(CANCEL_RUN_ID_MAX));
	EXPECT(CANCEL_DECIDED, decide(task, long_id(CANCEL_RUN_ID_MAX), NULL, CANCEL_OUTCOME_STOPPED));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup(task, NULL));
	free(task);
}

Test(name_refused, hostile_ids_stay_inside_pending)
{
	static const char *const ids[] = {"/", "..", ".", "../x", "\n", "%", "@", "a/../../b", "..json", "x.json"};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		EXPECT(CANCEL_REQUESTED, ask(ids[i], NULL, NULL, NULL));
		EXPECT(CANCEL_LOOKUP_PENDING, lookup(ids[i], NULL));
		cr_assert_str_eq(found.task_id, ids[i]);
	}
	cr_assert_eq(count_in("pending"), (int)(sizeof(ids) / sizeof(ids[0])));
	cr_assert_eq(count_in("."), 8, "version, lock, bell and five directories");
	cr_assert_eq(access(at("../x.json"), F_OK), -1);
}
