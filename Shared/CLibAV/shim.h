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
