#include "sha256.h"

#include "process.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *hex_of(const void *data, size_t size)
{
	static char hex[2 * SHA256_SIZE + 1];
	unsigned char digest[SHA256_SIZE];

	sha256(digest, data, size);
	for (size_t i = 0; i < SHA256_SIZE; i++)
		(void)sprintf(hex + 2 * i, "%02x", digest[i]);
	return hex;
}

Test(sha256, the_standards_examples_come_out)
{
	cr_assert_str_eq(hex_of("", 0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	cr_assert_str_eq(hex_of("abc", 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	cr_assert_str_eq(hex_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56),
			 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

Test(sha256, a_million_bytes_come_out)
{
	char *million = malloc(1000000);

	memset(million, 'a', 1000000);
	cr_assert_str_eq(hex_of(million, 1000000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(million);
}

/* Every length around the edges of blocks and of the padding. */
Test(sha256, pythons_hashlib_agrees_on_every_length_to_200)
{
	static const char script[] = "import hashlib\n"
				     "for n in range(201): print(hashlib.sha256(bytes((i * 7 + n) % 256 for i in "
				     "range(n))).hexdigest())\n";
	struct process python;
	char *line, *rest;

	process_run(&python, WORDS("python3", "-c", script), NULL, NULL);
	cr_assert_eq(python.exit_code, 0, "%s", python.err);
	rest = python.out;
	for (size_t n = 0; n <= 200; n++) {
		unsigned char data[200];

		for (size_t i = 0; i < n; i++)
			data[i] = (unsigned char)(i * 7 + n);
		line = strsep(&rest, "\n");
		cr_assert_str_eq(hex_of(data, n), line, "length %zu", n);
	}
	process_free(&python);
}
