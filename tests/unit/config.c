#include "config.h"

#include "document.h"
#include "rule_list.h"
#include "source.h"
#include "spool_dir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
	TIMEOUT_S = 20, /* for what would hang if it were wrong */
	SOMEBODY = 65534,
	CONFIG_SIZE_MAX = 1024 * 1024,
};

static struct spool_dir dir;
static struct cancel_config config;
static struct cancel_error error;

static void set_up(void)
{
	(void)unsetenv(CANCEL_CONFIG_VARIABLE);
	(void)unsetenv(CANCEL_SPOOL_VARIABLE);
	cancel_config_init(&config);
}

static void set_up_dir(void)
{
	set_up();
	spool_dir_make(&dir);
}

static void tear_down_dir(void)
{
	spool_dir_remove(&dir);
}

TestSuite(config, .init = set_up, .timeout = TIMEOUT_S);
TestSuite(config_file, .init = set_up_dir, .fini = tear_down_dir, .timeout = TIMEOUT_S);

static int read_bytes(const char *text, size_t size)
{
	return config_read(&config, "f.yaml", text, size, &error);
}

static int read_text(const char *text)
{
	return read_bytes(text, strlen(text));
}

static void assert_refused(const char *text, const char *sentence)
{
	cr_assert_eq(read_text(text), -EINVAL, "accepted: %s", text);
	cr_assert_eq(error.code, -EINVAL);
	cr_assert_str_eq(error.text, sentence);
}

struct refusal {
	const char *text;
	const char *sentence;
};

static void assert_all_refused(const struct refusal *refusals, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_refused(refusals[i].text, refusals[i].sentence);
}

static void assert_same_spool(const struct cancel_spool_options *one,
			      const struct cancel_spool_options *other)
{
	cr_assert_str_eq(one->path, other->path);
	cr_assert_eq(one->create, other->create);
	cr_assert_eq(one->mode, other->mode);
	cr_assert_eq(one->group, other->group);
	cr_assert_eq(one->owner, other->owner);
	cr_assert_eq(one->durability, other->durability);
	cr_assert_eq(one->expire_after_s, other->expire_after_s);
	cr_assert_eq(one->max_reason_bytes, other->max_reason_bytes);
	cr_assert_eq(one->trusted_count, other->trusted_count);
}

static void assert_same(const struct cancel_config *one, const struct cancel_config *other)
{
	assert_same_spool(&one->spool, &other->spool);
	cr_assert_str_eq(one->spool_path, other->spool_path);
	cr_assert_eq(one->sweep.keep_for_s, other->sweep.keep_for_s);
	cr_assert_eq(one->sweep.max_files_per_pass, other->sweep.max_files_per_pass);
	cr_assert_eq(one->sweep.dry_run, other->sweep.dry_run);
	cr_assert_eq(one->watch.mode, other->watch.mode);
	cr_assert_eq(one->watch.poll_interval_ms, other->watch.poll_interval_ms);
	cr_assert_eq(one->watch.rescan_interval_ms, other->watch.rescan_interval_ms);
	cr_assert_eq(one->watch.take_drops, other->watch.take_drops);
	cr_assert_eq(one->watch.skip_standing, other->watch.skip_standing);
	cr_assert_eq(one->sweep_interval_ms, other->sweep_interval_ms);
	cr_assert_eq(one->log_level, other->log_level);
	cr_assert_eq(one->log_json, other->log_json);
}

static void assert_defaults(void)
{
	struct cancel_config defaults;

	cancel_config_init(&defaults);
	assert_same(&config, &defaults);
}

Test(config, init_sets_the_defaults_that_the_manual_promises)
{
	memset(&config, 0xA5, sizeof config);
	cancel_config_init(&config);
	cr_assert_str_eq(config.file, "");
	cr_assert_str_eq(config.spool_path, "/tmp/task_cancellations");
	cr_assert_eq(config.spool.path, config.spool_path);
	cr_assert_eq(config.spool.mode, 0700);
	cr_assert_eq(config.spool.group, (gid_t)-1);
	cr_assert_eq(config.spool.owner, (uid_t)-1);
	cr_assert_eq(config.spool.durability, CANCEL_DURABILITY_NONE);
	cr_assert_eq(config.spool.trusted_count, 0);
	cr_assert_eq(config.spool.expire_after_s, 24 * 3600);
	cr_assert_eq(config.spool.max_reason_bytes, 4096);
	cr_assert_eq(config.sweep.keep_for_s, 24 * 3600);
	cr_assert_eq(config.sweep.max_files_per_pass, 0);
	cr_assert_eq(config.watch.mode, CANCEL_WATCH_AUTO);
	cr_assert_eq(config.watch.poll_interval_ms, 1000);
	cr_assert_eq(config.watch.rescan_interval_ms, 30 * 1000);
	cr_assert_eq(config.sweep_interval_ms, 60 * 1000);
	cr_assert_eq(config.log_level, CANCEL_LOG_INFO);
	cr_assert_not(config.log_json);
}

