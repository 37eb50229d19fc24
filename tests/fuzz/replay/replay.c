/*
 * A fuzzer without libFuzzer, for where there is no clang: every input of its corpus, then simple mutations
 * of them.
 *
 *     replay NAME CORPUS MILLISECONDS [SEED]
 *
 * At least MUTATIONS_MIN mutations are tried, however slow the machine. The last line is "NAME INPUTS
 * EXECUTIONS". An input that ends the program is left as NAME.crash in the directory that TMPDIR names.
 */
#include "../fuzzing.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	INPUTS_MAX = 1000,
	INPUT_MAX = 1 << 18,
	MUTATIONS_MIN = 200,
	STEPS_MAX = 6,   /* changes of one input */
	HANG_S = 60,     /* for one input */
	LOOK_EVERY = 16, /* executions between two looks at the clock */
};

static struct one {
	uint8_t *data;
	size_t size;
} inputs[INPUTS_MAX];

static size_t input_count;
static uint64_t chance_state;
static const char *fuzzer;
static uint8_t current[INPUT_MAX]; /* what is being tried */
static size_t current_size;

static uint64_t chance(uint64_t count)
{
	uint64_t x = chance_state += 0x9e3779b97f4a7c15U;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
	x = (x ^ x >> 27) * 0x94d049bb133111ebU;
	return (x ^ x >> 31) % count;
}

/* --- what ends it ------------------------------------------------------------------------------------- */

static void on_death(int number)
{
	static const char hung[] = "it hangs\n";
	const char *directory = getenv("TMPDIR");
	char path[512];
	int fd;

	if (number == SIGALRM)
		(void)!write(STDERR_FILENO, hung, sizeof(hung) - 1);
	(void)snprintf(path, sizeof(path), "%s/%s.crash", directory ? directory : "/tmp", fuzzer);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0)
		(void)!write(fd, current, current_size);
	(void)dprintf(STDERR_FILENO, "fuzz: %s: the input is in %s\n", fuzzer, fd >= 0 ? path : "no file");
	_exit(1);
}

static void run_current(void)
{
	/* Of the exact size, so that a checker of memory sees a read beyond it. */
	uint8_t *copy = malloc(current_size ? current_size : 1);

	check(copy != NULL);
	memcpy(copy, current, current_size);
	(void)alarm(HANG_S);
	(void)LLVMFuzzerTestOneInput(copy, current_size);
	(void)alarm(0);
	free(copy);
}

/* --- the corpus --------------------------------------------------------------------------------------- */

static void read_input(int directory_fd, const char *name)
{
	int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC);
	struct stat stat;
	struct one *one = &inputs[input_count];

	check(fd >= 0 && fstat(fd, &stat) == 0 && stat.st_size <= INPUT_MAX && input_count < INPUTS_MAX);
	one->size = (size_t)stat.st_size;
	one->data = malloc(one->size + 1);
	check(one->data && read(fd, one->data, one->size) == (ssize_t)one->size);
	(void)close(fd);
	input_count++;
}

/* In the order of their names, so that a seed means the same everywhere. */
static void read_corpus(const char *path)
{
	struct dirent **list;
	int count = scandir(path, &list, NULL, alphasort), directory_fd = open(path, O_RDONLY | O_CLOEXEC);

	check(count > 0 && directory_fd >= 0);
	for (int i = 0; i < count; i++) {
		if (list[i]->d_name[0] != '.')
			read_input(directory_fd, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	(void)close(directory_fd);
	check(input_count > 0);
}

/* --- mutations ---------------------------------------------------------------------------------------- */

/* What parsers look at, and spools are made of. */
static const char *const tokens[] = {
	"{",
	"}",
	"[",
	"]",
	":",
	",",
	"\"",
	"\\",
	"\n",
	"\t",
	"-",
	"--",
	"@",
	"%",
	"/",
	".",
	"..",
	"%2F",
	"%~",
	"@@",
	".json",
	".drop",
	".draft",
	"null",
	"true",
	"0",
	"-1",
	"9223372036854775807",
	"1e9",
	"task_id",
	"run",
	"\"task_id\": \"a\"",
	"\"status\": \"processed\"",
	"\"outcome\": \"stopped\"",
	"\"cancel_at\": ",
	"\"2026-11-20T10:11:12.123456Z\"",
	"\\u0000",
	"\\ud800",
	"\xef\xbb\xbf",
	"\xf4\x8f\xbf\xbf",
	"\xed\xa0\x80",
	"\xe2\x80\xae",
	"{task_id}",
	"{{",
	"*",
	"[!]",
	"5m",
	"0123456789abcdef0123456789abcdef",
};

static void insert(size_t at, const void *bytes, size_t length)
{
	if (length > INPUT_MAX - current_size)
		length = INPUT_MAX - current_size;
	memmove(current + at + length, current + at, current_size - at);
	memcpy(current + at, bytes, length);
	current_size += length;
}

static void cut(size_t at, size_t length)
{
	memmove(current + at, current + at + length, current_size - at - length);
	current_size -= length;
}

static void join(size_t at)
{
	const struct one *other = &inputs[chance(input_count)];
	size_t from = other->size ? chance(other->size) : 0;

	if (chance(2))
		current_size = at;
	insert(at, other->data + from, other->size - from ? 1 + chance(other->size - from) : 0);
}

static void mutate(void)
{
	size_t at = chance(current_size + 1), left = current_size - at;
	const char *token = tokens[chance(sizeof(tokens) / sizeof(tokens[0]))];
	uint8_t any = (uint8_t)chance(256);

	switch (chance(left ? 8 : 3)) {
	case 0:
		insert(at, token, strlen(token));
		break;
	case 1:
		join(at);
		break;
	case 2:
		insert(at, &any, 1);
		break;
	case 3:
		current[at] ^= (uint8_t)(1U << chance(8));
		break;
	case 4:
		current[at] = any;
		break;
	case 5:
		cut(at, 1 + chance(left));
		break;
	case 6:
		cut(at, 1 + chance(left < 8 ? left : 8));
		break;
	default:
		current[at] = (uint8_t)(current[at] + (chance(2) ? 1 : 0xff));
		break;
	}
}

static void try_mutation(void)
{
	const struct one *one = &inputs[chance(input_count)];

	current_size = one->size;
	memcpy(current, one->data, one->size);
	for (uint64_t steps = 1 + chance(STEPS_MAX); steps; steps--)
		mutate();
	run_current();
}

/* --- the whole ---------------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	int64_t ends_ms;
	unsigned long executions = 0;

	if (argc < 4) {
		(void)fputs("usage: replay NAME CORPUS MILLISECONDS [SEED]\n", stderr);
		return 2;
	}
	fuzzer = argv[1];
	chance_state = argc > 4 ? strtoull(argv[4], NULL, 10) : 1;
	ends_ms = now_ms() + strtol(argv[3], NULL, 10);
	for (int i = 0; i < 5; i++)
		(void)signal((const int[]){SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGALRM}[i], on_death);
	read_corpus(argv[2]);
	for (size_t i = 0; i < input_count; i++, executions++) {
		current_size = inputs[i].size;
		memcpy(current, inputs[i].data, current_size);
		run_current();
	}
	for (unsigned tried = 0; tried < MUTATIONS_MIN || tried % LOOK_EVERY || now_ms() < ends_ms;
	     tried++, executions++)
		try_mutation();
	(void)printf("%s %zu %lu\n", fuzzer, input_count, executions);
	for (size_t i = 0; i < input_count; i++)
		free(inputs[i].data);
	return 0;
}
