// rtspcam: several cameras in one RTSP server, for tests and the demo. A file is read once into memory and fed to
// gst-rtsp-server with exact, continuous timestamps, in an endless loop; nothing is encoded again.
//
// usage: rtspcam -p PORT -f FILE... [-a ADDRESS] [-n CAMERAS] [-A basic|digest|both] [-u FILE of lines user:password]
//                [-c cert.pem -k key.pem] [-P tcp|udp|all] [-d BITS]           cameras are /cam0, /cam1, ...
// Each further -f is the film of the next camera; they begin again with the first one where there are more cameras.
// -d: one bit in so many of the pictures is wrong, each time another one. Says "play" for each session that begins.
// commands on standard input: freeze | thaw | kick | rm N | jump SECONDS | quit
#include <gst/gst.h>
#include <gst/app/gstappsrc.h>
#include <libavformat/avformat.h>
#include <libavcodec/bsf.h>
#include <unistd.h>
#include "rtspserver.h"
#define MAX_FRAMES 100000
#define MAX_FILMS 64

// One frame of the film, as it is sent.
typedef struct {
    uint8_t *d; // bytes
    int n;      // how many
    gboolean key;
    GstClockTime dur;
    gint64 ahead; // by how much it is shown later than its turn: other than 0 where pictures are reordered
} Frame;

// The video or the audio of the film.
typedef struct {
    int present;
    Frame *f; // frames
    int n;    // how many
    char caps[4096];
    char pay[256]; // the payloader of the pipeline; %d is its number
    GstCaps *c;    // `caps`, parsed
    gboolean is_video;
} Track;

typedef struct {
    Track video, audio;
    GstClockTime late; // by how much a picture is sent after its turn, so that none is sent before it is to be seen
} Film;

static Film films[MAX_FILMS];
// Nothing is sent while it is set.
static volatile int frozen = 0;
// By how much the cameras' clocks jump before the next frame.
static GstClockTime jump = 0;
// One bit in so many of the pictures is wrong; 0: none.
static int damage = 0;

// One camera that somebody looks at.
typedef struct {
    Film *film;
    GstAppSrc *v, *a;    // where its frames go
    GstElement *el;
    gint64 t0;           // when it began, in microseconds of the monotonic clock
    guint64 iv, ia;      // the next frame of each track, counted through all rounds of the film
    GstClockTime pv, pa; // its time
} Camera;

static GMutex lock;
static GList *cams;

