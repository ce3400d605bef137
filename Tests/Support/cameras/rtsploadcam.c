// rtsploadcam: many RTSP cameras at little cost, for the benches. One thread with epoll sends a film of H.264 to every session,
// paced, by RTP over TCP (interleaved), and knows what it sent and whether it was late.
//
//     gcc -O2 -o rtsploadcam rtsploadcam.c
//     rtsploadcam -p PORT -n CAMERAS -f FILM.h264 [-r FRAMES_PER_SECOND] [-t]      rtsp://127.0.0.1:PORT/cam0 and so on
//
// -t: each frame carries when it was sent, in a message of its own (stamp.h), for rtspsink.
// The film is an Annex B stream without B-frames that begins with a keyframe; it loops. Every camera has a clock of its own that
// runs whether someone looks or not, as a real one has: who begins in the middle of a group of pictures waits for the next
// keyframe. Cameras take turns within a frame's time and are at different places of the film. OPTIONS, DESCRIBE, SETUP, PLAY and
// TEARDOWN are understood, no user is asked for.
//
// Orders on standard input:  close    all sessions end after the frame at hand, the port is closed
//                            open     the port is open again
//                            report   tells of the time since the last report
//                            quit     or the end of the input
// Lines on standard output (TIME: seconds since 1970):
//     ready PORT
//     opened TIME, closed TIME
//     playing CAMERA TIME TIME     when it was connected to, and when PLAY was answered
//     keyframe CAMERA TIME         the session's first keyframe is with the kernel
//     ended CAMERA FRAMES TIME     frames that were sent from the first keyframe on; TIME: of the last one
//     report FRAMES LATE MAXIMUM_MS BLOCKED LOST
//         LATE frames were begun later than a frame's time after they were due: the figures of such a run are void.
//         BLOCKED frames waited because the reader did not read; LOST were given up, and their session with them.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "h264film.h"
#include "stamp.h"

enum {
    HEADER = 4 + 12 + 2,         // "$", RTP, FU-A
    MOST_WAITING = 16 << 20,     // bytes that a reader may leave unread before its session is given up: 30 s
    COALESCE_NS = 1000 * 1000,   // frames that are due within a millisecond go out together
    APART = 37,                  // frames by which cameras are apart in the film: their keyframes do not come together
    REPORT_EVERY_S = 5,          // RTCP sender reports
};

struct session {
    struct session *next;
    int fd, camera, is_playing, is_ending, seen_key, half_closed, told;
    uint16_t sequence;
    uint8_t channel;
    uint32_t packets, octets;
    int64_t next_report;
    long frames;
    double connected, last_sent;
    char in[8192];
    int in_size;
    uint8_t *out; // what the kernel did not take yet, from out_sent on
    size_t out_size, out_sent, out_room;
};

static int cameras = 1, rate = 25, port, epoll_fd, listen_fd = -1, timer_fd, has_stamps;
static struct session *sessions;
static int64_t began_ns;
static long long turn; // camera turn % cameras sends its frame turn / cameras
static long sent_frames, late_frames, blocked_frames, lost_frames;
static int64_t most_late_ns;

