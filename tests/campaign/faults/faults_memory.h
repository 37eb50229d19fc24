/* The program's own malloc and its relatives: counted, and made to fail. They come before the C library's.
 *
 * Under a sanitizer, which has functions of its own there, nothing is counted and nothing fails. */
#ifndef FAULTS_MEMORY_H
#define FAULTS_MEMORY_H

#include <stdbool.h>

/* Whether they are ours. */
bool faults_memory_works(void);

/* Of those that begin after the next call of getppid() and before the one after that (scenario.h's marks):
 * the `at`th one fails, the first being 0, and all after it if `on`. -1: none fails. */
void faults_memory_plan(int at, bool on);

/* Allocations between the marks so far, and how many of them failed. */
int faults_memory_count(void);
int faults_memory_failures(void);

/* How many are allocated now. */
long faults_memory_live(void);

#endif
