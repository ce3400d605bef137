// The exchange of `Tests/bench rpc` in plain C with nng, the least that any program can pay for it.
//
//   nng-peer serve URL                            answers each request with the message that came; says "ready"
//   nng-peer call URL BYTES CALLS IN_FLIGHT WARM  one line per call: its nanoseconds; last the line "total NANOSECONDS"
//
// The server has 64 contexts, as RPCServer has at least, each answered from nng's callback. A caller with one call in flight
// uses the socket itself (nng_sendmsg, nng_recvmsg); with more, a thread and a context for each.
#define _GNU_SOURCE
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void check(int result, const char *what) {
    if (result != 0) {
        fprintf(stderr, "nng-peer: %s: %s\n", what, nng_strerror(result));
        exit(1);
    }
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

// --- Server ----------------------------------------------------------------------------------------------------------------

typedef struct {
    nng_ctx context;
    nng_aio *aio;
    int is_sending;
} slot;

static void progressed(void *argument) {
    slot *s = argument;
    if (nng_aio_result(s->aio) != 0) {
        return;
    }
    if (!s->is_sending) {
        s->is_sending = 1;
        nng_aio_set_msg(s->aio, nng_aio_get_msg(s->aio));
        nng_ctx_send(s->context, s->aio);
    } else {
        s->is_sending = 0;
        nng_ctx_recv(s->context, s->aio);
    }
}

static int serve(const char *url) {
    nng_socket socket;
    check(nng_rep0_open(&socket), "open");
    check(nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, 0), "size");
    check(nng_listen(socket, url, NULL, 0), url);
    for (int i = 0; i < 64; i++) {
        slot *s = calloc(1, sizeof *s);
        check(nng_aio_alloc(&s->aio, progressed, s), "aio");
        check(nng_ctx_open(&s->context, socket), "context");
        nng_ctx_recv(s->context, s->aio);
    }
    puts("ready");
    fflush(stdout);
    char byte;
    while (read(0, &byte, 1) > 0) {
    }
    return 0;
}

// --- Caller ----------------------------------------------------------------------------------------------------------------

typedef struct {
    nng_socket socket;
    nng_ctx context;
    size_t bytes;
    long calls;
    int64_t *latencies_ns;
} caller;

static nng_msg *request_of(size_t bytes) {
    nng_msg *message;
    check(nng_msg_alloc(&message, bytes), "message");
    memset(nng_msg_body(message), 7, bytes);
    return message;
}

// Each call makes its request anew, as every caller of the other peers must.
static void one_after_the_other(caller *c) {
    for (long i = 0; i < c->calls; i++) {
        int64_t start = now_ns();
        nng_msg *message = request_of(c->bytes);
        check(nng_sendmsg(c->socket, message, 0), "send");
        check(nng_recvmsg(c->socket, &message, 0), "receive");
        nng_msg_free(message);
        c->latencies_ns[i] = now_ns() - start;
    }
}

static void *in_a_context(void *argument) {
    caller *c = argument;
    nng_aio *aio;
    check(nng_aio_alloc(&aio, NULL, NULL), "aio");
    for (long i = 0; i < c->calls; i++) {
        int64_t start = now_ns();
        nng_aio_set_msg(aio, request_of(c->bytes));
        nng_ctx_send(c->context, aio);
        nng_aio_wait(aio);
        check(nng_aio_result(aio), "send");
        nng_ctx_recv(c->context, aio);
        nng_aio_wait(aio);
        check(nng_aio_result(aio), "receive");
        nng_msg_free(nng_aio_get_msg(aio));
        c->latencies_ns[i] = now_ns() - start;
    }
    nng_aio_free(aio);
    return NULL;
}

static int64_t run(nng_socket socket, size_t bytes, long calls, int in_flight, int64_t *latencies_ns) {
    int64_t start = now_ns();
    if (in_flight == 1) {
        caller only = {.socket = socket, .bytes = bytes, .calls = calls, .latencies_ns = latencies_ns};
        one_after_the_other(&only);
        return now_ns() - start;
    }
    caller callers[in_flight];
    pthread_t threads[in_flight];
    long each = calls / in_flight;
    for (int i = 0; i < in_flight; i++) {
        callers[i] = (caller){.bytes = bytes, .calls = each, .latencies_ns = latencies_ns + i * each};
        check(nng_ctx_open(&callers[i].context, socket), "context");
        pthread_create(&threads[i], NULL, in_a_context, &callers[i]);
    }
    for (int i = 0; i < in_flight; i++) {
        pthread_join(threads[i], NULL);
        nng_ctx_close(callers[i].context);
    }
    return now_ns() - start;
}

static int call(const char *url, size_t bytes, long calls, int in_flight, long warm) {
    nng_socket socket;
    check(nng_req0_open(&socket), "open");
    check(nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, 0), "size");
    check(nng_dial(socket, url, NULL, 0), url);
    calls -= calls % in_flight;
    warm += in_flight - warm % in_flight;
    int64_t *latencies_ns = calloc((size_t)(calls > warm ? calls : warm), sizeof *latencies_ns);
    run(socket, bytes, warm, in_flight, latencies_ns);
    int64_t total_ns = run(socket, bytes, calls, in_flight, latencies_ns);
    for (long i = 0; i < calls; i++) {
        printf("%lld\n", (long long)latencies_ns[i]);
    }
    printf("total %lld\n", (long long)total_ns);
    return 0;
}

int main(int count, char **arguments) {
    if (count == 3 && strcmp(arguments[1], "serve") == 0) {
        return serve(arguments[2]);
    }
    if (count == 7 && strcmp(arguments[1], "call") == 0) {
        return call(
            arguments[2], strtoul(arguments[3], NULL, 10), strtol(arguments[4], NULL, 10), atoi(arguments[5]),
            strtol(arguments[6], NULL, 10));
    }
    fprintf(stderr, "nng-peer serve URL | call URL BYTES CALLS IN_FLIGHT WARM\n");
    return 64;
}