Test(config, every_key_reaches_its_field)
{
	cr_assert_eq(read_text("spool:\n"
			       "  path: /srv/cancel\n"
			       "  mode: 02770\n"
			       "  group: 12\n"
			       "  owner: 34\n"
			       "  durability: full\n"
			       "  trusted_users:\n"
			       "    - 56\n"
			       "    - \"root\"\n"
			       "request:\n"
			       "  expire_after: 7d\n"
			       "  max_reason_bytes: 100\n"
			       "processed: {keep_for: 90s}\n"
			       "watch:\n"
			       "  mode: poll\n"
			       "  poll_interval: 250ms\n"
			       "  rescan_interval: 2m\n"
			       "sweep:\n"
			       "  interval: 3h\n"
			       "  max_files_per_pass: 5000\n"
			       "log:\n"
			       "  level: debug\n"
			       "  format: json\n"),
		     0, "%s", error.text);
	cr_assert_str_eq(config.spool.path, "/srv/cancel");
	cr_assert_eq(config.spool.path, config.spool_path);
	cr_assert_eq(config.spool.mode, 02770);
	cr_assert_eq(config.spool.group, 12);
	cr_assert_eq(config.spool.owner, 34);
	cr_assert_eq(config.spool.durability, CANCEL_DURABILITY_FULL);
	cr_assert_eq(config.spool.trusted_count, 2);
	cr_assert_eq(config.spool.trusted_users[0], 56);
	cr_assert_eq(config.spool.trusted_users[1], 0);
	cr_assert_eq(config.spool.expire_after_s, 7 * 86400);
	cr_assert_eq(config.spool.max_reason_bytes, 100);
	cr_assert_eq(config.sweep.keep_for_s, 90);
	cr_assert_eq(config.watch.mode, CANCEL_WATCH_POLL);
	cr_assert_eq(config.watch.poll_interval_ms, 250);
	cr_assert_eq(config.watch.rescan_interval_ms, 120 * 1000);
	cr_assert_eq(config.sweep_interval_ms, 3 * 3600 * 1000);
	cr_assert_eq(config.sweep.max_files_per_pass, 5000);
	cr_assert_eq(config.log_level, CANCEL_LOG_DEBUG);
	cr_assert(config.log_json);
}

Test(config, every_word_reaches_its_value)
{
	static const struct {
		const char *text;
		const int *field;
		int value;
	} words[] = {
		{"spool: {durability: none}", (const int *)&config.spool.durability, CANCEL_DURABILITY_NONE},
		{"spool: {durability: file}", (const int *)&config.spool.durability, CANCEL_DURABILITY_FILE},
		{"spool: {durability: full}", (const int *)&config.spool.durability, CANCEL_DURABILITY_FULL},
		{"watch: {mode: inotify}", (const int *)&config.watch.mode, CANCEL_WATCH_INOTIFY},
		{"watch: {mode: poll}", (const int *)&config.watch.mode, CANCEL_WATCH_POLL},
		{"watch: {mode: auto}", (const int *)&config.watch.mode, CANCEL_WATCH_AUTO},
		{"log: {level: error}", (const int *)&config.log_level, CANCEL_LOG_ERROR},
		{"log: {level: warning}", (const int *)&config.log_level, CANCEL_LOG_WARNING},
		{"log: {level: debug}", (const int *)&config.log_level, CANCEL_LOG_DEBUG},
		{"log: {level: info}", (const int *)&config.log_level, CANCEL_LOG_INFO},
	};

	for (size_t i = 0; i < COUNT(words); i++) {
		cr_assert_eq(read_text(words[i].text), 0, "%s", error.text);
		cr_assert_eq(*words[i].field, words[i].value, "%s", words[i].text);
	}
	cr_assert_eq(read_text("log: {format: json}"), 0);
	cr_assert(config.log_json);
	cr_assert_eq(read_text("log: {format: text}"), 0);
	cr_assert_not(config.log_json);
}

Test(config, files_that_say_nothing_leave_the_defaults)
{
	static const char *const texts[] = {
		"",
		"\n\n",
		"# only a comment\n",
		"---\n",
		"---\n...\n",
		"~\n",
		"null\n",
		"{}\n",
		"spool:\n",
		"spool: ~\n",
		"spool: {}\nlog: null\n",
		"\xEF\xBB\xBF",
		"%YAML 1.1\n---\n",
		"spool:\n  # path: /x\nlog:\n",
	};

	for (size_t i = 0; i < COUNT(texts); i++) {
		cr_assert_eq(read_text(texts[i]), 0, "%zu: %s", i, error.text);
		assert_defaults();
	}
}

Test(config, a_mode_is_octal_however_it_is_written)
{
	static const struct {
		const char *text;
		mode_t mode;
	} modes[] = {
		{"spool: {mode: 0700}", 0700},      {"spool: {mode: '0770'}", 0770},
		{"spool: {mode: \"2770\"}", 02770}, {"spool: {mode: 750}", 0750},
		{"spool:\n  mode: 02700\n", 02700},
	};

	for (size_t i = 0; i < COUNT(modes); i++) {
		cr_assert_eq(read_text(modes[i].text), 0, "%s", error.text);
		cr_assert_eq(config.spool.mode, modes[i].mode, "%s", modes[i].text);
	}
}

#define MODE_SENTENCE                                                                                     \
	"f.yaml:1:15: spool.mode: expected an octal mode with all for the owner and nothing for others: " \
	"0700, or "                                                                                       \
	"2770 to share with a group, found "

Test(config, a_mode_that_no_spool_may_have_is_refused)
{
	static const struct refusal refusals[] = {
		{"spool: {mode: 0600}", MODE_SENTENCE "'0600'"},
		{"spool: {mode: 0777}", MODE_SENTENCE "'0777'"},
		{"spool: {mode: 0705}", MODE_SENTENCE "'0705'"},
		{"spool: {mode: 1770}", MODE_SENTENCE "'1770'"},
		{"spool: {mode: 4700}", MODE_SENTENCE "'4700'"},
		{"spool: {mode: 0800}", MODE_SENTENCE "'0800'"},
		{"spool: {mode: 0o700}", MODE_SENTENCE "'0o700'"},
		{"spool: {mode: 000700}", MODE_SENTENCE "'000700'"},
		{"spool: {mode: -700}", MODE_SENTENCE "'-700'"},
		{"spool: {mode: rwx}", MODE_SENTENCE "'rwx'"},
		{"spool: {mode: ''}", MODE_SENTENCE "''"},
	};

	assert_all_refused(refusals, COUNT(refusals));
}

