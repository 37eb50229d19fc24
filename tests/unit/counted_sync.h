/* The syncs that the library asks for, counted; a test may make one fail, or do something at that very moment. */
#ifndef UNIT_COUNTED_SYNC_H
#define UNIT_COUNTED_SYNC_H

struct sync_counts {
	int fsync, fdatasync, syncfs;
};

extern struct sync_counts syncs;
extern int sync_errno;            /* not 0: every sync fails so */
extern void (*sync_hook)(void);   /* called once, before the next sync */

#endif
