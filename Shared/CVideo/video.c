// See CVideo.h.
#define _GNU_SOURCE
#include "CVideo.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <linux/videodev2.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

uint32_t sg_video_h264(void) { return V4L2_PIX_FMT_H264; }
uint32_t sg_video_hevc(void) { return V4L2_PIX_FMT_HEVC; }
uint32_t sg_video_mjpeg(void) { return V4L2_PIX_FMT_MJPEG; }
uint32_t sg_video_jpeg(void) { return V4L2_PIX_FMT_JPEG; }

// A driver's call that a signal interrupts is made again.
static int call(int descriptor, unsigned long request, void *argument) {
    int result;
    do result = ioctl(descriptor, request, argument);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}

static int knows(int descriptor, uint32_t format) {
    for (uint32_t index = 0; index < 64; index++) {
        struct v4l2_fmtdesc known = {.index = index, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
        if (call(descriptor, VIDIOC_ENUM_FMT, &known) < 0) return 0;
        if (known.pixelformat == format) return 1;
    }
    return 0;
}

// The largest size that the device has of a format; what it is set to already where it lists none.
static void largest(int descriptor, uint32_t format, uint32_t *width, uint32_t *height) {
    for (uint32_t index = 0; index < 256; index++) {
        struct v4l2_frmsizeenum size = {.index = index, .pixel_format = format};
        if (call(descriptor, VIDIOC_ENUM_FRAMESIZES, &size) < 0) return;
        const int isDiscrete = size.type == V4L2_FRMSIZE_TYPE_DISCRETE;
        const uint32_t w = isDiscrete ? size.discrete.width : size.stepwise.max_width;
        const uint32_t h = isDiscrete ? size.discrete.height : size.stepwise.max_height;
        if ((uint64_t)w * h > (uint64_t)*width * *height) *width = w, *height = h;
        if (!isDiscrete) return;
    }
}

static int begin(sg_video_device *device, const uint32_t *formats, int count) {
    struct v4l2_capability capability = {0};
    if (call(device->descriptor, VIDIOC_QUERYCAP, &capability) < 0) return -ENODEV;
    const uint32_t can =
        capability.capabilities & V4L2_CAP_DEVICE_CAPS ? capability.device_caps : capability.capabilities;
    if (!(can & V4L2_CAP_VIDEO_CAPTURE) || !(can & V4L2_CAP_STREAMING)) return -ENODEV;
    device->format = 0;
    for (int index = 0; index < count && !device->format; index++) {
        if (knows(device->descriptor, formats[index])) device->format = formats[index];
    }
    if (!device->format) return -ENOTSUP;

    struct v4l2_format set = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
    int failure = call(device->descriptor, VIDIOC_G_FMT, &set);
    if (failure) return failure;
    uint32_t width = set.fmt.pix.pixelformat == device->format ? set.fmt.pix.width : 0;
    uint32_t height = width ? set.fmt.pix.height : 0;
    largest(device->descriptor, device->format, &width, &height);
    if (width) set.fmt.pix.width = width, set.fmt.pix.height = height;
    set.fmt.pix.pixelformat = device->format;
    set.fmt.pix.field = V4L2_FIELD_ANY;
    if ((failure = call(device->descriptor, VIDIOC_S_FMT, &set))) return failure;
    // The driver answers with what it does; a format that it changed is none of ours.
    if (set.fmt.pix.pixelformat != device->format) return -ENOTSUP;
    device->width = set.fmt.pix.width;
    device->height = set.fmt.pix.height;

    struct v4l2_requestbuffers wanted = {
        .count = SG_VIDEO_BUFFERS, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
    if ((failure = call(device->descriptor, VIDIOC_REQBUFS, &wanted))) return failure;
    if (wanted.count < 2) return -ENOMEM;
    for (uint32_t index = 0; index < wanted.count && index < SG_VIDEO_BUFFERS; index++) {
        struct v4l2_buffer buffer = {.index = index, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
        if ((failure = call(device->descriptor, VIDIOC_QUERYBUF, &buffer))) return failure;
        void *start =
            mmap(NULL, buffer.length, PROT_READ | PROT_WRITE, MAP_SHARED, device->descriptor, (off_t)buffer.m.offset);
        if (start == MAP_FAILED) return -errno;
        device->buffer[index].start = start;
        device->buffer[index].bytes = buffer.length;
        device->buffers++;
        if ((failure = sg_video_give(device, index))) return failure;
    }
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    return call(device->descriptor, VIDIOC_STREAMON, &type);
}

int sg_video_open(const char *path, const uint32_t *formats, int count, sg_video_device *device) {
    memset(device, 0, sizeof *device);
    device->descriptor = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (device->descriptor < 0) return -errno;
    struct stat status;
    // A name in the settings may be anything; only a device is asked what it can.
    int failure = fstat(device->descriptor, &status) < 0 ? -errno : S_ISCHR(status.st_mode) ? 0 : -ENODEV;
    if (!failure) failure = begin(device, formats, count);
    if (failure) sg_video_close(device);
    return failure;
}

int sg_video_take(const sg_video_device *device, sg_video_picture *picture) {
    struct v4l2_buffer buffer = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
    const int failure = call(device->descriptor, VIDIOC_DQBUF, &buffer);
    if (failure) return failure;
    if (buffer.index >= (uint32_t)device->buffers) return -EIO;
    const uint32_t room = device->buffer[buffer.index].bytes;
    picture->index = buffer.index;
    picture->bytes = buffer.bytesused < room ? buffer.bytesused : room;
    picture->is_damaged = (buffer.flags & V4L2_BUF_FLAG_ERROR) != 0;
    const int isMonotonic = (buffer.flags & V4L2_BUF_FLAG_TIMESTAMP_MASK) == V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    picture->monotonic_us =
        isMonotonic ? (int64_t)buffer.timestamp.tv_sec * 1000000 + (int64_t)buffer.timestamp.tv_usec : -1;
    return 0;
}

int sg_video_give(const sg_video_device *device, uint32_t index) {
    struct v4l2_buffer buffer = {.index = index, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
    return call(device->descriptor, VIDIOC_QBUF, &buffer);
}

void sg_video_close(sg_video_device *device) {
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    if (device->buffers > 0) call(device->descriptor, VIDIOC_STREAMOFF, &type);
    for (int index = 0; index < device->buffers; index++) {
        munmap(device->buffer[index].start, device->buffer[index].bytes);
    }
    device->buffers = 0;
    close(device->descriptor);
    device->descriptor = -1;
}
