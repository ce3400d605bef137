// rtspsink: a media server that takes live streams and keeps nothing, for the benches. It tells how long each frame took from the
// camera (rtsploadcam -t) to its last byte here. One thread, RTP over TCP (interleaved), no users.
//
//     gcc -O2 -o rtspsink rtspsink.c
//     rtspsink -p PORT        rtsp://127.0.0.1:PORT/anything
//
// Orders on standard input:  report, quit (or the end of the input)
// Lines on standard output:
//     ready PORT
//     report STREAMS FRAMES STAMPED P50_MS P99_MS MAXIMUM_MS      of the time since the last report
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "stamp.h"

enum { MOST = 256, ROOM = 1 << 20, MOST_FRAMES = 1 << 20 };

struct stream {
    int fd, is_recording, marked;
    uint8_t *in;
    size_t size;
    int64_t stamp_ns;
};
static struct stream streams[MOST];
static int count;
static double *latencies_ms;
static long stamped, frames;

static int64_t clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}
static void drop(struct stream *s) {
    close(s->fd);
    free(s->in);
    *s = streams[--count];
}
static void answer(struct stream *s, char *request) {
    char reply[1024], more[256] = "", *field = strcasestr(request, "\nCSeq:");
    char *transport = strcasestr(request, "interleaved=");
    if (!strncmp(request, "OPTIONS", 7)) snprintf(more, sizeof more, "Public: OPTIONS, ANNOUNCE, SETUP, RECORD, TEARDOWN\r\n");
    if (transport) {
        int channel = atoi(transport + 12);
        snprintf(
            more, sizeof more, "Transport: RTP/AVP/TCP;unicast;mode=record;interleaved=%d-%d\r\n", channel, channel + 1);
    }
    if (!strncmp(request, "RECORD", 6)) s->is_recording = 1;
    int size = snprintf(
        reply, sizeof reply, "RTSP/1.0 200 OK\r\nCSeq: %d\r\nSession: %d;timeout=60\r\n%s\r\n", field ? atoi(field + 6) : 0,
        s->fd, more);
    if (send(s->fd, reply, size, MSG_NOSIGNAL) != size) s->marked = 1;
}
static void take(struct stream *s, const uint8_t *packet, size_t size, int channel) {
    if (channel % 2 || size < 12) return;
    const uint8_t *found = memmem(packet, size, stamp_name, sizeof stamp_name);
    if (found) s->stamp_ns = read_stamp(found + sizeof stamp_name, packet + size - found - sizeof stamp_name);
    if (!(packet[1] & 0x80)) return;
    frames++;
    if (s->stamp_ns && stamped < MOST_FRAMES) latencies_ms[stamped++] = (clock_ns() - s->stamp_ns) / 1e6;
    s->stamp_ns = 0;
}
// Bytes of what is whole at the front; 0: nothing.
static size_t front(struct stream *s) {
    if (s->in[0] == '$') {
        if (s->size < 4) return 0;
        size_t size = 4 + (s->in[2] << 8 | s->in[3]);
        if (s->size < size) return 0;
        take(s, s->in + 4, size - 4, s->in[1]);
        return size;
    }
    uint8_t *end = memmem(s->in, s->size, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head = end + 4 - s->in;
    end[2] = 0;
    char *length = strcasestr((char *)s->in, "\nContent-Length:");
    size_t body = length ? strtoul(length + 16, NULL, 10) : 0;
    end[2] = '\r';
    if (s->size < head + body) return 0;
    end[2] = 0;
    answer(s, (char *)s->in);
    return head + body;
}
static void readable(struct stream *s) {
    ssize_t got = recv(s->fd, s->in + s->size, ROOM - s->size, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        s->marked = 1;
        return;
    }
    s->size += got;
    size_t done = 0;
    uint8_t *all = s->in;
    size_t whole = s->size;
    for (size_t size; done < whole; done += size) {
        s->in = all + done, s->size = whole - done;
        if (!(size = front(s))) break;
    }
    s->in = all, s->size = whole - done;
    memmove(all, all + done, s->size);
    if (s->size == ROOM) s->marked = 1;
}
static int by_size(const void *a, const void *b) {
    double difference = *(const double *)a - *(const double *)b;
    return (difference > 0) - (difference < 0);
}
static double quantile(double share) { return stamped ? latencies_ms[(long)((stamped - 1) * share)] : 0; }
static void order(void) {
    char text[256];
    ssize_t got = read(0, text, sizeof text - 1);
    if (got <= 0) exit(0);
    text[got] = 0;
    if (strstr(text, "quit")) exit(0);
    if (!strstr(text, "report")) return;
    int recording = 0;
    for (int i = 0; i < count; i++) recording += streams[i].is_recording;
    qsort(latencies_ms, stamped, sizeof *latencies_ms, by_size);
    printf("report %d %ld %ld %.3f %.3f %.3f\n", recording, frames, stamped, quantile(0.5), quantile(0.99), quantile(1));
    stamped = frames = 0;
}
int main(int words, char **word) {
    int port = 0, yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    for (int letter; (letter = getopt(words, word, "p:")) != -1;)
        if (letter == 'p') port = atoi(optarg);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (port < 1 || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, MOST)) {
        perror("-p PORT");
        return 64;
    }
    latencies_ms = malloc(MOST_FRAMES * sizeof *latencies_ms);
    printf("ready %d\n", port);
    for (;;) {
        struct pollfd polled[MOST + 2] = {{0, POLLIN}, {listener, POLLIN}};
        for (int i = 0; i < count; i++) polled[i + 2] = (struct pollfd){streams[i].fd, POLLIN};
        int known = count;
        if (poll(polled, known + 2, -1) < 0) return 1;
        for (int i = 0; i < known; i++)
            if (polled[i + 2].revents) readable(&streams[i]);
        if (polled[0].revents) order();
        if (polled[1].revents && count < MOST) {
            int fd = accept(listener, NULL, NULL);
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
            if (fd >= 0) streams[count++] = (struct stream){.fd = fd, .in = malloc(ROOM)};
        }
        for (int i = count; i-- > 0;)
            if (streams[i].marked) drop(&streams[i]);
    }
}
