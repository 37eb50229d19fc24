/* SHA-256 (FIPS 180-4), for names that are too long: every language has it at hand, and nobody can choose two
 * ids that share a name. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>

#define SHA256_SIZE 32

void sha256(unsigned char digest[SHA256_SIZE], const void *data, size_t size);

#endif
