/* Lines for people and programs. A line is put together in memory and leaves in one write, so that a
 * reader sees whole lines only, however the process ends. Nothing from outside gets out raw. */
#ifndef CANCELWATCH_PRINT_H
#define CANCELWATCH_PRINT_H

#include <cancel/export.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct printer {
	int fd;
	bool quiet; /* print nothing */
	FILE *line; /* the line that is being put together, into `text` */
	char *text;
	size_t length;
	char *escaped; /* room for escaping */
	size_t escaped_size;
	bool closed; /* nobody reads any more: what follows is dropped */
	int error;   /* an errno: a line could not be written; what follows is dropped */
};

/* Returns 0 or -ENOMEM. */
int print_open(struct printer *out, int fd, bool quiet);
void print_close(struct printer *out);

/* Add words of our own to the line; every %s from outside must have been escaped. */
void print_add(struct printer *out, const char *format, ...) CANCEL_PRINTF(2, 3);
/* Add text from outside, escaped. NULL adds nothing. */
void print_text(struct printer *out, const char *text);
/* The same with spaces escaped too, so that it is one word whatever it holds. */
void print_word(struct printer *out, const char *text);
/* Add a JSON string, or null. Bytes that are not UTF-8 become U+FFFD; what would steer a terminal \uXXXX. */
void print_string(struct printer *out, const char *text);
/* Add JSON that is valid already, what would steer a terminal as \uXXXX. */
void print_json(struct printer *out, const char *json);
/* Add a time as a JSON string, or null when it is 0. */
void print_time(struct printer *out, int64_t time_us);
/* End the line and write it. */
void print_end(struct printer *out);

/* A time ago, in the unit that a person would choose: 90s, 12m, 5h, 3d. */
#define AGE_SIZE 32
char *age_text(char target[AGE_SIZE], int64_t age_us);

/* How long something took, rounded, in the unit that a person would choose: 512 ns, 33 us, 1 ms, 2 s,
 * 5 min. */
#define SPAN_SIZE 32
char *span_text(char target[SPAN_SIZE], int64_t span_ns);

int64_t wall_clock_us(void);

#endif