static int64_t clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}
static double wall(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

// --- Sessions ----------------------------------------------------------------------------------------------------------------

static void watch(struct session *s) {
    struct epoll_event event = {EPOLLIN | (s->out_size ? EPOLLOUT : 0), {.ptr = s}};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &event)) die("epoll_ctl");
}
static void tell_end(struct session *s) {
    if (s->is_playing && !s->told) printf("ended %d %ld %.6f\n", s->camera, s->frames, s->last_sent);
    s->told = 1;
}
static void drop(struct session *s) { // from the list it goes in sweep()
    tell_end(s);
    close(s->fd);
    s->fd = -1;
}
static void sweep(void) {
    for (struct session **at = &sessions; *at;) {
        struct session *s = *at;
        if (s->fd >= 0) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        free(s->out);
        free(s);
    }
}
// No RST, which would take from the reader what it has not read: nothing more is said, and the reader's end is awaited.
static void end_if_sent(struct session *s) {
    if (!s->is_ending || s->out_size || s->half_closed) return;
    tell_end(s);
    shutdown(s->fd, SHUT_WR);
    s->half_closed = 1;
}
static void flush_out(struct session *s) {
    while (s->out_sent < s->out_size) {
        ssize_t count = send(s->fd, s->out + s->out_sent, s->out_size - s->out_sent, MSG_NOSIGNAL);
        if (count < 0 && errno == EAGAIN) return;
        if (count < 0) return drop(s);
        s->out_sent += count;
    }
    s->out_size = s->out_sent = 0;
    watch(s);
    end_if_sent(s);
}
static void keep(struct session *s, const struct iovec *pieces, int count, size_t done) {
    int was_empty = s->out_size == 0;
    for (int i = 0; i < count; i++) {
        if (done >= pieces[i].iov_len) {
            done -= pieces[i].iov_len;
            continue;
        }
        size_t size = pieces[i].iov_len - done;
        if (s->out_size + size > s->out_room) {
            s->out_room = (s->out_size + size) * 2;
            s->out = must(realloc(s->out, s->out_room));
        }
        memcpy(s->out + s->out_size, (char *)pieces[i].iov_base + done, size);
        s->out_size += size;
        done = 0;
    }
    if (was_empty && s->out_size) watch(s);
}
static void put(struct session *s, const struct iovec *pieces, int count) {
    const int most = 1024; // of one writev
    while (count > 0 && s->fd >= 0) {
        int part = count < most ? count : most;
        size_t size = 0;
        for (int i = 0; i < part; i++) size += pieces[i].iov_len;
        ssize_t done = s->out_size ? 0 : writev(s->fd, pieces, part);
        if (done < 0 && errno != EAGAIN) return drop(s);
        if (done < 0) done = 0;
        if ((size_t)done < size) keep(s, pieces, part, done);
        pieces += part;
        count -= part;
    }
}
static void put_bytes(struct session *s, void *bytes, size_t size) {
    put(s, &(struct iovec){bytes, size}, 1);
}
static void put16(uint8_t *at, uint32_t v) { at[0] = v >> 8, at[1] = v; }
static void put32(uint8_t *at, uint32_t v) { put16(at, v >> 16), put16(at + 2, v); }

static uint32_t rtp_time(long long frame) { return (uint32_t)(frame * 90000 / rate); }

static void send_report(struct session *s, uint32_t time) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint8_t r[4 + 28] = {'$', s->channel + 1, 0, 28, 0x80, 200, 0, 6};
    put32(r + 8, s->camera + 1);
    put32(r + 12, (uint32_t)(now.tv_sec + 2208988800LL));
    put32(r + 16, (uint32_t)(((uint64_t)now.tv_nsec << 32) / 1000000000));
    put32(r + 20, time);
    put32(r + 24, s->packets);
    put32(r + 28, s->octets);
    put_bytes(s, r, sizeof r);
}
static void send_frame(struct session *s, long long index, int64_t now) {
    static uint8_t *headers;
    static struct iovec *pieces;
    static uint8_t stamp[STAMP_BYTES];
    if (!headers) {
        headers = must(malloc((most_packets + 1) * HEADER));
        pieces = must(malloc(2 * (most_packets + 1) * sizeof *pieces));
    }
    struct frame frame = frames[(index + s->camera * APART) % frame_count];
    uint32_t time = rtp_time(index);
    if (s->out_size) blocked_frames++;
    if (s->out_size - s->out_sent > MOST_WAITING) {
        lost_frames++;
        return drop(s);
    }
    // Behind the delimiter, where messages stand.
    int behind = has_stamps ? (packets[frame.first].bytes[0] & 0x1F) == 9 : -1;
    struct packet message = {stamp, STAMP_BYTES, {0, 0}, 0, 0};
    if (has_stamps) write_stamp(stamp, clock_ns());
    for (int i = 0; i < frame.count + has_stamps; i++) {
        struct packet *p = i == behind ? &message : &packets[frame.first + i - (has_stamps && i > behind)];
        uint8_t *h = headers + i * HEADER;
        int extra = p->has_fu ? 2 : 0;
        h[0] = '$', h[1] = s->channel;
        put16(h + 2, 12 + extra + p->size);
        h[4] = 0x80, h[5] = 96 | p->marker;
        put16(h + 6, s->sequence++);
        put32(h + 8, time);
        put32(h + 12, s->camera + 1);
        memcpy(h + 16, p->fu, 2);
        pieces[2 * i] = (struct iovec){h, 16 + extra};
        pieces[2 * i + 1] = (struct iovec){(void *)p->bytes, p->size};
        s->packets++;
        s->octets += p->size;
    }
    put(s, pieces, 2 * (frame.count + has_stamps));
    if (s->fd < 0) return;
    sent_frames++;
    if (frame.is_key && !s->seen_key) printf("keyframe %d %.6f\n", s->camera, wall());
    s->seen_key |= frame.is_key;
    if (s->seen_key) s->frames++, s->last_sent = wall();
    if (now >= s->next_report) {
        s->next_report = now + REPORT_EVERY_S * 1000000000LL;
        send_report(s, time);
    }
}

