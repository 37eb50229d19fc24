/* Run a command as a task. */
#include "face.h"
#include "run_options.h"
#include "verbs.h"

int run_run(int argc, char **argv)
{
	struct run_options options;
	int result = run_options_parse(&options, argc, argv);

	return result == RUN_OPTIONS_GO_ON ? face_run(&options) : result;
}
