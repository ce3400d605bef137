// The service: one thread, epoll, as much of HTTP/1.1 and of the Blob protocol as an upload uses.
#define _GNU_SOURCE
#include "blob-sink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_BYTES = 64 << 10, LARGEST_LIST = 16 << 20, BODY_TURN = 4 << 20 };

typedef struct {
    int socket;
    /// What came and was not taken: at most the head of a request, and what follows it.
    char in[HEAD_BYTES];
    size_t have;
    /// Length of the head of the request whose body is awaited, with its empty line; 0 between requests.
    size_t head;
    int64_t body_bytes, body_left;
    /// The body of Put Block List; NULL for bodies that are dropped.
    char *body;
} connection;

static struct {
    int64_t requests, media_bytes, refused;
} counts;

// --- Reading a request -------------------------------------------------------------------------------------------------

/// The value of a header in the head, and its length; NULL when it is not there.
static const char *header(const connection *c, const char *name, size_t *length) {
    size_t name_length = strlen(name);
    const char *end = c->in + c->head;
    for (const char *line = memchr(c->in, '\n', c->head); line && ++line < end; line = memchr(line, '\n', (size_t)(end - line))) {
        if ((size_t)(end - line) > name_length && line[name_length] == ':' && strncasecmp(line, name, name_length) == 0) {
            const char *value = line + name_length + 1;
            value += strspn(value, " \t");
            *length = strcspn(value, "\r\n");
            return value;
        }
    }
    return NULL;
}

/// A word of the query, still escaped but for %2B, %2F and %3D; "" when it is not there.
static void query(const char *target, const char *name, char *value, size_t room) {
    size_t length = strlen(name), at = 0;
    const char *part = strchr(target, '?');
    while (part && !(strncmp(part + 1, name, length) == 0 && part[1 + length] == '=')) {
        part = strchr(part + 1, '&');
    }
    for (const char *from = part ? part + 2 + length : ""; *from && *from != '&' && at + 1 < room;) {
        if (*from == '%' && from[1] && from[2]) {
            char digits[3] = {from[1], from[2], 0};
            value[at++] = (char)strtol(digits, NULL, 16);
            from += 3;
        } else {
            value[at++] = *from++;
        }
    }
    value[at] = 0;
}

// --- Answering ---------------------------------------------------------------------------------------------------------

/// Answers are small; who does not read one is waited for.
static void send_all(connection *c, const char *bytes, size_t count) {
    while (count > 0) {
        ssize_t sent = send(c->socket, bytes, count, MSG_NOSIGNAL);
        if (sent > 0) {
            bytes += sent;
            count -= (size_t)sent;
        } else if (sent < 0 && errno == EAGAIN) {
            struct pollfd one = {.fd = c->socket, .events = POLLOUT};
            if (poll(&one, 1, 10000) <= 0) {
                return;
            }
        } else {
            return;
        }
    }
}

/// What every answer carries beside its own headers; checksums come back as they were given.
static void answer(connection *c, int status, const char *code, const char *headers, const char *body) {
    static const char *echoed[] = {"content-md5", "x-ms-content-crc64", "x-ms-client-request-id"};
    const char *reason = status < 300 ? "Accepted" : status == 404 ? "Not Found" : status == 409 ? "Conflict" : "Refused";
    char text[8192], date[64];
    time_t now = time(NULL);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
    int at = snprintf(
        text, sizeof text,
        "HTTP/1.1 %d %s\r\nServer: blob-sink\r\nDate: %s\r\nx-ms-version: 2021-12-02\r\nx-ms-request-id: %" PRId64 "\r\n",
        status, reason, date, counts.requests);
    if (status < 300) {
        at += snprintf(
            text + at, sizeof text - (size_t)at,
            "ETag: \"0x8DC%011" PRIX64 "\"\r\nLast-Modified: %s\r\nx-ms-request-server-encrypted: true\r\n", counts.requests, date);
        for (size_t i = 0; i < sizeof echoed / sizeof *echoed; i++) {
            size_t length = 0;
            const char *value = header(c, echoed[i], &length);
            if (value && length < 256) {
                at += snprintf(text + at, sizeof text - (size_t)at, "%s: %.*s\r\n", echoed[i], (int)length, value);
            }
        }
    } else {
        at += snprintf(text + at, sizeof text - (size_t)at, "x-ms-error-code: %s\r\n", code);
    }
    int is_head = strncmp(c->in, "HEAD ", 5) == 0;
    // The length of a blob is among the headers of its own.
    if (!is_head || status >= 300) {
        at += snprintf(text + at, sizeof text - (size_t)at, "Content-Length: %zu\r\n", strlen(body));
    }
    send_all(c, text, (size_t)at);
    send_all(c, headers, strlen(headers));
    send_all(c, "\r\n", 2);
    if (!is_head) {
        send_all(c, body, strlen(body));
    }
}

