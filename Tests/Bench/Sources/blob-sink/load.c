// The plainest client: threads with a connection each, which send the same bytes again and again and read the answers. What it
// reaches is what the sink and the loopback can take.
#define _GNU_SOURCE
#include "blob-sink.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct {
    int port;
    int is_block;
    long requests, bytes;
    const char *body;
    atomic_long next;
} job;

static void fail(const char *what) {
    fprintf(stderr, "blob-sink load: %s\n", what);
    exit(1);
}

static void send_all(int socket, const char *bytes, size_t count, int flags) {
    while (count > 0) {
        ssize_t sent = send(socket, bytes, count, flags | MSG_NOSIGNAL);
        if (sent <= 0) {
            fail("the sink has ended the connection");
        }
        bytes += sent;
        count -= (size_t)sent;
    }
}

static void *run(void *unused) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)job.port)};
    int connection = checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"), yes = 1;
    checked(connect(connection, (struct sockaddr *)&address, sizeof address), "connect");
    checked(setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes), "TCP_NODELAY");
    for (long number; (number = atomic_fetch_add(&job.next, 1)) < job.requests;) {
        char head[1024], answer[4096];
        int length = snprintf(
            head, sizeof head,
            "PUT /load/load/%s%ld%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %ld\r\nx-ms-version: 2021-12-02\r\n"
            "x-ms-blob-type: BlockBlob\r\nContent-MD5: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
            job.is_block ? "blob?comp=block&blockid=" : "blob", number, job.is_block ? "AAAA" : "", job.bytes);
        send_all(connection, head, (size_t)length, MSG_MORE);
        send_all(connection, job.body, (size_t)job.bytes, 0);
        size_t have = 0;
        do {
            ssize_t got = recv(connection, answer + have, sizeof answer - 1 - have, 0);
            if (got <= 0) {
                fail("the sink does not answer");
            }
            have += (size_t)got;
            answer[have] = 0;
        } while (!strstr(answer, "\r\n\r\n"));
        if (strncmp(answer, "HTTP/1.1 201", 12) != 0) {
            fail(answer);
        }
    }
    close(connection);
    return unused;
}

int load(int port, const char *shape, long requests, long bytes, int connections) {
    job.port = port;
    job.is_block = strcmp(shape, "block") == 0;
    job.requests = requests;
    job.bytes = bytes;
    job.body = calloc(1, (size_t)bytes);
    pthread_t threads[256];
    connections = connections < 256 ? connections : 256;
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < connections; i++) {
        if (pthread_create(&threads[i], NULL, run, NULL) != 0) {
            fail("no thread");
        }
    }
    for (int i = 0; i < connections; i++) {
        pthread_join(threads[i], NULL);
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("seconds %.6f\n", (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
    return 0;
}
