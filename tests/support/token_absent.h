/* A kernel that lacks a system call. */
#ifndef SUPPORT_TOKEN_ABSENT_H
#define SUPPORT_TOKEN_ABSENT_H

/* From now on the call fails with ENOSYS, for this thread and those that it starts. Skips the test where that
 * cannot be arranged. */
void token_absent_call(long number);

#endif