static void refuse(connection *c, int status, const char *code) {
    char body[512];
    snprintf(body, sizeof body, "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>%s</Code><Message>%s</Message></Error>", code, code);
    counts.refused += strncmp(c->in, "PUT ", 4) == 0;
    answer(c, status, code, "Content-Type: application/xml\r\n", body);
}

// --- Operations --------------------------------------------------------------------------------------------------------

/// Headers of a commit that HEAD gives back.
static char *kept_headers(const connection *c) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    const char *end = c->in + c->head;
    for (const char *line = memchr(c->in, '\n', c->head); line && ++line < end; line = memchr(line, '\n', (size_t)(end - line))) {
        int length = (int)strcspn(line, "\r\n");
        if (strncasecmp(line, "x-ms-meta-", 10) == 0) {
            fprintf(out, "%.*s\r\n", length, line);
        } else if (strncasecmp(line, "x-ms-blob-content-", 18) == 0) {
            fprintf(out, "Content-%.*s\r\n", length - 18, line + 18);
        }
    }
    fclose(out);
    return text;
}

/// Whether a commit may go on; answers where it may not.
static int may_commit(connection *c, const blob *there) {
    size_t length = 0;
    const char *condition = header(c, "if-none-match", &length);
    if (condition && *condition == '*' && there && there->commits > 0) {
        refuse(c, 409, "BlobAlreadyExists");
        return 0;
    }
    return 1;
}

static void put(connection *c, const char *target, const char *path) {
    char operation[32], id[512];
    query(target, "comp", operation, sizeof operation);
    if (*operation == 0) {
        counts.media_bytes += c->body_bytes;
        if (!may_commit(c, find_blob(path, 0))) {
            return;
        }
        blob *b = find_blob(path, 1);
        b->commits++;
        b->bytes = c->body_bytes;
        free(b->headers);
        b->headers = kept_headers(c);
    } else if (strcmp(operation, "block") == 0) {
        counts.media_bytes += c->body_bytes;
        query(target, "blockid", id, sizeof id);
        put_block(find_blob(path, 1), id, c->body_bytes);
    } else if (strcmp(operation, "blocklist") == 0) {
        blob *b = find_blob(path, 0);
        if (!may_commit(c, b)) {
            return;
        }
        if (!b || !c->body || !commit_blocks(b, c->body)) {
            refuse(c, 400, "InvalidBlockList");
            return;
        }
        free(b->headers);
        b->headers = kept_headers(c);
    }
    // Anything else, such as tags, is taken as it is.
    answer(c, 201, "", "", "");
}

static void show(connection *c, const char *target, const char *path) {
    char kind[32];
    query(target, "restype", kind, sizeof kind);
    if (*kind) {
        answer(c, 200, "", strncmp(c->in, "HEAD ", 5) == 0 ? "Content-Length: 0\r\n" : "", "");
        return;
    }
    query(target, "comp", kind, sizeof kind);
    blob *b = find_blob(path, 0);
    if (strcmp(kind, "blocklist") == 0 && b) {
        char *list = list_blocks(b);
        answer(c, 200, "", "Content-Type: application/xml\r\n", list);
        free(list);
    } else if (!b || b->commits == 0) {
        refuse(c, 404, "BlobNotFound");
    } else if (strncmp(c->in, "HEAD ", 5) == 0) {
        char *headers = NULL;
        if (asprintf(
                &headers, "%sContent-Length: %" PRId64 "\r\nx-ms-blob-type: BlockBlob\r\n", b->headers ? b->headers : "", b->bytes)
            < 0) {
            exit(1);
        }
        answer(c, 200, "", headers, "");
        free(headers);
    } else {
        // There is nothing to give.
        refuse(c, 501, "NotImplemented");
    }
}

/// Answers the request whose head and body are there.
static void perform(connection *c) {
    char target[8192] = "";
    char path[4096] = "";
    const char *start = memchr(c->in, ' ', c->head);
    if (start) {
        snprintf(target, sizeof target, "%.*s", (int)strcspn(start + 1, " \r\n"), start + 1);
        snprintf(path, sizeof path, "%.*s", (int)strcspn(target, "?"), target);
    }
    counts.requests++;
    char kind[32];
    query(target, "restype", kind, sizeof kind);
    if (strncmp(c->in, "PUT ", 4) == 0) {
        if (*kind) {
            answer(c, 201, "", "", "");
        } else {
            put(c, target, path);
        }
    } else if (strncmp(c->in, "GET ", 4) == 0 || strncmp(c->in, "HEAD ", 5) == 0) {
        show(c, target, path);
    } else {
        refuse(c, 501, "NotImplemented");
    }
}

// --- Connections -------------------------------------------------------------------------------------------------------