Test(config, both_edges_of_each_range_are_in_and_the_next_values_out)
{
	static const struct {
		const char *text;
		const char *in[3];
		const char *out[4];
	} ranges[] = {
		{"request: {expire_after: %s}", {"1s", "3660d", "never"}, {"0s", "999ms", "1500ms", "3661d"}},
		{"request: {max_reason_bytes: %s}", {"0", "32768"}, {"-1", "32769", "0100", "1e3"}},
		{"processed: {keep_for: %s}", {"1s", "3660d"}, {"0s", "1001ms", "316224001s", "never"}},
		{"watch: {poll_interval: %s}", {"10ms", "1h"}, {"9ms", "0s", "3601s", "3600001ms"}},
		{"watch: {rescan_interval: %s}", {"1s", "1d"}, {"999ms", "86401s", "0ms", "86400001ms"}},
		{"sweep: {interval: %s}", {"1s", "24h"}, {"999ms", "86400001ms", "2d", "1"}},
		{"sweep: {max_files_per_pass: %s}", {"0", "1000000000"}, {"1000000001", "-1", "00", "1.0"}},
		{"spool: {owner: %s}",
		 {"0", "4294967294"},
		 {"4294967295", "-1", "007", "99999999999999999999"}},
		{"spool: {group: %s}",
		 {"0", "4294967294"},
		 {"4294967295", "-1", "007", "99999999999999999999"}},
	};
	char text[128];

	for (size_t i = 0; i < COUNT(ranges); i++) {
		for (size_t j = 0; j < COUNT(ranges[i].in) && ranges[i].in[j]; j++) {
			(void)snprintf(text, sizeof text, ranges[i].text, ranges[i].in[j]);
			cr_assert_eq(read_text(text), 0, "%s: %s", text, error.text);
		}
		for (size_t j = 0; j < COUNT(ranges[i].out); j++) {
			(void)snprintf(text, sizeof text, ranges[i].text, ranges[i].out[j]);
			cr_assert_eq(read_text(text), -EINVAL, "accepted: %s", text);
		}
	}
}

Test(config, never_is_kept_as_never)
{
	cr_assert_eq(read_text("request: {expire_after: never}"), 0);
	cr_assert_eq(config.spool.expire_after_s, CANCEL_EXPIRES_NEVER);
}

Test(config, the_largest_ids_are_kept_exactly)
{
	cr_assert_eq(read_text("spool: {owner: 4294967294, group: 4294967294}"), 0);
	cr_assert_eq(config.spool.owner, (uid_t)4294967294);
	cr_assert_eq(config.spool.group, (gid_t)4294967294);
}

Test(config, names_of_users_and_groups_are_looked_up)
{
	const struct passwd *user = getpwnam("daemon");
	uid_t uid;
	const struct group *group;

	cr_assert(user);
	uid = user->pw_uid;
	group = getgrnam("daemon");
	cr_assert(group);
	cr_assert_eq(read_text("spool: {owner: daemon, group: daemon, trusted_users: [daemon, root]}"), 0,
		     "%s", error.text);
	cr_assert_eq(config.spool.owner, uid);
	cr_assert_eq(config.spool.group, group->gr_gid);
	cr_assert_eq(config.spool.trusted_users[0], uid);
	cr_assert_eq(config.spool.trusted_users[1], 0);
}

static void write_users(char *text, size_t size, int count)
{
	size_t used = (size_t)snprintf(text, size, "spool: {trusted_users: [");

	for (int i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, size - used, "%d,", i);
	(void)snprintf(text + used, size - used, "]}");
}

Test(config, as_many_users_are_trusted_as_there_is_room_for)
{
	char text[1024];

	write_users(text, sizeof text, CANCEL_TRUSTED_USERS_MAX);
	cr_assert_eq(read_text(text), 0, "%s", error.text);
	cr_assert_eq(config.spool.trusted_count, CANCEL_TRUSTED_USERS_MAX);
	cr_assert_eq(config.spool.trusted_users[CANCEL_TRUSTED_USERS_MAX - 1], CANCEL_TRUSTED_USERS_MAX - 1);
	write_users(text, sizeof text, CANCEL_TRUSTED_USERS_MAX + 1);
	assert_refused(text, "f.yaml:1:207: spool.trusted_users[64]: expected at most 64 values, found '64'");
}

Test(config, a_bad_value_is_told_with_place_key_and_what_was_expected)
{
	static const struct refusal refusals[] = {
		{"\nwatch:\n  poll_interval: often\n",
		 "f.yaml:3:18: watch.poll_interval: expected a duration from 10ms to 1h (like 500ms, 30s, "
		 "10m), found "
		 "'often'"},
		{"request: {expire_after: 24}", "f.yaml:1:25: request.expire_after: expected a duration in "
						"whole seconds from 1s to 3660d (like 30s, "
						"10m, 24h) or never, found '24'"},
		{"processed: {keep_for: never}", "f.yaml:1:23: processed.keep_for: expected a duration in "
						 "whole seconds from 1s to 3660d (like 30s, 10m, "
						 "24h), found 'never'"},
		{"request: {max_reason_bytes: 4k}", "f.yaml:1:29: request.max_reason_bytes: expected a whole "
						    "number from 0 to 32768, found '4k'"},
		{"spool: {durability: Full}",
		 "f.yaml:1:21: spool.durability: expected none, file or full, found 'Full'"},
		{"log: {level: \"\"}",
		 "f.yaml:1:14: log.level: expected error, warning, info or debug, found ''"},
		{"log: {format: xml}", "f.yaml:1:15: log.format: expected text or json, found 'xml'"},
		{"spool: {path: spool}", "f.yaml:1:15: spool.path: expected an absolute path, found 'spool'"},
		{"spool: {path: ''}", "f.yaml:1:15: spool.path: expected an absolute path, found ''"},
		{"spool: {path: \"/a\\0b\"}",
		 "f.yaml:1:15: spool.path: expected an absolute path, found '/a\\x00b'"},
		{"spool: {owner: no-such-user}", "f.yaml:1:16: spool.owner: expected an existing user's "
						 "name, or a uid, found 'no-such-user'"},
		{"spool: {group: no-such-group}", "f.yaml:1:16: spool.group: expected an existing group's "
						  "name, or a gid, found 'no-such-group'"},
		{"spool: {owner: ''}",
		 "f.yaml:1:16: spool.owner: expected an existing user's name, or a uid, found ''"},
		{"spool:\n  trusted_users:\n    - root\n    - \"\\e[2J\"\n",
		 "f.yaml:4:7: spool.trusted_users[1]: expected an existing user's name, or a uid, found "
		 "'\\x1B[2J'"},
	};

	assert_all_refused(refusals, COUNT(refusals));
}

