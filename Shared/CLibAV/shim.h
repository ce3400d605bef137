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
// by way of RGB in 16 bits, at a tenth of its time. `full`: the source has the full range; `bt709`: its matrix, else BT.601.
static inline void sg_av_jpeg_colours(const AVFrame *from, AVFrame *to, int full, int bt709) {
    // Parts of 16384; luma in parts of 64 by a table. Where the matrices differ, a part of the chroma is luma in the other.
    const double luma = full ? 1 : 255.0 / 219, chroma = full ? 1 : 255.0 / 224;
    const int unit = 1 << 14, half = unit / 2;
    const int y_u = bt709 ? (int)(chroma * 0.101579 * unit) : 0, y_v = bt709 ? (int)(chroma * 0.196076 * unit) : 0;
    const int u_u = (int)(chroma * (bt709 ? 0.989854 : 1) * unit), u_v = bt709 ? (int)(chroma * -0.110653 * unit) : 0;
    const int v_v = (int)(chroma * (bt709 ? 0.983398 : 1) * unit), v_u = bt709 ? (int)(chroma * -0.072453 * unit) : 0;
    int lumas[256];
    for (int value = 0; value < 256; value++) lumas[value] = (int)((value - (full ? 0 : 16)) * luma * 64 + 32.5 + 65536) - 65536;
    const int width = to->width, height = to->height, columns = (width + 1) / 2;
    for (int row = 0; row < (height + 1) / 2; row++) {
        const uint8_t *u = from->data[1] + (ptrdiff_t)row * from->linesize[1];
        const uint8_t *v = from->data[2] + (ptrdiff_t)row * from->linesize[2];
        uint8_t *to_u = to->data[1] + (ptrdiff_t)row * to->linesize[1];
        uint8_t *to_v = to->data[2] + (ptrdiff_t)row * to->linesize[2];
        for (int column = 0; column < columns; column++) {
            const int a = u[column] - 128, b = v[column] - 128;
            to_u[column] = sg_av_byte(((u_u * a + u_v * b + half) >> 14) + 128);
            to_v[column] = sg_av_byte(((v_u * a + v_v * b + half) >> 14) + 128);
        }
        for (int line = 2 * row; line < height && line < 2 * row + 2; line++) {
            const uint8_t *y = from->data[0] + (ptrdiff_t)line * from->linesize[0];
            uint8_t *to_y = to->data[0] + (ptrdiff_t)line * to->linesize[0];
            for (int column = 0; column < width / 2; column++) {
                const int of_chroma = (y_u * (u[column] - 128) + y_v * (v[column] - 128)) >> 8;
                to_y[2 * column] = sg_av_byte((lumas[y[2 * column]] + of_chroma) >> 6);
                to_y[2 * column + 1] = sg_av_byte((lumas[y[2 * column + 1]] + of_chroma) >> 6);
            }
            if (width % 2) {
                const int of_chroma = (y_u * (u[columns - 1] - 128) + y_v * (v[columns - 1] - 128)) >> 8;
                to_y[width - 1] = sg_av_byte((lumas[y[width - 1]] + of_chroma) >> 6);
            }
        }
    }
}
