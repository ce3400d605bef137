// FFmpeg 5.1: demuxing, decoding one picture, encoding a snapshot, pushing RTSP. Shared/LibAV is its only user.
//
// Macros and static constants that Swift cannot import are functions here. None of them owns anything.
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>

#include <errno.h>

// "No time", of pts and dts.
static inline int64_t sg_av_no_pts(void) { return AV_NOPTS_VALUE; }

// libav's own error codes; errors of the system are -errno.
static inline int sg_av_error_eof(void) { return AVERROR_EOF; }
static inline int sg_av_error_exit(void) { return AVERROR_EXIT; }
static inline int sg_av_error_invalid(void) { return AVERROR_INVALIDDATA; }
static inline int sg_av_error_unauthorized(void) { return AVERROR_HTTP_UNAUTHORIZED; }
static inline int sg_av_error_forbidden(void) { return AVERROR_HTTP_FORBIDDEN; }
static inline int sg_av_error_not_found(void) { return AVERROR_HTTP_NOT_FOUND; }
static inline int sg_av_error_bad_request(void) { return AVERROR_HTTP_BAD_REQUEST; }
static inline int sg_av_error_other_4xx(void) { return AVERROR_HTTP_OTHER_4XX; }
static inline int sg_av_error_server(void) { return AVERROR_HTTP_SERVER_ERROR; }
static inline int sg_av_error_stream_not_found(void) { return AVERROR_STREAM_NOT_FOUND; }
static inline int sg_av_error_protocol_not_found(void) { return AVERROR_PROTOCOL_NOT_FOUND; }
static inline int sg_av_error_again(void) { return AVERROR(EAGAIN); }

static void sg_av_log_nothing(void *object, int level, const char *format, va_list arguments) {
    (void)object;
    (void)level;
    (void)format;
    (void)arguments;
}

// libav prints URLs with credentials and camera-made text to stderr; all we tell comes from error codes instead.
static inline void sg_av_log_silence(void) { av_log_set_callback(sg_av_log_nothing); }

// Quantiser scale to libav's quality unit.
static inline int sg_av_quality(int scale) { return scale * FF_QP2LAMBDA; }
