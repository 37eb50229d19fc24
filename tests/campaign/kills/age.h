/* Time that has passed: so that what a sweep leaves because it is young is old. */
#ifndef KILLS_AGE_H
#define KILLS_AGE_H

/* All clocks of this process show so much more than they do; 0: what they do. Children that are made
 * meanwhile too. */
void age_by(long seconds);

#endif
