// Makes this process the parent of the daemons that its children leave behind, so that it learns how they end. prctl has a
// variable number of arguments, which Swift cannot call.
#ifndef CSUBREAPER_H
#define CSUBREAPER_H

#include <stdbool.h>

bool csubreaper_become(void);

#endif