Test(config, a_path_has_room_up_to_the_systems_limit)
{
	char text[CANCEL_PATH_MAX + 64] = "spool: {path: /";
	size_t begin = strlen(text);

	memset(text + begin, 'a', CANCEL_PATH_MAX - 2);
	(void)strcpy(text + begin + CANCEL_PATH_MAX - 2, "}");
	cr_assert_eq(read_text(text), 0, "%s", error.text);
	cr_assert_eq(strlen(config.spool_path), CANCEL_PATH_MAX - 1);
	(void)strcpy(text + begin + CANCEL_PATH_MAX - 2, "a}");
	cr_assert_eq(read_text(text), -EINVAL);
	cr_assert(strstr(error.text,
			 "f.yaml:1:15: spool.path: expected an absolute path of at most 4095 bytes, found "
			 "'/aaa"),
		  "%s", error.text);
}

Test(config, a_wrong_type_is_refused)
{
	static const struct refusal refusals[] = {
		{"spool: {path: [/a]}", "f.yaml:1:15: spool.path: expected an absolute path, found a list"},
		{"spool:\n  path:\n    a: /b\n",
		 "f.yaml:3:5: spool.path: expected an absolute path, found keys"},
		{"log: {level: ~}",
		 "f.yaml:1:14: log.level: expected error, warning, info or debug, found nothing"},
		{"log:\n  level:\n",
		 "f.yaml:2:9: log.level: expected error, warning, info or debug, found nothing"},
		{"spool: {trusted_users: root}", "f.yaml:1:24: spool.trusted_users: expected a list of "
						 "users' names or uids (like [alice, 1001]), found "
						 "'root'"},
		{"spool: {trusted_users: }", "f.yaml:1:24: spool.trusted_users: expected a list of users' "
					     "names or uids (like [alice, 1001]), found "
					     "nothing"},
		{"spool: {trusted_users: [[root]]}", "f.yaml:1:25: spool.trusted_users[0]: expected an "
						     "existing user's name, or a uid, found a list"},
		{"log: debug", "f.yaml:1:6: log: expected keys (level, format), found 'debug'"},
		{"log: [debug]", "f.yaml:1:6: log: expected keys (level, format), found a list"},
		{"log: ''", "f.yaml:1:6: log: expected keys (level, format), found ''"},
		{"hello",
		 "f.yaml:1:1: expected keys (spool, request, processed, watch, sweep, log, rules), found 'hello'"},
		{"- a",
		 "f.yaml:1:1: expected keys (spool, request, processed, watch, sweep, log, rules), found a list"},
		{"? [a]\n: b\n", "f.yaml:1:3: expected a key, found a list"},
		{"? {a: b}\n: c\n", "f.yaml:1:3: expected a key, found keys"},
	};

	assert_all_refused(refusals, COUNT(refusals));
}

#define ROOT_KEYS  "expected one of the keys spool, request, processed, watch, sweep, log, rules, found "
#define WATCH_KEYS "expected one of the keys mode, poll_interval, rescan_interval, found "

Test(config, an_unknown_key_is_told_with_the_keys_there_are_and_the_nearest)
{
	static const struct refusal refusals[] = {
		{"spol: {}", "f.yaml:1:1: " ROOT_KEYS "'spol'; did you mean 'spool'?"},
		{"Watch: {}", "f.yaml:1:1: " ROOT_KEYS "'Watch'; did you mean 'watch'?"},
		{"color: red", "f.yaml:1:1: " ROOT_KEYS "'color'"},
		{"<<: {}", "f.yaml:1:1: " ROOT_KEYS "'<<'"},
		{"'': {}", "f.yaml:1:1: " ROOT_KEYS "''"},
		{"watch:\n  poll-interval: 1s\n",
		 "f.yaml:2:3: watch: " WATCH_KEYS "'poll-interval'; did you mean 'poll_interval'?"},
		{"watch:\n  mode: poll\n  x: 1s\n", "f.yaml:3:3: watch: " WATCH_KEYS "'x'"},
		{"watch: {\"mode\\0\": poll}", "f.yaml:1:9: watch: " WATCH_KEYS "'mode\\x00'"},
		{"processed: {max_reason_bytes: 1}",
		 "f.yaml:1:13: processed: expected one of the keys keep_for, found "
		 "'max_reason_bytes'; did you mean 'max_reason_bytes' under "
		 "'request'?"},
		{"path: /x", "f.yaml:1:1: " ROOT_KEYS "'path'; did you mean 'path' under 'spool'?"},
		{"spool.path: /x",
		 "f.yaml:1:1: " ROOT_KEYS "'spool.path'; did you mean 'path' under 'spool'?"},
		{"watch: {a_key_that_is_longer_than_any_key_there_could_be: 1}",
		 "f.yaml:1:9: watch: " WATCH_KEYS "'a_key_that_is_longer_than_any_key_there_could_be'"},
	};

	assert_all_refused(refusals, COUNT(refusals));
}

