#include "shell_quote.h"

#include <cancel/text.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-"

/* Does the library escape anything but backslashes in it? Then a terminal must not see it as it is. */
static bool steers(const char *word, const char *escaped)
{
	for (; *word != '\0'; word++, escaped++) {
		if (*word == '\\')
			escaped++;
		else if (*word != *escaped)
			return true;
	}
	return false;
}

static void add_single_quoted(struct printer *out, const char *word)
{
	print_add(out, "'");
	for (; *word != '\0'; word++)
		print_add(out, *word == '\'' ? "'\\''" : "%c", *word);
	print_add(out, "'");
}

/* The library's escapes mean the same to a shell. A byte of two digits ends there. */
static void add_dollar_quoted(struct printer *out, const char *escaped)
{
	print_add(out, "$'");
	for (; *escaped != '\0'; escaped++)
		print_add(out, *escaped == '\'' ? "\\'" : "%c", *escaped);
	print_add(out, "'");
}

void shell_quote_word(struct printer *out, const char *word)
{
	size_t length = strlen(word);
	char *escaped;

	if (length > 0 && strspn(word, PLAIN) == length) {
		print_add(out, "%s", word);
		return;
	}
	escaped = malloc(CANCEL_ESCAPED_SIZE(length));
	if (escaped == NULL) {
		out->error = ENOMEM;
		return;
	}
	cancel_text_escape(escaped, CANCEL_ESCAPED_SIZE(length), word, length);
	if (steers(word, escaped))
		add_dollar_quoted(out, escaped);
	else
		add_single_quoted(out, word);
	free(escaped);
}

void shell_quote_list(struct printer *out, const char *const *words)
{
	for (size_t i = 0; words[i] != NULL; i++) {
		if (i > 0)
			print_add(out, " ");
		shell_quote_word(out, words[i]);
	}
}