/// Takes the head of the next request, when it is there whole. Gives 0 for one that cannot be understood.
static int begin(connection *c) {
    char *end = memmem(c->in, c->have, "\r\n\r\n", 4);
    if (!end) {
        return c->have < sizeof c->in;
    }
    c->head = (size_t)(end - c->in) + 4;
    size_t length = 0;
    const char *value = header(c, "content-length", &length);
    c->body_bytes = c->body_left = value ? strtoll(value, NULL, 10) : 0;
    const char *blocks = memmem(c->in, strcspn(c->in, "\r"), "comp=blocklist", 14);
    if (header(c, "transfer-encoding", &length) || c->body_left < 0 || (blocks && c->body_left > LARGEST_LIST)) {
        refuse(c, 411, "MissingContentLengthHeader");
        return 0;
    }
    c->body = blocks && c->body_left > 0 ? calloc(1, (size_t)c->body_left + 1) : NULL;
    if (header(c, "expect", &length)) {
        send_all(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    }
    // What of the body came together with the head.
    size_t early = c->have - c->head;
    early = (int64_t)early < c->body_left ? early : (size_t)c->body_left;
    if (c->body) {
        memcpy(c->body, c->in + c->head, early);
    }
    memmove(c->in + c->head, c->in + c->head + early, c->have - c->head - early);
    c->have -= early;
    c->body_left -= (int64_t)early;
    return 1;
}

/// Reads what is there and answers what is complete. Gives 0 when the connection has ended.
static int turn(connection *c) {
    int64_t taken = 0;
    while (taken < BODY_TURN) {
        ssize_t got = 0;
        if (c->head > 0 && c->body_left > 0) {
            if (c->body) {
                got = recv(c->socket, c->body + (c->body_bytes - c->body_left), (size_t)c->body_left, 0);
            } else {
                // With MSG_TRUNC, TCP drops the bytes instead of copying them to anywhere.
                size_t most = c->body_left < BODY_TURN ? (size_t)c->body_left : BODY_TURN;
                got = recv(c->socket, NULL, most, MSG_TRUNC);
            }
            c->body_left -= got > 0 ? got : 0;
        } else {
            got = recv(c->socket, c->in + c->have, sizeof c->in - c->have, 0);
            c->have += got > 0 ? (size_t)got : 0;
        }
        if (got <= 0) {
            return got < 0 && (errno == EAGAIN || errno == EINTR);
        }
        taken += got;
        while (c->have > 0 || c->head > 0) {
            if (c->head == 0 && !begin(c)) {
                return 0;
            }
            if (c->head == 0 || c->body_left > 0) {
                break;
            }
            perform(c);
            free(c->body);
            c->body = NULL;
            memmove(c->in, c->in + c->head, c->have - c->head);
            c->have -= c->head;
            c->head = 0;
        }
    }
    return 1;
}

/// Answers a line of the standard input. Gives 0 at its end.
static int command(void) {
    char line[64];
    if (!fgets(line, sizeof line, stdin)) {
        return 0;
    }
    if (strcmp(line, "counts\n") == 0) {
        printf(
            "requests %" PRId64 "\nmedia_bytes %" PRId64 "\nrefused %" PRId64 "\n", counts.requests, counts.media_bytes, counts.refused);
    } else if (strcmp(line, "blobs\n") == 0) {
        write_blobs(stdout);
    } else if (strcmp(line, "forget\n") == 0) {
        forget_blobs();
        memset(&counts, 0, sizeof counts);
    }
    puts("");
    fflush(stdout);
    return 1;
}

static void accept_one(int listener, int events) {
    int socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) {
        return;
    }
    int yes = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    connection *c = calloc(1, sizeof *c);
    c->socket = socket;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    checked(epoll_ctl(events, EPOLL_CTL_ADD, socket, &event), "epoll_ctl");
}

int serve(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = checked(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    checked(bind(listener, (struct sockaddr *)&address, length), "bind");
    checked(listen(listener, 256), "listen");
    checked(getsockname(listener, (struct sockaddr *)&address, &length), "getsockname");
    int events = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    // Which of them an event is of: these two are no connections.
    static connection listening, commands;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listening};
    checked(epoll_ctl(events, EPOLL_CTL_ADD, listener, &event), "epoll_ctl");
    event.data.ptr = &commands;
    checked(epoll_ctl(events, EPOLL_CTL_ADD, STDIN_FILENO, &event), "epoll_ctl");
    // A line that waits in a buffer of the library would not wake epoll.
    setvbuf(stdin, NULL, _IONBF, 0);
    printf("ready %d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        struct epoll_event ready[64];
        int count = epoll_wait(events, ready, 64, -1);
        for (int i = 0; i < count; i++) {
            connection *c = ready[i].data.ptr;
            if (c == &listening) {
                accept_one(listener, events);
            } else if (c == &commands) {
                if (!command()) {
                    return 0;
                }
            } else if (!turn(c)) {
                close(c->socket);
                free(c->body);
                free(c);
            }
        }
    }
}
