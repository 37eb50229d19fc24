/* A source's place among the links: how deep it is below its furthest root, and whether it has, or had,
 * children. */
#ifndef TOKEN_RANK_H
#define TOKEN_RANK_H

#define RANK_PARENT 128U
#define RANK_DEPTH  127U

#endif
