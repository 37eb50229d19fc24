/* Is the configuration understood? */
#include "log.h"
#include "verbs.h"

#include <cancel/config.h>

#include <errno.h>

int check_config_run(const struct options *options, struct printer *out)
{
	struct cancel_config config;
	struct cancel_error error;
	int result = cancel_config_load(
		&config, options->operand != NULL ? options->operand : options->config, &error);

	if (result < 0) {
		(void)fail(&error);
		return result == -EINVAL ? EXIT_NO : EXIT_SYSTEM;
	}
	if (config.file[0] == '\0') {
		print_add(out, "no configuration file: the defaults apply");
	} else {
		print_text(out, config.file);
		print_add(out, ": ok");
	}
	print_end(out);
	return EXIT_YES;
}
