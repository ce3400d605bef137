// FFmpeg 5.1: decoding one picture, encoding a snapshot, putting a segment into another container. Shared/LibAV is its only user.
//
// Macros and static constants that Swift cannot import are functions here. None of them owns anything.
#include <malloc.h>

#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libavutil/avutil.h>
#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>

static void sg_av_log_nothing(void *object, int level, const char *format, va_list arguments) {
    (void)object;
    (void)level;
    (void)format;
    (void)arguments;
}

// libav prints camera-made text to stderr; all we tell comes from error codes instead.
static inline void sg_av_log_silence(void) { av_log_set_callback(sg_av_log_nothing); }

// The buffers of one picture serve the next: given back to the kernel and zeroed anew they would cost a tenth of its time. The process
// keeps some tens of MB for it.
static inline void sg_av_keep_buffers(void) {
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

// Quantiser scale to libav's quality unit.
static inline int sg_av_quality(int scale) { return scale * FF_QP2LAMBDA; }

// The end of a file, as a callback of an AVIOContext says it.
static inline int sg_av_end(void) { return AVERROR_EOF; }
static inline int sg_av_input_output(void) { return AVERROR(EIO); }
static inline int64_t sg_av_no_time(void) { return AV_NOPTS_VALUE; }

static inline uint8_t sg_av_byte(int value) { return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value; }

// The colours of a picture in 4:2:0 as JPEG has them, full range and BT.601, into a picture of the same size: what libswscale does
// by way of RGB in 16 bits, at a thirtieth of its time. `full`: the source has the full range; `bt709`: its matrix, else BT.601.
// Plain loops over 16-bit factors and 32-bit sums, which compilers turn into vector instructions.
static inline void sg_av_jpeg_colours(const AVFrame *from, AVFrame *to, int full, int bt709) {
    // Parts of 8192. Where the matrices differ, a part of the chroma is luma in the other.
    enum { bits = 13, unit = 1 << bits, half = unit / 2, block = 256 };
    const double luma = full ? 1 : 255.0 / 219, chroma = full ? 1 : 255.0 / 224;
    const int16_t y_y = (int16_t)(luma * unit + 0.5);
    const int16_t y_u = bt709 ? (int16_t)(chroma * 0.101579 * unit + 0.5) : 0;
    const int16_t y_v = bt709 ? (int16_t)(chroma * 0.196076 * unit + 0.5) : 0;
    const int16_t u_u = (int16_t)(chroma * (bt709 ? 0.989854 : 1) * unit + 0.5);
    const int16_t u_v = bt709 ? (int16_t)(chroma * -0.110653 * unit - 0.5) : 0;
    const int16_t v_v = (int16_t)(chroma * (bt709 ? 0.983398 : 1) * unit + 0.5);
    const int16_t v_u = bt709 ? (int16_t)(chroma * -0.072453 * unit - 0.5) : 0;
    const int black = full ? 0 : 16;
    const int width = to->width, height = to->height, columns = (width + 1) / 2;
    int32_t of_chroma[2 * block];
    for (int row = 0; row < (height + 1) / 2; row++) {
        for (int first = 0; first < columns; first += block) {
            const uint8_t *u = from->data[1] + (ptrdiff_t)row * from->linesize[1] + first;
            const uint8_t *v = from->data[2] + (ptrdiff_t)row * from->linesize[2] + first;
            uint8_t *restrict to_u = to->data[1] + (ptrdiff_t)row * to->linesize[1] + first;
            uint8_t *restrict to_v = to->data[2] + (ptrdiff_t)row * to->linesize[2] + first;
            const int count = columns - first < block ? columns - first : block;
            for (int column = 0; column < count; column++) {
                const int16_t a = (int16_t)(u[column] - 128), b = (int16_t)(v[column] - 128);
                to_u[column] = sg_av_byte(((u_u * a + u_v * b + half) >> bits) + 128);
                to_v[column] = sg_av_byte(((v_u * a + v_v * b + half) >> bits) + 128);
                of_chroma[2 * column] = of_chroma[2 * column + 1] = y_u * a + y_v * b + half;
            }
            const int pixels = width - 2 * first < 2 * count ? width - 2 * first : 2 * count;
            for (int line = 2 * row; line < height && line < 2 * row + 2; line++) {
                const uint8_t *y = from->data[0] + (ptrdiff_t)line * from->linesize[0] + 2 * first;
                uint8_t *restrict to_y = to->data[0] + (ptrdiff_t)line * to->linesize[0] + 2 * first;
                for (int pixel = 0; pixel < pixels; pixel++) {
                    const int16_t above = (int16_t)(y[pixel] - black);
                    to_y[pixel] = sg_av_byte((above * y_y + of_chroma[pixel]) >> bits);
                }
            }
        }
    }
}
