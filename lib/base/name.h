/* Ids become names of files. The encoding is injective and never yields ".", ".." or a slash: cancel-spool(5)
 * describes it so that every language can do it. */
#ifndef BASE_NAME_H
#define BASE_NAME_H

#include <cancel/error.h>
#include <cancel/limits.h>

#include <stdbool.h>
#include <stddef.h>

#define NAME_SIZE (CANCEL_NAME_MAX + 1)
#define NAME_SUFFIX ".json"
#define NAME_FILE_SIZE (NAME_SIZE + sizeof NAME_SUFFIX - 1)

/* Check an id: `what` ("task id", "run id") names it in the sentence. -EINVAL empty, -EILSEQ not UTF-8,
 * -ENAMETOOLONG. */
int name_check_id(const char *id, size_t max, const char *what, struct cancel_error *error);

/* Write the name of a task, or of one run of it, without the suffix. The ids must have been checked. */
void name_encode(char name[NAME_SIZE], const char *task_id, const char *run);

/* What a name says. */
enum name_kind {
	NAME_FOREIGN, /* not a name that name_encode writes */
	NAME_WHOLE,   /* `task_id` and `run` are known */
	NAME_HASHED,  /* too long: only the record knows */
};

struct name_ids {
	char task_id[CANCEL_NAME_MAX + 1];
	char run[CANCEL_NAME_MAX + 1];
	bool has_run;
};

enum name_kind name_decode(struct name_ids *ids, const char *name, size_t length);

/* Take ".json" off a file's name: the length of the name before it, or 0 when it is no request's file
 * (wrong ending, nothing before it, a leading dot, too long). */
size_t name_of_file(const char *file);

/* Append ".json". */
void name_to_file(char file[NAME_FILE_SIZE], const char *name);

#endif
