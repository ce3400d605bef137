// The plainest client: threads with a connection each, which send the same bytes again and again, or those of files, and read the
// answers. What it reaches is what the sink and the loopback can take; what files cost it, no upload of them can cost less.
#define _GNU_SOURCE
#include "blob-sink.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct {
    int port;
    int is_block;
    long requests, bytes;
    const char *body;
    char **paths;
    atomic_long next;
} job;

/// Of a request, and read at once: what stays in a core's cache until it is sent.
enum { block_bytes = 4 << 20, piece_bytes = 256 << 10 };

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

static int connected(void) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)job.port)};
    int connection = checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"), yes = 1;
    checked(connect(connection, (struct sockaddr *)&address, sizeof address), "connect");
    checked(setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes), "TCP_NODELAY");
    return connection;
}

static void send_head(int connection, int is_block, long number, long bytes) {
    char head[1024];
    int length = snprintf(
        head, sizeof head,
        "PUT /load/load/%s%ld%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %ld\r\nx-ms-version: 2021-12-02\r\n"
        "x-ms-blob-type: BlockBlob\r\nContent-MD5: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        is_block ? "blob?comp=block&blockid=" : "blob", number, is_block ? "AAAA" : "", bytes);
    send_all(connection, head, (size_t)length, MSG_MORE);
}

static void await_answer(int connection) {
    char answer[4096];
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

static void *run(void *unused) {
    int connection = connected();
    for (long number; (number = atomic_fetch_add(&job.next, 1)) < job.requests;) {
        send_head(connection, job.is_block, number, job.bytes);
        send_all(connection, job.body, (size_t)job.bytes, 0);
        await_answer(connection);
    }
    close(connection);
    return unused;
}

static void *run_files(void *unused) {
    int connection = connected();
    char *room = malloc(piece_bytes);
    for (long number; (number = atomic_fetch_add(&job.next, 1)) < job.requests;) {
        int file = checked(open(job.paths[number], O_RDONLY | O_CLOEXEC), job.paths[number]);
        struct stat status;
        checked(fstat(file, &status), "fstat");
        long size = (long)status.st_size, at = 0;
        do {
            long bytes = size - at < block_bytes ? size - at : block_bytes;
            send_head(connection, size > block_bytes, number, bytes);
            for (long left = bytes; left > 0;) {
                ssize_t got = pread(file, room, left < piece_bytes ? (size_t)left : piece_bytes, at);
                if (got <= 0) {
                    fail("a file became shorter");
                }
                send_all(connection, room, (size_t)got, 0);
                left -= got;
                at += got;
            }
            await_answer(connection);
        } while (at < size);
        close(file);
    }
    free(room);
    close(connection);
    return unused;
}

static void run_threads(void *(*body)(void *), int connections) {
    pthread_t threads[256];
    connections = connections < 256 ? connections : 256;
    for (int i = 0; i < connections; i++) {
        if (pthread_create(&threads[i], NULL, body, NULL) != 0) {
            fail("no thread");
        }
    }
    for (int i = 0; i < connections; i++) {
        pthread_join(threads[i], NULL);
    }
}

int load_files(int port, int connections) {
    job.port = port;
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        job.paths = realloc(job.paths, (size_t)(job.requests + 1) * sizeof *job.paths);
        job.paths[job.requests++] = strdup(line);
    }
    run_threads(run_files, connections);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf(
        "cpu %.6f\n", (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
            + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    return 0;
}

int load(int port, const char *shape, long requests, long bytes, int connections) {
    job.port = port;
    job.is_block = strcmp(shape, "block") == 0;
    job.requests = requests;
    job.bytes = bytes;
    job.body = calloc(1, (size_t)bytes);
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    run_threads(run, connections);
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("seconds %.6f\n", (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
    return 0;
}