static void load(const char *fn, Film *film) {
    AVFormatContext *c = NULL;
    if (avformat_open_input(&c, fn, NULL, NULL) < 0) {
        fprintf(stderr, "open %s\n", fn);
        exit(1);
    }
    avformat_find_stream_info(c, NULL);
    AVBSFContext *bsf = NULL;
    int vi = -1, ai = -1;
    double fps = 30;
    int64_t first = 0;
    for (unsigned i = 0; i < c->nb_streams; i++) {
        AVCodecParameters *p = c->streams[i]->codecpar;
        if (p->codec_type == AVMEDIA_TYPE_VIDEO && vi < 0) {
            vi = i;
            fps = av_q2d(c->streams[i]->avg_frame_rate);
            int fn_ = (int)(fps * 1000 + .5);
            if (p->codec_id == AV_CODEC_ID_H264 || p->codec_id == AV_CODEC_ID_HEVC) {
                int h = p->codec_id == AV_CODEC_ID_H264;
                if (p->extradata_size > 4 && p->extradata[0] == 1) {
                    av_bsf_alloc(av_bsf_get_by_name(h ? "h264_mp4toannexb" : "hevc_mp4toannexb"), &bsf);
                    avcodec_parameters_copy(bsf->par_in, p);
                    av_bsf_init(bsf);
                }
                sprintf(film->video.caps,
                    "video/x-h26%d,stream-format=byte-stream,alignment=au,width=%d,height=%d,framerate=%d/1000",
                    h ? 4 : 5, p->width, p->height, fn_);
                sprintf(film->video.pay, "rtph26%dpay name=pay%%d pt=96 config-interval=0 mtu=1400%s", h ? 4 : 5,
                    h ? " aggregate-mode=zero-latency" : "");
            } else if (p->codec_id == AV_CODEC_ID_MJPEG) {
                sprintf(film->video.caps, "image/jpeg,width=%d,height=%d,framerate=%d/1000", p->width, p->height, fn_);
                strcpy(film->video.pay, "rtpjpegpay name=pay%d pt=26 mtu=1400");
            } else {
                fprintf(stderr, "codec?\n");
                exit(1);
            }
            film->video.present = 1;
            film->video.f = calloc(MAX_FRAMES, sizeof(Frame));
        } else if (p->codec_type == AVMEDIA_TYPE_AUDIO && ai < 0) {
            ai = i;
            if (p->codec_id == AV_CODEC_ID_PCM_MULAW || p->codec_id == AV_CODEC_ID_PCM_ALAW) {
                int u = p->codec_id == AV_CODEC_ID_PCM_MULAW;
                sprintf(film->audio.caps, "audio/x-%s,rate=%d,channels=1", u ? "mulaw" : "alaw", p->sample_rate);
                sprintf(film->audio.pay, "rtppcm%cpay name=pay%%d pt=%d", u ? 'u' : 'a', u ? 0 : 8);
            } else if (p->codec_id == AV_CODEC_ID_AAC) {
                char hx[256] = "";
                for (int k = 0; k < p->extradata_size; k++) {
                    sprintf(hx + 2 * k, "%02x", p->extradata[k]);
                }
                sprintf(film->audio.caps,
                    "audio/mpeg,mpegversion=4,stream-format=raw,rate=%d,channels=%d,codec_data=(buffer)%s",
                    p->sample_rate, p->ch_layout.nb_channels, hx);
                strcpy(film->audio.pay, "rtpmp4gpay name=pay%d pt=97");
            } else {
                ai = -1;
                continue;
            }
            film->audio.present = 1;
            film->audio.f = calloc(MAX_FRAMES, sizeof(Frame));
        }
    }
    AVPacket *p = av_packet_alloc();
    while (av_read_frame(c, p) >= 0) {
        if (p->stream_index == vi) {
            if (bsf) {
                av_bsf_send_packet(bsf, p);
                if (av_bsf_receive_packet(bsf, p) < 0) { continue; }
            }
            Frame *f = &film->video.f[film->video.n++];
            f->d = malloc(p->size);
            memcpy(f->d, p->data, p->size);
            f->n = p->size;
            f->key = p->flags & AV_PKT_FLAG_KEY;
            f->dur = (GstClockTime)(1e9 / fps + .5);
            // In whole frames: the times of some files are rounded.
            if (f == film->video.f) { first = p->pts; }
            gint64 turn = f - film->video.f;
            AVStream *s = c->streams[vi];
            f->ahead = (av_rescale_q(p->pts - first, s->time_base, av_inv_q(s->avg_frame_rate)) - turn) * (gint64)f->dur;
            film->late = MAX((gint64)film->late, f->ahead);
        } else if (p->stream_index == ai) {
            AVCodecParameters *q = c->streams[ai]->codecpar;
            Frame *f = &film->audio.f[film->audio.n++];
            f->d = malloc(p->size);
            memcpy(f->d, p->data, p->size);
            f->n = p->size;
            f->key = TRUE;
            f->dur = q->codec_id == AV_CODEC_ID_AAC ? 1024ull * 1000000000 / q->sample_rate
                                                    : (guint64)p->size * 1000000000ull / q->sample_rate;
        }
        av_packet_unref(p);
    }
    avformat_close_input(&c);
    film->video.c = gst_caps_from_string(film->video.caps);
    if (film->audio.present) { film->audio.c = gst_caps_from_string(film->audio.caps); }
    fprintf(stderr, "loaded %d video, %d audio frames\n%s\n%s\n", film->video.n, film->audio.n, film->video.caps,
        film->audio.present ? film->audio.caps : "(no audio)");
}

// A copy of a picture with wrong bits, the same ones in each run of the program. The first bytes stay: what is no picture at all is
// left out by the payloader.
static GstBuffer *damaged(Frame *f) {
    static unsigned seed = 1;
    uint8_t *d = g_memdup2(f->d, f->n);
    for (gint64 bit = 64 + rand_r(&seed) % (2 * damage); bit < 8 * (gint64)f->n; bit += 1 + rand_r(&seed) % (2 * damage)) {
        d[bit / 8] ^= 1 << bit % 8;
    }
    return gst_buffer_new_wrapped(d, f->n);
}