Test(config, a_key_given_twice_is_refused)
{
	static const struct refusal refusals[] = {
		{"log:\n  level: info\n  level: info\n",
		 "f.yaml:3:3: log.level: expected once, found again after line 2"},
		{"log:\n  level: info\nwatch:\nlog:\n  format: json\n",
		 "f.yaml:4:1: log: expected once, found again after line 1"},
		{"spool: {trusted_users: [], trusted_users: []}",
		 "f.yaml:1:28: spool.trusted_users: expected once, found again after line 1"},
	};

	assert_all_refused(refusals, COUNT(refusals));
}

Test(config, yaml_that_says_more_than_it_shows_is_refused)
{
	static const struct refusal refusals[] = {
		{"log: &a {level: info}",
		 "f.yaml:1:6: expected a value without anchor and tag, found the anchor 'a'"},
		{"log: {level: &b info}",
		 "f.yaml:1:14: expected a value without anchor and tag, found the anchor 'b'"},
		{"spool: {trusted_users: &c []}",
		 "f.yaml:1:24: expected a value without anchor and tag, found the anchor 'c'"},
		{"log: *a", "f.yaml:1:6: expected a value, found the alias 'a'"},
		{"log: {level: !!str info}", "f.yaml:1:14: expected a value without anchor and tag, found "
					     "the tag 'tag:yaml.org,2002:str'"},
		{"---\nlog: {}\n---\nlog: {}\n", "f.yaml:3:1: expected one document, found another"},
	};

	assert_all_refused(refusals, COUNT(refusals));
}

Test(config, text_that_is_not_yaml_is_refused_with_its_place)
{
	static const struct refusal refusals[] = {
		{"log:\n\tlevel: info\n", "f.yaml:2:1: expected spaces as indentation, found a tab"},
		{"log:\n  format: text\n  \tlevel: info\n",
		 "f.yaml:3:3: expected spaces as indentation, found a tab"},
		{"log: {level: info",
		 "f.yaml:2:1: not valid YAML: did not find expected ',' or '}' while parsing a "
		 "flow mapping"},
		{"log:\n  level: info: x\n",
		 "f.yaml:2:14: not valid YAML: mapping values are not allowed in this context"},
		{"log: 'a\n",
		 "f.yaml:2:1: not valid YAML: found unexpected end of stream while scanning a quoted "
		 "scalar"},
		{"# caf\xC3\xA9\n# \xC3\xA9 caf\xE9!\n",
		 "f.yaml:2:8: expected UTF-8 text without control characters, found '\\xE9'"},
		{"a\xC3", "f.yaml:1:2: expected UTF-8 text without control characters, found '\\xC3'"},
		{"log:\n  level: \x1B[2J\n",
		 "f.yaml:2:10: expected UTF-8 text without control characters, found '\\x1B'"},
		{"\xFF\xFEl\n", "f.yaml:1:1: expected UTF-8 text without control characters, found '\\xFF'"},
	};

	assert_all_refused(refusals, COUNT(refusals));
	cr_assert_eq(read_bytes("\0\0", 2), -EINVAL);
	cr_assert_str_eq(error.text,
			 "f.yaml:1:1: expected UTF-8 text without control characters, found '\\x00'");
}

Test(config, a_byte_order_mark_moves_no_place)
{
	cr_assert_eq(read_text("\xEF\xBB\xBFlog: {level: debug}\n"), 0, "%s", error.text);
	cr_assert_eq(config.log_level, CANCEL_LOG_DEBUG);
	assert_refused("\xEF\xBB\xBFlogs: {}", "f.yaml:1:1: " ROOT_KEYS "'logs'; did you mean 'log'?");
}

Test(config, columns_are_counted_in_characters)
{
	assert_refused("log: {\"l\xC3\xA9vel\": 1}",
		       "f.yaml:1:7: log: expected one of the keys level, format, found "
		       "'l\xC3\xA9vel'; did you mean 'level'?");
	assert_refused("log: {format: \"\xC3\xA9\"}",
		       "f.yaml:1:15: log.format: expected text or json, found '\xC3\xA9'");
	assert_refused("log: {format: text, level: \xC3\xA9, x: 1}",
		       "f.yaml:1:28: log.level: expected error, warning, info or debug, found '\xC3\xA9'");
}

Test(config, windows_line_ends_are_line_ends)
{
	cr_assert_eq(read_text("log:\r\n  level: debug\r\n"), 0, "%s", error.text);
	cr_assert_eq(config.log_level, CANCEL_LOG_DEBUG);
	assert_refused("log:\r\n  level: loud\r\n",
		       "f.yaml:2:10: log.level: expected error, warning, info or debug, found 'loud'");
}

Test(config, the_longest_sentence_fits)
{
	char name[2000], text[4096];

	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	(void)snprintf(text, sizeof text, "spool: {%.*s: 1}", 1000, name);
	cr_assert_eq(config_read(&config, name, text, strlen(text), &error), -EINVAL);
	cr_assert(strstr(error.text, "spool: expected one of the keys path,"), "%s", error.text);
	(void)snprintf(text, sizeof text, "spool: {mode: %.*s}", 1000, name);
	cr_assert_eq(config_read(&config, name, text, strlen(text), &error), -EINVAL);
	cr_assert_eq(error.text[strlen(error.text) - 1], '\'');
}

