#include "asking.h"
#include "process.h"

#include <criterion/criterion.h>

static struct cancel_spool *open_spool(const char *path)
{
	struct cancel_spool_options options;
	struct cancel_spool *spool = NULL;
	struct cancel_error error = {0};

	cancel_spool_options_init(&options);
	options.path = path;
	options.create = true;
	cr_assert_eq(cancel_spool_open(&spool, &options, &error), 0, "%s", error.text);
	return spool;
}

void asking_make(const char *spool_path)
{
	cancel_spool_close(open_spool(spool_path));
}

void asking_request(const char *spool_path, const char *task_id, const char *reason, int64_t expires_in_s)
{
	struct cancel_spool *spool = open_spool(spool_path);
	struct cancel_request request;
	struct cancel_error error = {0};

	cancel_request_init(&request);
	request.task_id = task_id;
	request.reason = reason;
	request.requester.name = "alice";
	request.expires_in_s = expires_in_s;
	cr_assert_eq(cancel_spool_request(spool, &request, NULL, &error), CANCEL_REQUESTED, "%s", error.text);
	cancel_request_clear(&request);
	cancel_spool_close(spool);
}

struct name {
	const char *spool_path;
	const char *task_id;
};

static bool is_expired(void *arg)
{
	const struct name *name = arg;
	struct cancel_spool *spool = open_spool(name->spool_path);
	struct cancel_request request;
	bool expired;

	cancel_request_init(&request);
	(void)cancel_spool_lookup(spool, name->task_id, NULL, &request, NULL);
	expired = cancel_request_expired(&request);
	cancel_request_clear(&request);
	cancel_spool_close(spool);
	return expired;
}

void asking_expired(const char *spool_path, const char *task_id)
{
	struct name name = {spool_path, task_id};

	asking_request(spool_path, task_id, "soon over", 1);
	cr_assert(wait_until(is_expired, &name, PROCESS_TIMEOUT_MS), "'%s' does not expire", task_id);
}

void asking_decide(const char *spool_path, const char *task_id, enum cancel_outcome outcome,
		   const char *detail)
{
	struct cancel_spool *spool = open_spool(spool_path);
	struct cancel_error error = {0};
	int result = cancel_spool_decide(spool, task_id, NULL, NULL, outcome, detail, NULL, &error);

	cr_assert_eq(result, CANCEL_DECIDED, "%s", error.text);
	cancel_spool_close(spool);
}

enum cancel_lookup asking_lookup(const char *spool_path, const char *task_id)
{
	struct cancel_spool *spool = open_spool(spool_path);
	struct cancel_error error = {0};
	int result = cancel_spool_lookup(spool, task_id, NULL, NULL, &error);

	cr_assert_geq(result, 0, "%s", error.text);
	cancel_spool_close(spool);
	return (enum cancel_lookup)result;
}

static int count_entry(void *arg, const struct cancel_list_entry *entry)
{
	(void)entry;
	++*(int *)arg;
	return 0;
}

int asking_count(const char *spool_path)
{
	struct cancel_spool *spool = open_spool(spool_path);
	struct cancel_error error = {0};
	int count = 0;
	int result = cancel_spool_list(spool, CANCEL_LIST_ALL, count_entry, &count, &error);

	cr_assert_eq(result, 0, "%s", error.text);
	cancel_spool_close(spool);
	return count;
}
