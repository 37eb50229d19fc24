/* Peers in other languages: a program each that measures all its rows, run once, when the first of them is
 * wanted, on the processor that the benchmark is on. */
#ifndef BENCH_PEER_PROGRAM_H
#define BENCH_PEER_PROGRAM_H

enum peer_program {
	PEER_GO,
	PEER_TOKIO,
	PEER_PROGRAM_COUNT,
};

/* What the program says that one operation takes. */
double peer_program_ns(enum peer_program program, const char *operation);

/* What is not installed, so that there is no such program; NULL if there is one. */
const char *peer_program_lacks_go(void);
const char *peer_program_lacks_tokio(void);

#endif
