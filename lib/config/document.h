/* YAML text as a walk over what it says. The only file behind this header that knows libyaml.
 *
 * The dialect is small on purpose: one document, UTF-8, plain keys. Anchors, aliases and tags are refused, so
 * that a small file cannot stand for a large one and every value stands where it is read. Every value is
 * text: `0700`, `off` and `1e3` arrive as they were written. */
#ifndef CONFIG_DOCUMENT_H
#define CONFIG_DOCUMENT_H

#include <cancel/error.h>

#include <stdbool.h>
#include <stddef.h>

enum {
	DOCUMENT_DEPTH_MAX = 8, /* lists and maps inside one another */
};

enum document_kind {
	DOCUMENT_TEXT,
	DOCUMENT_LIST,
	DOCUMENT_MAP,
};

/* Line and column as editors count them: from 1, the column in characters. */
struct document_place {
	size_t line, column;
};

/* A value, and where it stands. Borrowed for the visit; `parent` too. */
struct document_node {
	const char *file;                   /* as given to document_read */
	const struct document_node *parent; /* NULL: the root */
	size_t depth;                       /* 0: the root */
	enum document_kind kind;
	struct document_place place;

	/* Of a value in a map. The text may hold NULs; one more follows it. */
	const char *key;
	size_t key_length;
	struct document_place key_place;

	size_t index; /* of a value in a list, from 0 */

	/* Of a DOCUMENT_TEXT; as for the key. */
	const char *text;
	size_t length;
	bool plain; /* not quoted, nor a block */
};

/* Is it YAML's nothing: no text at all, `~` or `null`, unquoted? */
bool document_is_nothing(const struct document_node *node);

/* Called for each value, a map or list before what is in it. 0 to go on; a negative errno ends the walk. */
typedef int document_visit(void *arg, const struct document_node *node, struct cancel_error *error);

/* Walk over `text`. An empty text, or one of comments only, has no root. `file` is for the sentences.
 * Returns 0, what `visit` returned, -EINVAL for what is not YAML of this dialect, or -ENOMEM. */
int document_read(const char *file, const char *text, size_t size, document_visit *visit, void *arg,
		  struct cancel_error *error);

/* Say `FILE:LINE:COLUMN: key.path: expected ..., found '...'` of a value; returns -EINVAL. */
int document_expected(const struct document_node *node, const char *expected, struct cancel_error *error);

/* Room for a path as document_path writes it. */
#define DOCUMENT_PATH_SIZE 128

/* Write "spool.trusted_users[3]", escaped, cut when it does not fit; "" for the root. */
const char *document_path(char path[DOCUMENT_PATH_SIZE], const struct document_node *node);

#endif
