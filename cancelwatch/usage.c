#include "usage.h"

#include <cancel/text.h>
#include <cancel/version.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_SIZE 256

void usage_complain(const char *help, const char *what, const char *text)
{
	char shown[SHOWN_SIZE];

	cancel_text_escape(shown, sizeof shown, text, strlen(text));
	(void)fprintf(stderr, "cancelwatch: %s '%s'; see '%s'\n", what, shown, help);
}

bool usage_show(const char *text)
{
	if (fputs(text, stdout) != EOF && fflush(stdout) != EOF)
		return true;
	(void)fprintf(stderr, "cancelwatch: cannot write to standard output: %s\n", strerror(errno));
	return false;
}

bool usage_show_version(void)
{
	char text[SHOWN_SIZE];

	(void)snprintf(text, sizeof text, "cancelwatch %s (libcancel %s)\n", CANCEL_VERSION,
		       cancel_version());
	return usage_show(text);
}
