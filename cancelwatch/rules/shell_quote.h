/* A command as a line for a shell. */
#ifndef CANCELWATCH_SHELL_QUOTE_H
#define CANCELWATCH_SHELL_QUOTE_H

#include "print.h"

/* Add one word, quoted where a shell would take it for something else; what would steer a terminal as \xHH
 * within $'...'. */
void shell_quote_word(struct printer *out, const char *word);

/* Add all of a list that ends with NULL. */
void shell_quote_list(struct printer *out, const char *const *words);

#endif
