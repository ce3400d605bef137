// A camera of this host for a process that is started with this library in LD_PRELOAD: the calls of Video4Linux2 on one path are answered
// here, as drivers of USB cameras answer them; all others go on to the C library.
//
//   FAKE_VIDEO_PATH    the device, "/dev/video42"
//   FAKE_VIDEO_FILM    its pictures: JPEG files one behind the other, 320x240; shown over and over, 25 a second
//   FAKE_VIDEO_TROUBLE a file; while it is there, the camera is unplugged. "raw" in it: there, and gives raw pictures only
//
// Every seventh picture of a round is damaged, and says so.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { BUFFERS = 4, SIZE = 1 << 20, FPS = 25 };
static int device = -1, queue[BUFFERS], queued;
static unsigned shown;
static uint8_t *film, *buffers[BUFFERS];
static size_t film_bytes, starts[4096];
static unsigned pictures;

static int trouble(void) { // 0: none, 1: unplugged, 2: raw only
    const char *path = getenv("FAKE_VIDEO_TROUBLE");
    FILE *file = path ? fopen(path, "r") : NULL;
    char word[8] = "";
    if (!file) return 0;
    if (fscanf(file, "%7s", word) != 1) word[0] = 0;
    fclose(file);
    return strcmp(word, "raw") == 0 ? 2 : 1;
}

static void load(void) {
    FILE *file = fopen(getenv("FAKE_VIDEO_FILM"), "r");
    if (!file || film) return;
    film = malloc(64 << 20);
    film_bytes = fread(film, 1, 64 << 20, file);
    fclose(file);
    for (size_t at = 0; at + 3 < film_bytes && pictures < 4095; at++) {
        if (film[at] == 0xFF && film[at + 1] == 0xD8 && film[at + 2] == 0xFF) starts[pictures++] = at;
    }
    starts[pictures] = film_bytes;
}

static int is_ours(const char *path) {
    const char *wanted = getenv("FAKE_VIDEO_PATH");
    return wanted && strcmp(path, wanted) == 0;
}

static int open_device(void) {
    if (trouble() == 1) return errno = ENOENT, -1;
    if (device >= 0) return errno = EBUSY, -1;
    load();
    device = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    queued = 0;
    return device;
}

#define OPEN(name)                                                                              \
    int name(const char *path, int flags, ...) {                                                \
        if (is_ours(path)) return open_device();                                                \
        va_list rest;                                                                           \
        va_start(rest, flags);                                                                  \
        const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;           \
        va_end(rest);                                                                           \
        return ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name))(path, flags, mode);   \
    }
OPEN(open)
OPEN(open64)

int close(int descriptor) {
    if (descriptor == device && device >= 0) device = -1;
    return ((int (*)(int))dlsym(RTLD_NEXT, "close"))(descriptor);
}

int fstat(int descriptor, struct stat *status) {
    const int result = ((int (*)(int, struct stat *))dlsym(RTLD_NEXT, "fstat"))(descriptor, status);
    if (descriptor == device && device >= 0) status->st_mode = S_IFCHR | 0660;
    return result;
}

void *mmap(void *at, size_t count, int protection, int flags, int descriptor, off_t offset) {
    static void *(*real)(void *, size_t, int, int, int, off_t);
    if (!real) real = (void *(*)(void *, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, "mmap");
    if (descriptor == device && device >= 0) {
        return buffers[offset / SIZE] = real(NULL, count, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    return real(at, count, protection, flags, descriptor, offset);
}

void *mmap64(void *at, size_t count, int protection, int flags, int descriptor, off_t offset) {
    return mmap(at, count, protection, flags, descriptor, offset);
}

static int fail(int code) { return errno = code, -1; }

static int take(struct v4l2_buffer *buffer) {
    uint64_t ticks;
    if (trouble() == 1) return fail(ENODEV);
    if (read(device, &ticks, sizeof ticks) < 0) return fail(EAGAIN);
    if (queued == 0) return fail(EAGAIN);
    const int index = queue[0];
    memmove(queue, queue + 1, sizeof queue - sizeof queue[0]);
    queued--;
    const unsigned number = shown++ % pictures;
    buffer->index = (uint32_t)index;
    buffer->bytesused = (uint32_t)(starts[number + 1] - starts[number]);
    memcpy(buffers[index], film + starts[number], buffer->bytesused);
    buffer->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    if (number % 7 == 6) buffer->flags |= V4L2_BUF_FLAG_ERROR;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    buffer->timestamp.tv_sec = now.tv_sec;
    buffer->timestamp.tv_usec = now.tv_nsec / 1000;
    return 0;
}

static int answer(unsigned long request, void *argument) {
    if (trouble() == 1) return fail(ENODEV);
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *said = argument;
        // As drivers of several nodes do: the node's own abilities are the device_caps.
        said->capabilities = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING | V4L2_CAP_META_CAPTURE | V4L2_CAP_DEVICE_CAPS;
        said->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        return 0;
    }
    case VIDIOC_ENUM_FMT: {
        struct v4l2_fmtdesc *said = argument;
        if (said->index > (trouble() == 2 ? 0 : 1)) return fail(EINVAL);
        said->pixelformat = said->index == 0 ? V4L2_PIX_FMT_YUYV : V4L2_PIX_FMT_MJPEG;
        return 0;
    }
    case VIDIOC_ENUM_FRAMESIZES: {
        struct v4l2_frmsizeenum *said = argument;
        if (said->index > 1) return fail(EINVAL);
        said->type = V4L2_FRMSIZE_TYPE_DISCRETE;
        said->discrete.width = said->index == 0 ? 160 : 320;
        said->discrete.height = said->index == 0 ? 120 : 240;
        return 0;
    }
    case VIDIOC_G_FMT: {
        struct v4l2_format *said = argument;
        said->fmt.pix.pixelformat = V4L2_PIX_FMT_YUYV;
        said->fmt.pix.width = 160;
        said->fmt.pix.height = 120;
        return 0;
    }
    case VIDIOC_S_FMT: {
        struct v4l2_format *wanted = argument;
        // The largest size, or these are not the pictures that were asked for.
        return wanted->fmt.pix.width == 320 && wanted->fmt.pix.height == 240 ? 0 : fail(EINVAL);
    }
    case VIDIOC_REQBUFS: return ((struct v4l2_requestbuffers *)argument)->count = BUFFERS, 0;
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *said = argument;
        said->length = SIZE;
        said->m.offset = said->index * SIZE;
        return 0;
    }
    case VIDIOC_QBUF:
        if (queued >= BUFFERS) return fail(EINVAL);
        return queue[queued++] = (int)((struct v4l2_buffer *)argument)->index, 0;
    case VIDIOC_DQBUF: return take(argument);
    case VIDIOC_STREAMON: {
        const struct itimerspec pace = {.it_interval.tv_nsec = 1000000000 / FPS, .it_value.tv_nsec = 1000000000 / FPS};
        return timerfd_settime(device, 0, &pace, NULL);
    }
    case VIDIOC_STREAMOFF: return 0;
    default: return fail(ENOTTY);
    }
}

int ioctl(int descriptor, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (descriptor == device && device >= 0) return answer(request, argument);
    return ((int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl"))(descriptor, request, argument);
}
