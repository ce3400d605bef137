// Repairs two defects of nng 1.5; see sendmsg.c.
#ifndef CNNGREPAIR_H
#define CNNGREPAIR_H

#include <stdbool.h>

// Whether nng's calls of sendmsg come to the one in sendmsg.c.
bool cnngrepair_is_in_force(void);

#endif
