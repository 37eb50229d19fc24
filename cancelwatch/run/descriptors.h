/* Descriptors that a supervisor will need when it is to stop something: it is too late then to find that
 * there are none. */
#ifndef CANCELWATCH_DESCRIPTORS_H
#define CANCELWATCH_DESCRIPTORS_H

/* Raise this process's limit if it is low and may be raised; what is run gets it back as it was. Returns 0,
 * or -EMFILE, -ENFILE: there are too few all the same. */
int descriptors_make_room(void);

#endif
