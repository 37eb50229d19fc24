/* Numbers that whoever runs a test gives in the environment. */
#ifndef SUPPORT_ENVIRONMENT_H
#define SUPPORT_ENVIRONMENT_H

/* The value of `name`, if it is a number above 0 and of no more than a day's seconds. */
long environment_number(const char *name, long otherwise);

#endif
