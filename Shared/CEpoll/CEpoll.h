// epoll(7) and eventfd(2), which Swift's module of the C library leaves out. Shared/RTSP/IO waits for its sockets with them.
#include <sys/epoll.h>
#include <sys/eventfd.h>