static int accept_anything(void *arg, const struct document_node *node, struct cancel_error *unused)
{
	size_t *deepest = arg;

	(void)unused;
	if (node->depth > *deepest)
		*deepest = node->depth;
	return 0;
}

Test(config, a_document_is_walked_to_its_limit_and_no_deeper)
{
	size_t deepest = 0;

	cr_assert_eq(
		document_read("f.yaml", "[{a: [{b: [[{c: [1]}]]}]}]", 26, accept_anything, &deepest, &error),
		0, "%s", error.text);
	cr_assert_eq(deepest, DOCUMENT_DEPTH_MAX);
	cr_assert_eq(
		document_read("f.yaml", "[{a: [{b: [[{c: [[]]}]]}]}]", 27, accept_anything, &deepest, &error),
		-EINVAL);
	cr_assert_str_eq(error.text,
			 "f.yaml:1:18: [0].a[0].b[0][0].c[0]: expected fewer levels, found a list");
}

Test(config, nobody_need_want_the_sentence)
{
	cr_assert_eq(config_read(&config, "f.yaml", "x", 1, NULL), -EINVAL);
	cr_assert_eq(config_read(&config, "f.yaml", "\t", 1, NULL),
		     config_read(&config, "f.yaml", "\t", 1, &error));
	cr_assert_eq(cancel_config_load(&config, "/dev/null/none", NULL), -ENOTDIR);
}

/* Files. */

static const char *file_path(const char *name)
{
	static char path[2][CANCEL_PATH_MAX];
	static size_t turn;

	turn = !turn;
	(void)snprintf(path[turn], sizeof path[turn], "%s/%s", dir.root, name);
	return path[turn];
}

static const char *write_file(const char *name, const char *text)
{
	const char *path = file_path(name);
	FILE *file = fopen(path, "w");

	cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
	cr_assert_eq(chmod(path, 0644), 0);
	return path;
}

Test(config_file, load_reads_the_file_and_says_which)
{
	const char *path = write_file("a.yaml", "spool: {path: /a}\nlog: {level: error}\n");

	memset(&config, 0xA5, sizeof config);
	cr_assert_eq(cancel_config_load(&config, path, &error), 0, "%s", error.text);
	cr_assert_str_eq(config.file, path);
	cr_assert_eq(config.spool.path, config.spool_path);
	cr_assert_str_eq(config.spool_path, "/a");
	cr_assert_eq(config.log_level, CANCEL_LOG_ERROR);
	cr_assert_eq(config.watch.poll_interval_ms, 1000);
}

Test(config_file, a_failure_leaves_the_caller_s_configuration_alone)
{
	struct cancel_config before;
	char sentence[CANCEL_PATH_MAX];
	const char *path = write_file("a.yaml", "spool: {path: /a}\nlog: {level: loud}\n");

	memset(&config, 0xA5, sizeof config);
	before = config;
	cr_assert_eq(cancel_config_load(&config, path, &error), -EINVAL);
	cr_assert_eq(memcmp(&config, &before, sizeof config), 0);
	(void)snprintf(sentence, sizeof sentence,
		       "%s:2:14: log.level: expected error, warning, info or debug, found 'loud'", path);
	cr_assert_str_eq(error.text, sentence);
}

Test(config_file, a_success_leaves_the_error_alone)
{
	error = (struct cancel_error){.code = 7, .text = "before"};
	cr_assert_eq(cancel_config_load(&config, write_file("a.yaml", ""), &error), 0);
	cr_assert_eq(error.code, 7);
	cr_assert_str_eq(error.text, "before");
}

Test(config_file, the_environment_is_stronger_than_the_file_and_the_file_than_the_default)
{
	const char *path = write_file("a.yaml", "spool: {path: /from/file}\n");

	(void)setenv(CANCEL_SPOOL_VARIABLE, "/from/environment", 1);
	cr_assert_eq(cancel_config_load(&config, path, &error), 0);
	cr_assert_str_eq(config.spool.path, "/from/environment");
	(void)setenv(CANCEL_SPOOL_VARIABLE, "", 1);
	cr_assert_eq(cancel_config_load(&config, path, &error), 0);
	cr_assert_str_eq(config.spool.path, "/from/file");
	cr_assert_eq(cancel_config_load(&config, write_file("b.yaml", ""), &error), 0);
	cr_assert_str_eq(config.spool.path, CANCEL_SPOOL_DEFAULT);
}

Test(config_file, a_relative_spool_in_the_environment_is_refused)
{
	(void)setenv(CANCEL_SPOOL_VARIABLE, "x", 1);
	cr_assert_eq(cancel_config_load(&config, write_file("a.yaml", ""), &error), -EINVAL);
	cr_assert_str_eq(error.text, "TASK_CANCELLATION_DIR: expected an absolute path, found 'x'");
}

Test(config_file, the_given_file_is_stronger_than_the_one_in_the_environment)
{
	const char *named = write_file("named.yaml", "log: {level: debug}\n");

	(void)setenv(CANCEL_CONFIG_VARIABLE, named, 1);
	cr_assert_eq(cancel_config_load(&config, NULL, &error), 0, "%s", error.text);
	cr_assert_str_eq(config.file, named);
	cr_assert_eq(config.log_level, CANCEL_LOG_DEBUG);
	cr_assert_eq(cancel_config_load(&config, write_file("given.yaml", "log: {level: error}\n"), &error),
		     0);
	cr_assert_eq(config.log_level, CANCEL_LOG_ERROR);
}