static gboolean push(GstAppSrc *s, Track *t, guint64 *i, GstClockTime *pts, GstClockTime until) {
    gboolean any = FALSE;
    while (*pts <= until) {
        Frame *f = &t->f[*i % t->n];
        GstBuffer *b = damage && t->is_video
            ? damaged(f)
            : gst_buffer_new_wrapped_full(GST_MEMORY_FLAG_READONLY, f->d, f->n, 0, f->n, NULL, NULL);
        GST_BUFFER_DTS(b) = *pts;
        GST_BUFFER_PTS(b) = *pts + f->ahead;
        GST_BUFFER_DURATION(b) = f->dur;
        if (!f->key) { GST_BUFFER_FLAG_SET(b, GST_BUFFER_FLAG_DELTA_UNIT); }
        if (gst_app_src_push_buffer(s, b) != GST_FLOW_OK) { return any; }
        *pts += f->dur;
        (*i)++;
        any = TRUE;
    }
    return any;
}

static gpointer pacer(gpointer u) {
    for (;;) {
        g_usleep(4000);
        gint64 now = g_get_monotonic_time();
        if (frozen) { continue; }
        g_mutex_lock(&lock);
        for (GList *l = cams; l; l = l->next) {
            Camera *c = l->data;
            GstClockTime el = (now - c->t0) * 1000;
            if (jump) {
                c->t0 -= jump / 1000;
                c->pv += jump;
                c->pa += jump;
                el += jump;
            }
            if (el >= c->film->late) { push(c->v, &c->film->video, &c->iv, &c->pv, el - c->film->late); }
            if (c->a) { push(c->a, &c->film->audio, &c->ia, &c->pa, el); }
        }
        jump = 0;
        g_mutex_unlock(&lock);
    }
    return NULL;
}

static void unprepared(GstRTSPMedia *m, Camera *c) {
    g_mutex_lock(&lock);
    cams = g_list_remove(cams, c);
    g_mutex_unlock(&lock);
    gst_object_unref(c->v);
    if (c->a) { gst_object_unref(c->a); }
    gst_object_unref(c->el);
    g_free(c);
}

static void configure(GstRTSPMediaFactory *f, GstRTSPMedia *m, Film *film) {
    Camera *c = g_new0(Camera, 1);
    c->film = film;
    c->el = gst_rtsp_media_get_element(m);
    c->v = GST_APP_SRC(gst_bin_get_by_name_recurse_up(GST_BIN(c->el), "v"));
    g_object_set(c->v, "caps", film->video.c, NULL);
    if (film->audio.present) {
        c->a = GST_APP_SRC(gst_bin_get_by_name_recurse_up(GST_BIN(c->el), "a"));
        g_object_set(c->a, "caps", film->audio.c, NULL);
    }
    c->t0 = g_get_monotonic_time();
    g_signal_connect(m, "unprepared", G_CALLBACK(unprepared), c);
    g_mutex_lock(&lock);
    cams = g_list_prepend(cams, c);
    g_mutex_unlock(&lock);
}

static GstRTSPServer *server;

static void plays(GstRTSPClient *client, GstRTSPContext *context, gpointer u) {
    puts("play");
    fflush(stdout);
}

static void connected(GstRTSPServer *s, GstRTSPClient *client, gpointer u) {
    g_signal_connect(client, "play-request", G_CALLBACK(plays), NULL);
}

static gboolean command(GIOChannel *ch, GIOCondition cond, gpointer u) {
    char b[128];
    if (!fgets(b, sizeof b, stdin)) { return FALSE; }
    b[strcspn(b, "\n")] = 0;
    if (!strcmp(b, "freeze")) {
        frozen = 1;
    } else if (!strcmp(b, "thaw")) {
        frozen = 0;
    } else if (!strcmp(b, "kick")) {
        gst_rtsp_server_client_filter(server, kick_client, NULL);
    } else if (!strncmp(b, "jump ", 5)) {
        jump = (GstClockTime)(atof(b + 5) * 1e9);
    } else if (!strncmp(b, "rm ", 3)) {
        char m[64];
        sprintf(m, "/cam%d", atoi(b + 3));
        GstRTSPMountPoints *mp = gst_rtsp_server_get_mount_points(server);
        gst_rtsp_mount_points_remove_factory(mp, m);
        g_object_unref(mp);
    } else if (!strcmp(b, "quit")) {
        exit(0);
    }
    fprintf(stderr, "command %s\n", b);
    return TRUE;
}

