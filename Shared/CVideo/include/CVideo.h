// Cameras of the host by Video4Linux2 (linux/videodev2.h): coded pictures in buffers that the driver shares. In C because its calls
// are ioctls with unions that Swift does not see. Services/CaptureController/VideoDevicePlayback.swift is its only user.
// All calls: 0 or a number that is wanted, -errno where the device failed.
#pragma once
#include <stdint.h>

enum { SG_VIDEO_BUFFERS = 4 };

// Codes of pixel formats: coded pictures that can be recorded.
uint32_t sg_video_h264(void);
uint32_t sg_video_hevc(void);
uint32_t sg_video_mjpeg(void);
uint32_t sg_video_jpeg(void);

// Memory that the driver shares.
typedef struct {
    void *start;
    uint32_t bytes;
} sg_video_buffer;

// A device that gives pictures.
typedef struct {
    int descriptor;
    uint32_t format, width, height;
    int buffers;
    sg_video_buffer buffer[SG_VIDEO_BUFFERS];
} sg_video_device;

// One picture, in a buffer that is ours until it is given back.
typedef struct {
    uint32_t index, bytes;
    // Of the host's monotonic clock, in microseconds; -1 where the driver counts by another one.
    int64_t monotonic_us;
    // The driver says that the picture is damaged.
    int is_damaged;
} sg_video_picture;

// Opens the device `path` and has it begin: the first of `formats` that it knows, its largest pictures. -ENODEV: it is no camera.
// -ENOTSUP: it gives none of the formats. -EBUSY: another program uses it.
int sg_video_open(const char *path, const uint32_t *formats, int count, sg_video_device *device);

// Takes the oldest picture. -EAGAIN: there is none; wait until the descriptor can be read.
int sg_video_take(const sg_video_device *device, sg_video_picture *picture);

// Gives a buffer back.
int sg_video_give(const sg_video_device *device, uint32_t index);

// Ends it all. Once, after `sg_video_open` gave 0.
void sg_video_close(sg_video_device *device);