Test(config_file, a_file_that_was_named_must_exist)
{
	char sentence[CANCEL_PATH_MAX];
	const char *path = file_path("none.yaml");

	cr_assert_eq(cancel_config_load(&config, path, &error), -ENOENT);
	(void)snprintf(sentence, sizeof sentence, "cannot read configuration '%s': No such file or directory",
		       path);
	cr_assert_str_eq(error.text, sentence);
	(void)setenv(CANCEL_CONFIG_VARIABLE, path, 1);
	cr_assert_eq(cancel_config_load(&config, NULL, &error), -ENOENT);
	(void)snprintf(sentence, sizeof sentence,
		       "cannot read configuration '%s', named by CANCEL_CONFIG: No such file or directory",
		       path);
	cr_assert_str_eq(error.text, sentence);
}

Test(config_file, only_the_default_file_may_be_missing)
{
	struct source source;

	(void)setenv(CANCEL_CONFIG_VARIABLE, "", 1);
	source = source_find(NULL);
	cr_assert_str_eq(source.path, "/etc/cancel/cancel.yaml");
	cr_assert(source.may_miss);
	cr_assert_not(source_find("/etc/cancel/cancel.yaml").may_miss);
	(void)setenv(CANCEL_CONFIG_VARIABLE, "/etc/cancel/cancel.yaml", 1);
	cr_assert_not(source_find(NULL).may_miss);
}

Test(config_file, without_any_file_the_defaults_hold)
{
	if (access(CANCEL_CONFIG_DEFAULT, F_OK) == 0)
		cr_skip_test("this machine has " CANCEL_CONFIG_DEFAULT);
	cr_assert_eq(cancel_config_load(&config, NULL, &error), 0, "%s", error.text);
	cr_assert_str_eq(config.file, "");
	assert_defaults();
}

Test(config_file, missing_means_not_there_and_nothing_else)
{
	char *text;
	size_t size;
	struct source source = {.path = file_path("none"), .may_miss = true};

	cr_assert_eq(source_read(&source, &text, &size, &error), 0);
	source.path = "/dev/null/none";
	cr_assert_eq(source_read(&source, &text, &size, &error), 0);
	cr_assert_eq(symlink("loop", file_path("loop")), 0);
	source.path = file_path("loop");
	cr_assert_eq(source_read(&source, &text, &size, &error), -ELOOP);
	source.path = write_file("secret.yaml", "");
	cr_assert_eq(chmod(source.path, 0), 0);
	if (geteuid() == 0)
		cr_assert_eq(seteuid(SOMEBODY), 0);
	cr_assert_eq(source_read(&source, &text, &size, &error), -EACCES);
	if (getuid() == 0)
		cr_assert_eq(seteuid(0), 0);
}

Test(config_file, only_regular_files_are_read_and_nothing_is_waited_for)
{
	char sentence[CANCEL_PATH_MAX];
	const char *fifo = file_path("fifo");

	cr_assert_eq(mkfifo(fifo, 0600), 0);
	cr_assert_eq(cancel_config_load(&config, fifo, &error), -ENXIO);
	(void)snprintf(sentence, sizeof sentence,
		       "cannot read configuration '%s': a FIFO, not a regular file", fifo);
	cr_assert_str_eq(error.text, sentence);
	cr_assert_eq(cancel_config_load(&config, dir.root, &error), -EISDIR);
	(void)snprintf(sentence, sizeof sentence,
		       "cannot read configuration '%s': a directory, not a regular file", dir.root);
	cr_assert_str_eq(error.text, sentence);
	cr_assert_eq(cancel_config_load(&config, "/dev/null", &error), -ENXIO);
}

Test(config_file, a_link_to_a_file_is_followed)
{
	(void)write_file("a.yaml", "log: {level: debug}\n");
	cr_assert_eq(symlink("a.yaml", file_path("link.yaml")), 0);
	cr_assert_eq(cancel_config_load(&config, file_path("link.yaml"), &error), 0, "%s", error.text);
	cr_assert_eq(config.log_level, CANCEL_LOG_DEBUG);
}

static const char *write_comment(size_t size)
{
	static char text[CONFIG_SIZE_MAX + 2];

	memset(text, ' ', size);
	memcpy(text, "#", 1);
	text[size] = '\0';
	return write_file("large.yaml", text);
}

Test(config_file, a_mebibyte_is_read_and_no_byte_more)
{
	char sentence[CANCEL_PATH_MAX];
	const char *path = write_comment(CONFIG_SIZE_MAX);

	cr_assert_eq(cancel_config_load(&config, path, &error), 0, "%s", error.text);
	path = write_comment(CONFIG_SIZE_MAX + 1);
	cr_assert_eq(cancel_config_load(&config, path, &error), -EINVAL);
	(void)snprintf(sentence, sizeof sentence, "%s: expected at most 1048576 bytes, found more", path);
	cr_assert_str_eq(error.text, sentence);
}

Test(config_file, no_descriptor_stays_open)
{
	const char *path = write_file("a.yaml", "");
	int before = dup(0);

	(void)close(before);
	cr_assert_eq(cancel_config_load(&config, path, &error), 0);
	cr_assert_lt(cancel_config_load(&config, dir.root, &error), 0);
	cr_assert_eq(dup(0), before);
}

Test(config, root_believes_only_what_nobody_else_can_write)
{
	static const struct {
		struct stat stat;
		bool safe;
	} files[] = {
		{{.st_mode = 0644}, true},
		{{.st_mode = 0664}, true},
		{{.st_mode = 0666}, false},
		{{.st_mode = 0602}, false},
		{{.st_mode = 0644, .st_gid = 100}, true},
		{{.st_mode = 0664, .st_gid = 100}, false},
		{{.st_mode = 0600, .st_uid = 1000}, false},
	};

	for (size_t i = 0; i < COUNT(files); i++) {
		cr_assert_eq(source_is_safe(&files[i].stat, 0), files[i].safe, "%zu", i);
		cr_assert(source_is_safe(&files[i].stat, 1000));
	}
}

