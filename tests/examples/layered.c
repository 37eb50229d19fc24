/*
 * Layers of cancellation: the whole program, its layers, the requests of each. A scope follows the one around
 * it, so cancelling a layer stops its requests and nobody else, and each of them can tell what stopped it.
 *
 *     layered
 */
#include <cancel/cause.h>
#include <cancel/link.h>
#include <cancel/source.h>
#include <cancel/token.h>

#include <stdio.h>
#include <stdlib.h>

enum { PROGRAM, DATABASE, NETWORK, QUERY, BACKUP, DOWNLOAD, UPLOAD, SCOPES };

struct scope {
	const char *name;
	int around; /* the scope that it follows */
	struct cancel_source source;
	struct cancel_link link;
};

static struct scope scopes[SCOPES] = {
	[PROGRAM] = {.name = "the program"},
	[DATABASE] = {.name = "the database layer", .around = PROGRAM},
	[NETWORK] = {.name = "the network layer", .around = PROGRAM},
	[QUERY] = {.name = "query", .around = DATABASE},
	[BACKUP] = {.name = "backup", .around = DATABASE},
	[DOWNLOAD] = {.name = "download", .around = NETWORK},
	[UPLOAD] = {.name = "upload", .around = NETWORK},
};

static const struct cancel_cause hung_up = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "the client hung up");
static const struct cancel_cause maintenance = CANCEL_CAUSE_INIT(CANCEL_KIND_USER + 1, "maintenance begins");
static const struct cancel_cause the_end = CANCEL_CAUSE_INIT(CANCEL_KIND_SHUTDOWN, "the program ends");

/* From the root downwards: a source that has children cannot be moved deeper. */
static int link_scopes(void)
{
	for (int i = PROGRAM + 1; i < SCOPES; i++) {
		struct cancel_token around = cancel_source_token(&scopes[scopes[i].around].source);
		int linked = cancel_linked_init(&scopes[i].source, NULL, &scopes[i].link, &around, 1);

		if (linked < 0)
			return linked;
	}
	return 0;
}

/* The leaves first. The program's own link was never added, which is fine. */
static void end_scopes(void)
{
	for (int i = SCOPES - 1; i >= PROGRAM; i--)
		cancel_linked_fini(&scopes[i].source, &scopes[i].link, 1);
}

static const char *name_of(const struct cancel_source *source)
{
	for (int i = 0; i < SCOPES; i++)
		if (&scopes[i].source == source)
			return scopes[i].name;
	return "somebody";
}

static void print_requests(void)
{
	for (int i = QUERY; i < SCOPES; i++) {
		struct cancel_token token = cancel_source_token(&scopes[i].source);

		if (!cancel_token_requested(token))
			printf("  %s: goes on\n", scopes[i].name);
		else
			printf("  %s: stopped with %s, %s\n", scopes[i].name,
			       name_of(cancel_token_origin(token)), cancel_token_cause(token)->text);
	}
}

static void cancel_scope(int which, const struct cancel_cause *cause)
{
	printf("cancel %s: %s\n", scopes[which].name, cause->text);
	cancel_source_cancel(&scopes[which].source, cause);
	print_requests();
}

int main(void)
{
	if (link_scopes() < 0) {
		fprintf(stderr, "layered: more than %d layers\n", CANCEL_LINK_DEPTH_MAX);
		return EXIT_FAILURE;
	}
	cancel_scope(DOWNLOAD, &hung_up);
	cancel_scope(DATABASE, &maintenance);
	cancel_scope(PROGRAM, &the_end);
	end_scopes();
	return EXIT_SUCCESS;
}