// --- Requests ----------------------------------------------------------------------------------------------------------------

static void base64(const uint8_t *bytes, size_t size, char *text) {
    const char *letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        uint32_t v = bytes[i] << 16 | (i + 1 < size ? bytes[i + 1] << 8 : 0) | (i + 2 < size ? bytes[i + 2] : 0);
        *text++ = letters[v >> 18], *text++ = letters[v >> 12 & 63];
        *text++ = i + 1 < size ? letters[v >> 6 & 63] : '=', *text++ = i + 2 < size ? letters[v & 63] : '=';
    }
    *text = 0;
}
static void answer(struct session *s, char *request) {
    char method[32] = "", url[256] = "", more[1024] = "", body[1024] = "", reply[2560], one[512], two[256];
    char *field = strcasestr(request, "\nCSeq:"), *transport = strcasestr(request, "interleaved=");
    char *path;
    int cseq = field ? atoi(field + 6) : 0, status = 200;
    sscanf(request, "%31s %255s", method, url);
    if (!strncmp(url, "rtsp://", 7) && (path = strchr(url + 7, '/'))) {
        if (sscanf(path, "/cam%d", &s->camera) != 1 || s->camera < 0 || s->camera >= cameras) status = 404;
    }
    if (s->camera < 0) s->camera = 0;
    if (status != 200) {
    } else if (!strcmp(method, "OPTIONS")) {
        snprintf(more, sizeof more, "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n");
    } else if (!strcmp(method, "DESCRIBE")) {
        if (sps_size > 300 || pps_size > 150) status = 500;
        else base64(sps, sps_size, one), base64(pps, pps_size, two);
        snprintf(
            body, sizeof body,
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=load\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\n"
            "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;profile-level-id=%02X%02X%02X;sprop-parameter-sets=%s,%s\r\n"
            "a=control:track0\r\n", sps[1], sps[2], sps[3], one, two);
        snprintf(more, sizeof more, "Content-Base: %s/\r\nContent-Type: application/sdp\r\n", url);
    } else if (!strcmp(method, "SETUP")) {
        if (!transport) status = 461;
        s->channel = transport ? atoi(transport + 12) : 0;
        snprintf(
            more, sizeof more, "Transport: RTP/AVP/TCP;unicast;interleaved=%d-%d;ssrc=%08X\r\nSession: %d;timeout=60\r\n",
            s->channel, s->channel + 1, s->camera + 1, s->fd);
    } else if (!strcmp(method, "PLAY")) {
        long long index = turn / cameras + (turn % cameras > s->camera);
        snprintf(
            more, sizeof more, "Session: %d\r\nRange: npt=now-\r\nRTP-Info: url=%s/track0;seq=%u;rtptime=%u\r\n", s->fd, url,
            s->sequence, rtp_time(index));
    } else if (!strcmp(method, "TEARDOWN")) {
        s->is_ending = 1;
    } else {
        status = 501;
    }
    int size = snprintf(
        reply, sizeof reply, "RTSP/1.0 %d %s\r\nCSeq: %d\r\n%sContent-Length: %zu\r\n\r\n%s", status,
        status == 200 ? "OK" : "No", cseq, more, strlen(body), body);
    put_bytes(s, reply, size);
    if (status == 200 && !strcmp(method, "PLAY") && !s->is_playing) {
        s->is_playing = 1;
        printf("playing %d %.6f %.6f\n", s->camera, s->connected, wall());
    }
    if (s->fd >= 0) end_if_sent(s);
}
// Takes requests; what the reader says by RTCP is passed over.
static void readable(struct session *s) {
    ssize_t count = recv(s->fd, s->in + s->in_size, sizeof s->in - 1 - s->in_size, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return drop(s);
    s->in_size += count;
    while (s->in_size > 0 && s->fd >= 0) {
        int size = 0;
        s->in[s->in_size] = 0;
        if (s->in[0] == '$') {
            if (s->in_size >= 4) size = 4 + ((uint8_t)s->in[2] << 8 | (uint8_t)s->in[3]);
            if (size == 0 || size > s->in_size) break;
        } else {
            char *end = strstr(s->in, "\r\n\r\n");
            if (!end) break;
            size = end + 4 - s->in;
            end[2] = 0;
            answer(s, s->in);
        }
        s->in_size -= size;
        memmove(s->in, s->in + size, s->in_size);
    }
    if (s->fd >= 0 && s->in_size == (int)sizeof s->in - 1) drop(s);
}
static void open_port(void) {
    int yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct epoll_event event = {EPOLLIN, {.ptr = &listen_fd}};
    if (listen_fd >= 0) return;
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listen_fd, (struct sockaddr *)&address, sizeof address) || listen(listen_fd, 512)) die("listen");
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &event)) die("epoll_ctl");
}
static void accept_all(void) {
    int fd, yes = 1;
    while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct session *s = must(calloc(1, sizeof *s));
        struct epoll_event event = {EPOLLIN, {.ptr = s}};
        s->fd = fd, s->camera = -1, s->sequence = 1, s->next = sessions;
        sessions = s;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
        s->connected = wall();
    }
}