Test(config_file, a_file_that_others_can_write_is_refused_to_root)
{
	char sentence[CANCEL_PATH_MAX];
	const char *path = write_file("a.yaml", "");

	if (geteuid() != 0)
		cr_skip_test("only root is in danger");
	cr_assert_eq(chmod(path, 0666), 0);
	cr_assert_eq(cancel_config_load(&config, path, &error), -EPERM);
	(void)snprintf(sentence, sizeof sentence,
		       "cannot use configuration '%s': owned by uid 0, gid 0, mode 0666, so that others than "
		       "root can "
		       "change it; run chown root:root and chmod go-w on it",
		       path);
	cr_assert_str_eq(error.text, sentence);
	cr_assert_eq(chmod(path, 0644), 0);
	cr_assert_eq(chown(path, 1000, 0), 0);
	cr_assert_eq(cancel_config_load(&config, path, &error), -EPERM);
	cr_assert_eq(chown(path, 0, 0), 0);
	cr_assert_eq(cancel_config_load(&config, path, &error), 0);
}

Test(config_file, a_file_that_others_can_write_is_read_by_others)
{
	const char *path = write_file("a.yaml", "log: {level: debug}\n");

	cr_assert_eq(chmod(path, 0666), 0);
	cr_assert_eq(chmod(dir.root, 0711), 0);
	if (geteuid() == 0)
		cr_assert_eq(seteuid(SOMEBODY), 0);
	cr_assert_eq(cancel_config_load(&config, path, &error), 0, "%s", error.text);
	if (getuid() == 0)
		cr_assert_eq(seteuid(0), 0);
	cr_assert_eq(config.log_level, CANCEL_LOG_DEBUG);
}

/* What is shipped. */

#define SAMPLE SOURCE_DIR "/conf/cancel.yaml"
#define MANUAL SOURCE_DIR "/man/cancel.yaml.5"

static char *slurp(const char *path)
{
	static char text[64 * 1024];
	FILE *file = fopen(path, "r");
	size_t size;

	cr_assert(file, "%s", path);
	size = fread(text, 1, sizeof text - 1, file);
	(void)fclose(file);
	text[size] = '\0';
	return text;
}

Test(config, the_sample_gives_exactly_the_defaults)
{
	cr_assert_eq(read_text(slurp(SAMPLE)), 0, "%s", error.text);
	assert_defaults();
}

/* What it shows of a rule, with the comment signs taken off, is one, and all of its values are the defaults. */
Test(config, the_sample_of_a_rule_gives_exactly_the_defaults)
{
	static const char *const values[] = {"\n  # - match: ", "\n  #   exec: ", "\n  #   timeout: ", "\n  #   decide: ",
					     "\n  #   max_parallel: ", "\n  #   retry: ", "\n  #   retry_interval: ",
					     "\n  #   allow_options: "};
	const char *sample = slurp(SAMPLE);
	struct cancel_rules rules = {.count = 0};
	char text[1024] = "rules:";

	for (size_t i = 0; i < COUNT(values); i++) {
		const char *at = strstr(sample, values[i]);

		cr_assert(at, "%s", values[i]);
		at += strlen("\n  # ");
		(void)sprintf(text + strlen(text), "\n  %.*s", (int)strcspn(at, "\n"), at);
	}
	cr_assert_eq(config_read_rules(&config, &rules, "f.yaml", text, strlen(text), &error), 0, "%s",
		     error.text);
	cr_assert_eq(rules.count, 1);
	cr_assert_eq(rules.list[0].timeout_ms, 30 * 1000);
	cr_assert_eq(rules.list[0].decide, CANCEL_RULE_BY_EXIT_STATUS);
	cr_assert_eq(rules.list[0].max_parallel, 4);
	cr_assert_eq(rules.list[0].retries, 5);
	cr_assert_eq(rules.list[0].retry_interval_ms, 1000);
	cr_assert_not(rules.list[0].allow_options);
	rule_list_free(&rules);
}

/* Does a line between the section's head and the next one's begin with the entry? */
static bool shows(const char *text, const char *head, const char *next_head, const char *entry)
{
	const char *begin = strstr(text, head);
	const char *end = begin ? strstr(begin + strlen(head), next_head) : NULL;
	const char *at = begin ? strstr(begin, entry) : NULL;

	return at && (!end || at < end);
}

Test(config, the_sample_shows_every_key_in_its_section)
{
	const char *text = slurp(SAMPLE), *section, *name;
	char head[64], entry[64], commented[64], of_rule[64];

	for (size_t i = 0; config_key(i, &section, &name); i++) {
		(void)snprintf(head, sizeof head, "\n%s:\n", section);
		(void)snprintf(entry, sizeof entry, "\n  %s: ", name);
		(void)snprintf(commented, sizeof commented, "\n  # %s: ", name);
		(void)snprintf(of_rule, sizeof of_rule, "\n  # %s %s: ", strcmp(name, "match") ? " " : "-", name);
		cr_assert(shows(text, head, "\n\n#", entry) || shows(text, head, "\n\n#", commented) ||
				  shows(text, head, "\n\n#", of_rule),
			  "%s.%s", section, name);
	}
}

Test(config, the_manual_describes_every_key_in_its_section)
{
	const char *text = slurp(MANUAL), *section, *name;
	char head[64], entry[64];

	for (size_t i = 0; config_key(i, &section, &name); i++) {
		(void)snprintf(head, sizeof head, "\n.Ss %s\n", section);
		(void)snprintf(entry, sizeof entry, "\n.It Ic %s : ", name);
		cr_assert(shows(text, head, "\n.Ss ", entry), "%s.%s", section, name);
	}
}