int main(int argc, char **argv) {
    const char *port = "8554", *addr = "127.0.0.1", *files[MAX_FILMS], *auth = NULL, *up = "cam:pass", *cert = NULL,
               *key = NULL, *proto = "all";
    int n = 1, fc = 0, o;
    while ((o = getopt(argc, argv, "p:a:n:f:A:u:c:k:P:d:")) > 0) {
        switch (o) {
        case 'p':
            port = optarg;
            break;
        case 'a':
            addr = optarg;
            break;
        case 'n':
            n = atoi(optarg);
            break;
        case 'f':
            if (fc < MAX_FILMS) { files[fc++] = optarg; }
            break;
        case 'A':
            auth = optarg;
            break;
        case 'u':
            up = read_logins(optarg);
            break;
        case 'c':
            cert = optarg;
            break;
        case 'k':
            key = optarg;
            break;
        case 'P':
            proto = optarg;
            break;
        case 'd':
            damage = MAX(atoi(optarg), 1);
            break;
        }
    }
    if (!fc) {
        fprintf(stderr, "usage: rtspcam -p PORT -f FILE...\n");
        return 64;
    }
    gst_init(NULL, NULL);
    for (int i = 0; i < fc; i++) {
        load(files[i], &films[i]);
        films[i].video.is_video = TRUE;
    }
    n = MAX(n, fc);
    server = gst_rtsp_server_new();
    gst_rtsp_server_set_address(server, addr);
    gst_rtsp_server_set_service(server, port);
    g_signal_connect(server, "client-connected", G_CALLBACK(connected), NULL);
    GstRTSPMountPoints *mp = gst_rtsp_server_get_mount_points(server);
    protect(server, "rtspcam", auth, up, cert, key);
    for (int i = 0; i < n; i++) {
        GstRTSPMediaFactory *f = gst_rtsp_media_factory_new();
        Film *film = &films[i % fc];
        char p[256], l[900];
        snprintf(p, 256, film->video.pay, 0);
        int end = snprintf(l, 900, "( appsrc name=v is-live=true format=time max-bytes=0 block=false ! %s", p);
        if (film->audio.present) {
            snprintf(p, 256, film->audio.pay, 1);
            end += snprintf(l + end, 900 - end, " appsrc name=a is-live=true format=time max-bytes=0 ! %s", p);
        }
        snprintf(l + end, 900 - end, " )");
        gst_rtsp_media_factory_set_launch(f, l);
        gst_rtsp_media_factory_set_shared(f, TRUE);
        gst_rtsp_media_factory_set_suspend_mode(f, GST_RTSP_SUSPEND_MODE_NONE);
        gst_rtsp_media_factory_set_protocols(f, !strcmp(proto, "tcp") ? GST_RTSP_LOWER_TRANS_TCP
                                                : !strcmp(proto, "udp")
                                                    ? GST_RTSP_LOWER_TRANS_UDP
                                                    : GST_RTSP_LOWER_TRANS_TCP | GST_RTSP_LOWER_TRANS_UDP);
        allow_user(f);
        g_signal_connect(f, "media-configure", G_CALLBACK(configure), film);
        char m[64];
        sprintf(m, "/cam%d", i);
        gst_rtsp_mount_points_add_factory(mp, m, f);
    }
    g_object_unref(mp);
    if (!gst_rtsp_server_attach(server, NULL)) {
        fprintf(stderr, "attach failed (port in use?)\n");
        return 1;
    }
    g_thread_new("pacer", pacer, NULL);
    printf("ready rtsp%s://%s:%s/cam0..%d\n", cert ? "s" : "", addr, port, n - 1);
    serve(server, command);
}
