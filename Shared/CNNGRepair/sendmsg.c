// sendmsg as nng 1.5 needs it: a peer that closed its end is ECONNRESET, never EPIPE.
//
// nng 1.5.2 turns EPIPE into NNG_ECLOSED, which is also its word for "our own endpoint was closed". A listener that gets it
// while it greets a new connection stops accepting for good, and a dialer stops connecting for good: whoever connects to a
// service's socket and closes at once (a port scan, a neighbour that is killed at that moment, a second instance that asks
// whether the socket is alive) makes the service deaf until it is restarted, while its callers see an open connection on
// which nothing is ever answered. From ECONNRESET both recover at once. Later versions of nng have the defect repaired;
// with them this does no harm, because to every caller of sendmsg the two errors mean the same.
//
// The dynamic linker resolves libnng's sendmsg to this one, because the executable comes before libc.
// Tests/Unit/RPC/HostileTests.swift fails without it.
#define _GNU_SOURCE
#include "CNNGRepair.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((used, visibility("default"))) ssize_t sendmsg(int socket, const struct msghdr *message, int flags) {
    ssize_t sent = syscall(SYS_sendmsg, socket, message, flags);
    if (sent < 0 && errno == EPIPE) {
        errno = ECONNRESET;
    }
    return sent;
}

bool cnngrepair_is_in_force(void) { return dlsym(RTLD_DEFAULT, "sendmsg") == (void *)sendmsg; }
