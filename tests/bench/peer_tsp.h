/* task-spooler's server, on a socket of our own. */
#ifndef BENCH_PEER_TSP_H
#define BENCH_PEER_TSP_H

#include "place.h"

/* Debian's name of the program; task-spooler calls it ts. */
#define TSP "tsp"

/* From here on the environment names the socket. It is ended by peer_tsp_end, and with this process. */
void peer_tsp_start(const struct place *place);
void peer_tsp_end(void);

#endif
