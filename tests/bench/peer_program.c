#include "peer_program.h"

#include "harness.h"
#include "process.h"

#include <string.h>
#include <unistd.h>

#define FIGURES_MAX 8

struct figure {
	char operation[32];
	double ns;
};

static struct program {
	const char *path;
	const char *packages;
	struct figure figures[FIGURES_MAX];
	size_t count;
} programs[PEER_PROGRAM_COUNT] = {
	[PEER_GO] = {.path = BUILD_DIR "/tests/bench/peers/go", .packages = "Go (golang-go)"},
	[PEER_TOKIO] = {.path = BUILD_DIR "/tests/bench/peers/tokio",
			.packages = "tokio-util (cargo, librust-tokio-util-dev)"},
};

/* Lines "operation nanoseconds". */
static void run(struct program *program)
{
	const char *length = bench_count(1, 0) ? "full" : "short";
	struct figure *figure = program->figures;
	FILE *output;
	pid_t pid;

	pid = process_start(PROCESS_ARGUMENTS(program->path, length), &output);
	while (program->count < FIGURES_MAX &&
	       fscanf(output, "%31s %lf", figure->operation, &figure->ns) == 2) {
		program->count++;
		figure++;
	}
	(void)fclose(output);
	process_end(pid);
}

double peer_program_ns(enum peer_program which, const char *operation)
{
	struct program *program = &programs[which];

	if (!program->count)
		run(program);
	for (size_t i = 0; i < program->count; i++)
		if (strcmp(program->figures[i].operation, operation) == 0)
			return program->figures[i].ns;
	bench_fail("'%s' gave no figure for '%s'", program->path, operation);
}

static const char *lacks(const struct program *program)
{
	return access(program->path, X_OK) == 0 ? NULL : program->packages;
}

const char *peer_program_lacks_go(void)
{
	return lacks(&programs[PEER_GO]);
}

const char *peer_program_lacks_tokio(void)
{
	return lacks(&programs[PEER_TOKIO]);
}
