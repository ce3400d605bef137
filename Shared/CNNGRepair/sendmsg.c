// sendmsg as nng 1.5 needs it, where the peer has closed its end (EPIPE, ECONNRESET). Calls that do not come from libnng
// see what the kernel says.
//
// 1. In the greeting, the first eight bytes of a connection, such a peer is ECONNRESET. nng 1.5.2 turns EPIPE into
//    NNG_ECLOSED, which is also its word for "our own endpoint was closed": a listener that gets it stops accepting for
//    good, and a dialer stops connecting for good. Whoever connects to a service's socket and closes at once (a port scan,
//    a neighbour that is killed at that moment, a second instance that asks whether the socket is alive) would make the
//    service deaf until it is restarted, while its callers see a connection on which nothing is ever answered. From
//    ECONNRESET both recover at once.
//
// 2. After the greeting the bytes count as sent, as they do when a peer dies a moment later. nng has a read under way on
//    every connection; that finds the end and closes the connection. Closed by a failed send instead, while a message is
//    half read, the read is neither continued nor completed (nni_aio_begin refuses a stopped aio without its callback),
//    and nng's one reaper thread waits for it for ever: no connection of the process is closed or made again after that.
//
// Later versions of nng have both repaired; with them this does no harm. The dynamic linker resolves libnng's sendmsg to
// this one, because the executable comes before libc. Tests/Unit/RPC/HostileTests.swift fails without it.
#define _GNU_SOURCE
#include "CNNGRepair.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// Whether the code at this address is libnng's.
static bool is_in_nng(const void *address) {
    Dl_info caller, nng;
    void *known = dlsym(RTLD_DEFAULT, "nng_version");
    return known != NULL && dladdr(known, &nng) != 0 && dladdr(address, &caller) != 0 &&
           caller.dli_fbase == nng.dli_fbase;
}

static bool is_greeting(const struct msghdr *message) {
    return message->msg_iovlen == 1 && message->msg_iov[0].iov_len == 8 &&
           memcmp(message->msg_iov[0].iov_base, "\0SP\0", 4) == 0;
}

__attribute__((used, visibility("default"))) ssize_t sendmsg(int socket, const struct msghdr *message, int flags) {
    ssize_t sent = syscall(SYS_sendmsg, socket, message, flags);
    if (sent >= 0 || (errno != EPIPE && errno != ECONNRESET)) {
        return sent;
    }
    int reason = errno;
    if (!is_in_nng(__builtin_return_address(0))) {
        errno = reason;
        return -1;
    }
    if (is_greeting(message)) {
        errno = ECONNRESET;
        return -1;
    }
    sent = 0;
    for (size_t part = 0; part < message->msg_iovlen; part++) {
        sent += (ssize_t)message->msg_iov[part].iov_len;
    }
    return sent;
}

bool cnngrepair_is_in_force(void) { return dlsym(RTLD_DEFAULT, "sendmsg") == (void *)sendmsg; }
