#include <cancel/list.h>

#include "entry.h"
#include "error.h"
#include "scan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PATH_SIZE (sizeof DIR_PROCESSED "/" + NAME_FILE_SIZE)

struct listing {
	struct cancel_spool *spool;
	cancel_list_visit *visit;
	void *arg;
	enum spool_dir dir;
};

/* Read one entry: 1 to show it (`request` or `refusal`), 0 to pass it over, or a failure. */
static int read_entry(const struct listing *listing, const struct entry *entry, struct cancel_request *request,
		      struct cancel_error *refusal)
{
	bool pending = listing->dir == SPOOL_PENDING;
	struct standing standing;
	int code = pending ? entry_look(listing->spool, entry, &standing, refusal)
			   : entry_read_processed(listing->spool, entry, &standing, refusal);

	if (code == -EBADMSG || code == -EACCES)
		return 1;
	if (code == -EINPROGRESS)
		return 0;
	if (code < 0)
		return code;
	if (pending ? standing.pending : standing.processed)
		request_move(request, pending ? &standing.pending_request : &standing.processed_request);
	standing_clear(&standing);
	return request->task_id != NULL;
}

static int show(const struct listing *listing, const struct entry *entry, struct cancel_error *error)
{
	struct cancel_list_entry shown = {0};
	struct cancel_error refusal = {0};
	struct cancel_request request;
	char path[PATH_SIZE];
	int code = spool_enter(listing->spool, error);

	if (code < 0)
		return code;
	cancel_request_init(&request);
	code = read_entry(listing, entry, &request, &refusal);
	spool_leave(listing->spool);
	if (code < 0 && error)
		*error = refusal;
	if (code <= 0)
		return code;
	(void)snprintf(path, sizeof path, "%s/%s", listing->dir == SPOOL_PENDING ? DIR_PENDING : DIR_PROCESSED,
		       entry->file);
	shown.file = path;
	if (request.task_id)
		shown.request = &request;
	else
		shown.refusal = &refusal;
	code = listing->visit(listing->arg, &shown);
	cancel_request_clear(&request);
	return code;
}

static int list_directory(const struct listing *listing, struct cancel_error *error)
{
	struct entry entry;
	struct scan scan;
	const char *file;
	int code = scan_begin(&scan, listing->spool, listing->dir, error), ended = 0;

	if (code < 0)
		return code;
	while (code == 0 && (file = scan_next(&scan, &ended)))
		if (entry_from_file(&entry, file))
			code = show(listing, &entry, error);
	scan_close(&scan);
	if (code == 0 && ended < 0)
		code = error_system(error, ended, "cannot list spool '%s'", SPOOL_QUOTE(listing->spool));
	return code;
}

int cancel_spool_list(struct cancel_spool *spool, enum cancel_list_state state, cancel_list_visit *visit,
		      void *arg, struct cancel_error *error)
{
	struct listing listing = {spool, visit, arg, SPOOL_PENDING};
	int code = 0;

	if (state != CANCEL_LIST_PROCESSED)
		code = list_directory(&listing, error);
	listing.dir = SPOOL_PROCESSED;
	if (code == 0 && state != CANCEL_LIST_PENDING)
		code = list_directory(&listing, error);
	return code;
}
