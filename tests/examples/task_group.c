/*
 * One request for all of a tenant: tasks listen to further ids, and none of them decides a request for such
 * an id. It stands, and stops those that begin later too, until somebody withdraws it. What each task says at
 * its end is its own record, with the id that stopped it.
 *
 *     task_group
 */
#include <cancel/manager.h>
#include <cancel/request.h>
#include <cancel/spool.h>
#include <cancel/task.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#define ACME  "tenant_acme"
#define OTHER "tenant_other"

static struct cancel_manager *manager;

static void give_up(const struct cancel_error *error)
{
	fprintf(stderr, "task_group: %s\n", error->text);
	exit(EXIT_FAILURE);
}

static struct cancel_task *begin(const char *task_id, const char *tenant)
{
	const char *const also[] = {tenant, "all"};
	struct cancel_task_options options;
	struct cancel_error error;
	struct cancel_task *task;
	int result;

	cancel_task_options_init(&options);
	options.also = also;
	options.also_count = sizeof also / sizeof also[0];
	result = cancel_task_begin(&task, manager, task_id, &options, &error);
	if (result < 0)
		give_up(&error);
	printf("%s begins%s\n", task_id, result == 1 ? ", and is cancelled already" : "");
	return task;
}

static void work(const char *task_id, struct cancel_task *task)
{
	struct cancel_error error;
	struct cancel_why why;
	int decided;

	if (!cancel_task_checkpoint(task)) {
		printf("%s goes on\n", task_id);
		return;
	}
	cancel_task_why(task, &why);
	printf("%s stops for %s: %s\n", task_id, why.id, why.text);
	decided = cancel_task_end(task, CANCEL_OUTCOME_STOPPED, NULL, &error);
	if (decided < 0)
		give_up(&error);
	printf("%s has decided %d requests\n", task_id, decided);
}

static void show(const char *task_id)
{
	struct cancel_request request;
	struct cancel_error error;
	int where;

	cancel_request_init(&request);
	where = cancel_spool_lookup(cancel_manager_spool(manager), task_id, NULL, &request, &error);
	if (where < 0)
		give_up(&error);
	if (where == CANCEL_LOOKUP_PENDING)
		printf("%s: pending\n", task_id);
	else
		printf("%s: %s, for %s\n", task_id, cancel_outcome_text(request.outcome),
		       request.group ? request.group : "itself");
	cancel_request_clear(&request);
}

static void withdraw(const char *id)
{
	struct cancel_error error;

	if (cancel_spool_decide(cancel_manager_spool(manager), id, NULL, NULL, CANCEL_OUTCOME_WITHDRAWN, NULL,
				NULL, &error) < 0)
		give_up(&error);
	printf("the request for %s is withdrawn\n", id);
}

static void run_tenants(void)
{
	struct cancel_task *report = begin("report", ACME), *backup = begin("backup", ACME);
	struct cancel_task *mail = begin("mail", OTHER), *late;
	struct cancel_error error;

	if (cancel_manager_cancel(manager, ACME, "the contract has ended", &error) < 0)
		give_up(&error);
	work("report", report);
	work("backup", backup);
	work("mail", mail);
	show("report");
	show(ACME);
	late = begin("late", ACME);
	work("late", late);
	withdraw(ACME);
	late = begin("late", ACME);
	work("late", late);
	cancel_task_end(late, CANCEL_OUTCOME_FINISHED, NULL, NULL);
	cancel_task_end(mail, CANCEL_OUTCOME_FINISHED, NULL, NULL);
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *position)
{
	(void)stat;
	(void)type;
	(void)position;
	return remove(path);
}

int main(void)
{
	char directory[] = "/tmp/cancel-example-XXXXXX";
	struct cancel_error error;

	if (!mkdtemp(directory) || setenv(CANCEL_SPOOL_VARIABLE, directory, 1) < 0)
		return EXIT_FAILURE;
	if (cancel_manager_open(&manager, NULL, &error) < 0)
		give_up(&error);
	run_tenants();
	cancel_manager_close(manager);
	nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return EXIT_SUCCESS;
}
