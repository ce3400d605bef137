// epoll(7), which Swift's module of the C library leaves out. Shared/RTSP/IO waits for its sockets with it.
#include <sys/epoll.h>
