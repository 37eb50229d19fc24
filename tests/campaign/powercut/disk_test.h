/* The model of a disk, tried on journals that are so short that all outcomes can be written down. */
#ifndef POWERCUT_DISK_TEST_H
#define POWERCUT_DISK_TEST_H

/* What does not hold is a violation. */
void disk_test(void);

#endif
