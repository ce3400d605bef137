// stamp.h: a message in a frame of H.264 that says when the frame was sent (user_data_unregistered, ITU-T H.264 D.1.7), for
// rtsploadcam.c, which writes it, and rtspsink.c, which reads it at the other end of whatever is between the two. No byte of it is
// zero, so that it needs no emulation prevention.
#include <stdint.h>
#include <string.h>

enum { STAMP_BYTES = 3 + 16 + 16 + 1 };
static const uint8_t stamp_name[16] = "sightglass-stamp";

// ns: of the monotonic clock.
static inline void write_stamp(uint8_t *at, int64_t ns) {
    at[0] = 6, at[1] = 5, at[2] = 32;
    memcpy(at + 3, stamp_name, 16);
    for (int i = 0; i < 16; i++) at[19 + i] = 0x40 | (ns >> (60 - 4 * i) & 15);
    at[35] = 0x80;
}
// Behind its name; 0: too short.
static inline int64_t read_stamp(const uint8_t *at, size_t size) {
    int64_t ns = 0;
    if (size < 16) return 0;
    for (int i = 0; i < 16; i++) ns = ns << 4 | (at[i] & 15);
    return ns;
}