// --- Orders and turns --------------------------------------------------------------------------------------------------------

static void report(void) {
    printf("report %ld %ld %.3f %ld %ld\n", sent_frames, late_frames, most_late_ns / 1e6, blocked_frames, lost_frames);
    sent_frames = late_frames = blocked_frames = lost_frames = most_late_ns = 0;
}
static void order(void) {
    char text[256], *rest = text, *word;
    ssize_t count = read(0, text, sizeof text - 1);
    if (count <= 0) exit(0);
    text[count] = 0;
    while ((word = strsep(&rest, "\n"))) {
        if (!strcmp(word, "quit")) exit(0);
        if (!strcmp(word, "report")) report();
        if (!strcmp(word, "open")) open_port(), printf("opened %.6f\n", wall());
        if (strcmp(word, "close")) continue;
        if (listen_fd >= 0) close(listen_fd);
        listen_fd = -1;
        for (struct session *s = sessions; s; s = s->next) {
            s->is_ending = 1;
            end_if_sent(s);
        }
        printf("closed %.6f\n", wall());
    }
}
static int64_t due_ns(long long t) { return began_ns + (int64_t)((__int128)t * 1000000000 / ((long long)rate * cameras)); }

static void send_what_is_due(void) {
    int64_t now = clock_ns();
    for (; due_ns(turn) <= now; turn++, now = clock_ns()) {
        int64_t late = now - due_ns(turn);
        int sent = 0;
        for (struct session *s = sessions; s; s = s->next)
            if (s->fd >= 0 && s->is_playing && !s->is_ending && s->camera == turn % cameras)
                send_frame(s, turn / cameras, now), sent = 1;
        if (!sent) continue;
        if (late > most_late_ns) most_late_ns = late;
        if (late > 1000000000LL / rate) late_frames++;
    }
    int64_t next = due_ns(turn) < now + COALESCE_NS ? now + COALESCE_NS : due_ns(turn);
    struct itimerspec when = {{0, 0}, {next / 1000000000, next % 1000000000}};
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}
int main(int count, char **words) {
    const char *path = NULL;
    for (int letter; (letter = getopt(count, words, "p:n:f:r:t")) != -1;) {
        if (letter == 'p') port = atoi(optarg);
        if (letter == 'n') cameras = atoi(optarg);
        if (letter == 'r') rate = atoi(optarg);
        if (letter == 'f') path = optarg;
        if (letter == 't') has_stamps = 1;
        if (letter == '?') return 64;
    }
    if (!path || port < 1 || cameras < 1 || rate < 1) return fprintf(stderr, "-p PORT -n CAMERAS -f FILM.h264\n"), 64;
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    read_film(path);
    epoll_fd = epoll_create1(0);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &(struct epoll_event){EPOLLIN, {.ptr = &timer_fd}});
    // A file is no input that epoll can watch; then there are no orders.
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &(struct epoll_event){EPOLLIN, {.ptr = &epoll_fd}});
    open_port();
    began_ns = clock_ns();
    printf("ready %d\n", port);
    for (;;) {
        struct epoll_event events[256];
        send_what_is_due();
        sweep();
        int found = epoll_wait(epoll_fd, events, 256, -1);
        for (int i = 0; i < found; i++) {
            void *what = events[i].data.ptr;
            uint64_t ticks;
            if (what == &timer_fd) (void)!read(timer_fd, &ticks, sizeof ticks);
            else if (what == &epoll_fd) order();
            else if (what == &listen_fd) accept_all();
            else {
                struct session *s = what;
                if (s->fd >= 0 && events[i].events & EPOLLOUT) flush_out(s);
                if (s->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(s);
            }
        }
    }
}
