// rtsprelay: an RTSP media server on one port, for tests and the demo. What is published (ANNOUNCE, RECORD) on a path
// can be played from the same path, over TCP and UDP, with Basic or Digest, and with TLS.
//
// usage: rtsprelay -p PORT [-a ADDRESS] [-A basic|digest|both -u FILE of lines user:password] [-c cert.pem -k key.pem]
// commands on standard input: kick | quit
#include <gst/gst.h>
#include <gst/app/gstappsrc.h>
#include <gst/app/gstappsink.h>
#include <gst/sdp/sdp.h>
#include <unistd.h>
#include "rtspserver.h"

typedef struct {
    gint64 t0;
    int have;
    GstClockTime base, off;
    int video;
} Play;

typedef struct {
    GstAppSrc *a;
    Play *pl;
} Src;

typedef struct {
    char *path;
    int n;
    char enc[8][32];
    GstCaps *caps[8];
    GList *srcs[8];
    int live;
} Path; // srcs: GstAppSrc of every PLAY media

static GHashTable *paths;
static GMutex lock;
static __thread int announcing;
static __thread Path *apath;
static GstRTSPServer *server;
static GstRTSPMediaFactory *factory;
static GstRTSPMountPoints *mounts;

typedef struct {
    GstRTSPMediaFactory p;
} RelayFactory;

typedef struct {
    GstRTSPMediaFactoryClass p;
} RelayFactoryClass;

static GType relay_factory_get_type(void);
G_DEFINE_TYPE(RelayFactory, relay_factory, GST_TYPE_RTSP_MEDIA_FACTORY)
static GMutex paths_lock;

static Path *get(const char *p, int make_path) {
    g_mutex_lock(&paths_lock);
    Path *x = g_hash_table_lookup(paths, p);
    if (!x && make_path) {
        x = g_new0(Path, 1);
        x->path = g_strdup(p);
        gst_rtsp_mount_points_add_factory(
            mounts, p, g_object_ref(factory)); /* exact path: 1.22 match() without remainder wants it */
        g_hash_table_insert(paths, x->path, x);
    }
    g_mutex_unlock(&paths_lock);
    return x;
}

static const char *depayloader(const char *e) {
    return !strcmp(e, "H264")   ? "rtph264depay name=depay%d ! video/x-h264,stream-format=byte-stream,alignment=au"
           : !strcmp(e, "H265") ? "rtph265depay name=depay%d ! video/x-h265,stream-format=byte-stream,alignment=au"
           : !strcmp(e, "JPEG") ? "rtpjpegdepay name=depay%d"
           : !strcmp(e, "MPEG4-GENERIC") ? "rtpmp4gdepay name=depay%d"
           : !strcmp(e, "PCMU")          ? "rtppcmudepay name=depay%d"
           : !strcmp(e, "PCMA")          ? "rtppcmadepay name=depay%d"
           : !strcmp(e, "OPUS")          ? "rtpopusdepay name=depay%d"
                                         : NULL;
}

static const char *payloader(const char *e) {
    return !strcmp(e, "H264")            ? "rtph264pay name=pay%d pt=%d config-interval=0"
           : !strcmp(e, "H265")          ? "rtph265pay name=pay%d pt=%d config-interval=0"
           : !strcmp(e, "JPEG")          ? "rtpjpegpay name=pay%d pt=26"
           : !strcmp(e, "MPEG4-GENERIC") ? "rtpmp4gpay name=pay%d pt=%d"
           : !strcmp(e, "PCMU")          ? "rtppcmupay name=pay%d pt=0"
           : !strcmp(e, "PCMA")          ? "rtppcmapay name=pay%d pt=8"
                                         : "rtpopuspay name=pay%d pt=%d";
}

static GstElement *create(GstRTSPMediaFactory *f, const GstRTSPUrl *u) {
    char l[4096] = "( ";
    char b[512];
    GError *e = NULL;
    if (announcing) {
        for (int i = 0; i < apath->n; i++) {
            snprintf(b, 512, depayloader(apath->enc[i]), i);
            strcat(l, b);
            snprintf(b, 512, " ! appsink name=k%d emit-signals=false sync=false max-buffers=0 drop=false ", i);
            strcat(l, b);
        }
    } else {
        Path *p = get(u->abspath, 0);
        if (!p || !p->live) { return NULL; }
        for (int i = 0; i < p->n; i++) {
            if (!p->caps[i]) { return NULL; }
            snprintf(b, 512, "appsrc name=s%d is-live=true format=time max-bytes=0 ! ", i);
            strcat(l, b);
            snprintf(b, 512, payloader(p->enc[i]), i, 96 + i);
            strcat(l, b);
            strcat(l, " ");
        }
    }
    strcat(l, ")");
    GstElement *el = gst_parse_launch_full(l, NULL, GST_PARSE_FLAG_PLACE_IN_BIN, &e);
    if (e) { fprintf(stderr, "launch: %s\n", e->message); }
    return el;
}

static gchar *key(GstRTSPMediaFactory *f, const GstRTSPUrl *u) {
    return announcing ? NULL : g_strdup(u->abspath);
}

typedef struct {
    Path *p;
    int i;
} Sink;

static GstFlowReturn sample(GstAppSink *s, gpointer u) {
    Sink *k = u;
    GstSample *sm = gst_app_sink_pull_sample(s);
    if (!sm) { return GST_FLOW_EOS; }
    GstBuffer *b = gst_sample_get_buffer(sm);
    GstCaps *c = gst_sample_get_caps(sm);
    g_mutex_lock(&lock);
    if (c && (!k->p->caps[k->i] || !gst_caps_is_equal(c, k->p->caps[k->i]))) { gst_caps_replace(&k->p->caps[k->i], c); }
    for (GList *l = k->p->srcs[k->i]; l; l = l->next) {
        Src *s_ = l->data;
        Play *pl = s_->pl;
        int vid = strcmp(k->p->enc[k->i], "PCMU") && strcmp(k->p->enc[k->i], "PCMA") &&
                  strcmp(k->p->enc[k->i], "MPEG4-GENERIC") && strcmp(k->p->enc[k->i], "OPUS");
        GstClockTime pts = GST_BUFFER_PTS(b);
        if (!GST_CLOCK_TIME_IS_VALID(pts)) { continue; }
        if (!pl->have) {
            if (pl->video && (!vid || GST_BUFFER_FLAG_IS_SET(b, GST_BUFFER_FLAG_DELTA_UNIT))) { continue; }
            pl->have = 1;
            pl->base = pts;
            pl->off = (g_get_monotonic_time() - pl->t0) * 1000;
        }
        if (pts < pl->base) { continue; }
        GstBuffer *o = gst_buffer_copy(b);
        GST_BUFFER_PTS(o) = GST_BUFFER_DTS(o) = pts - pl->base + pl->off;
        gst_app_src_push_buffer(s_->a, o);
    }
    g_mutex_unlock(&lock);
    gst_sample_unref(sm);
    return GST_FLOW_OK;
}

static void unpublished(GstRTSPMedia *m, Path *p) {
    p->live = 0;
    fprintf(stderr, "unpublish %s\n", p->path);
    g_mutex_lock(&lock);
    for (int i = 0; i < 8; i++) {
        for (GList *l = p->srcs[i]; l; l = l->next) {
            gst_app_src_end_of_stream(((Src *)l->data)->a);
        }
        gst_caps_replace(&p->caps[i], NULL);
    }
    g_mutex_unlock(&lock);
}

static void reader_left(GstRTSPMedia *m, Path *p) {
    GstElement *el = gst_rtsp_media_get_element(m);
    g_mutex_lock(&lock);
    for (int i = 0; i < p->n; i++) {
        char n[8];
        sprintf(n, "s%d", i);
        GstElement *s = gst_bin_get_by_name(GST_BIN(el), n);
        if (s) {
            for (GList *l = p->srcs[i]; l; l = l->next) {
                if (((Src *)l->data)->a == (void *)s) {
                    g_free(l->data);
                    p->srcs[i] = g_list_delete_link(p->srcs[i], l);
                    gst_object_unref(s);
                    break;
                }
            }
            gst_object_unref(s);
        }
    }
    g_mutex_unlock(&lock);
    gst_object_unref(el);
}

static void configure(GstRTSPMediaFactory *f, GstRTSPMedia *m) {
    GST_RTSP_MEDIA_FACTORY_CLASS(relay_factory_parent_class)->configure(f, m);
    GstElement *el = gst_rtsp_media_get_element(m);
    char n[8];
    if (announcing) {
        gst_rtsp_media_set_transport_mode(m, GST_RTSP_TRANSPORT_MODE_RECORD);
        gst_rtsp_media_set_latency(m, 100);
        Path *p = apath;
        p->live = 1;
        fprintf(stderr, "publish %s (%d streams)\n", p->path, p->n);
        GstAppSinkCallbacks cb = {.new_sample = sample};
        for (int i = 0; i < p->n; i++) {
            sprintf(n, "k%d", i);
            GstElement *s = gst_bin_get_by_name(GST_BIN(el), n);
            Sink *k = g_new0(Sink, 1);
            k->p = p;
            k->i = i;
            gst_app_sink_set_callbacks(GST_APP_SINK(s), &cb, k, g_free);
            gst_object_unref(s);
        }
        g_signal_connect(m, "unprepared", G_CALLBACK(unpublished), p);
    } else {
        gst_rtsp_media_set_transport_mode(m, GST_RTSP_TRANSPORT_MODE_PLAY);
        GstRTSPContext *ctx = gst_rtsp_context_get_current();
        Path *p = get(ctx->uri->abspath, 0);
        if (p) {
            g_mutex_lock(&lock);
            Play *pl = g_new0(Play, 1);
            pl->t0 = g_get_monotonic_time();
            for (int i = 0; i < p->n; i++) {
                if (p->enc[i][0] == 'H' || p->enc[i][0] == 'J') { pl->video = 1; }
            }
            for (int i = 0; i < p->n; i++) {
                sprintf(n, "s%d", i);
                GstElement *s = gst_bin_get_by_name(GST_BIN(el), n);
                g_object_set(s, "caps", p->caps[i], NULL);
                Src *q = g_new0(Src, 1);
                q->a = GST_APP_SRC(s);
                q->pl = pl;
                p->srcs[i] = g_list_prepend(p->srcs[i], q);
            }
            g_mutex_unlock(&lock);
            g_signal_connect(m, "unprepared", G_CALLBACK(reader_left), p);
        }
    }
    gst_object_unref(el);
}

static void relay_factory_class_init(RelayFactoryClass *c) {
    c->p.create_element = create;
    c->p.gen_key = key;
    c->p.configure = configure;
}

static void relay_factory_init(RelayFactory *f) {
}

static int parse_ann(GstRTSPContext *ctx) {
    guint8 *d = NULL;
    guint n = 0;
    gst_rtsp_message_get_body(ctx->request, &d, &n);
    GstSDPMessage *s;
    gst_sdp_message_new(&s);
    if (gst_sdp_message_parse_buffer(d, n, s) != GST_SDP_OK) {
        gst_sdp_message_free(s);
        return 0;
    }
    Path *p = get(ctx->uri->abspath, 1);
    if (p->live) {
        gst_sdp_message_free(s);
        return 0;
    }
    p->n = 0;
    for (guint i = 0; i < gst_sdp_message_medias_len(s) && i < 8; i++) {
        const GstSDPMedia *m = gst_sdp_message_get_media(s, i);
        int pt = atoi(gst_sdp_media_get_format(m, 0));
        GstCaps *cp = gst_sdp_media_get_caps_from_media(m, pt);
        const char *e = cp ? gst_structure_get_string(gst_caps_get_structure(cp, 0), "encoding-name") : NULL;
        snprintf(p->enc[p->n], 32, "%s", e ? e : pt == 0 ? "PCMU" : pt == 8 ? "PCMA" : pt == 26 ? "JPEG" : "?");
        for (char *q = p->enc[p->n]; *q; q++) {
            *q = g_ascii_toupper(*q);
        }
        if (cp) { gst_caps_unref(cp); }
        if (!depayloader(p->enc[p->n])) {
            fprintf(stderr, "unsupported %s\n", p->enc[p->n]);
            gst_sdp_message_free(s);
            return 0;
        }
        p->n++;
    }
    gst_sdp_message_free(s);
    announcing = 1;
    apath = p;
    return 1;
}

typedef struct {
    GstRTSPMountPoints p;
} RelayMounts;

typedef struct {
    GstRTSPMountPointsClass p;
} RelayMountsClass;

static GType relay_mounts_get_type(void);
G_DEFINE_TYPE(RelayMounts, relay_mounts, GST_TYPE_RTSP_MOUNT_POINTS)

// make_path() runs first in every request and the current context carries the request: the one hook that lets one
// path be both RECORD and PLAY
static gchar *make_path(GstRTSPMountPoints *m, const GstRTSPUrl *u) {
    GstRTSPContext *ctx = gst_rtsp_context_get_current();
    announcing = 0;
    if (ctx && ctx->method == GST_RTSP_ANNOUNCE && !parse_ann(ctx)) { return NULL; }
    return g_strdup(u->abspath);
}

static void relay_mounts_class_init(RelayMountsClass *c) {
    c->p.make_path = make_path;
}

static void relay_mounts_init(RelayMounts *m) {
}

static gboolean command(GIOChannel *ch, GIOCondition cond, gpointer u) {
    char b[128];
    if (!fgets(b, sizeof b, stdin)) { return FALSE; }
    if (!strncmp(b, "kick", 4)) {
        gst_rtsp_server_client_filter(server, kick_client, NULL);
    } else if (!strncmp(b, "quit", 4)) {
        exit(0);
    }
    return TRUE;
}

int main(int argc, char **argv) {
    const char *port = "8554", *addr = "127.0.0.1", *auth = NULL, *up = "cam:pass", *cert = NULL, *keyf = NULL;
    int o;
    while ((o = getopt(argc, argv, "p:a:A:u:c:k:")) > 0) {
        switch (o) {
        case 'p':
            port = optarg;
            break;
        case 'a':
            addr = optarg;
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
            keyf = optarg;
            break;
        }
    }
    gst_init(NULL, NULL);
    paths = g_hash_table_new(g_str_hash, g_str_equal);
    server = gst_rtsp_server_new();
    gst_rtsp_server_set_address(server, addr);
    gst_rtsp_server_set_service(server, port);
    GstRTSPThreadPool *tp = gst_rtsp_server_get_thread_pool(server);
    gst_rtsp_thread_pool_set_max_threads(tp, -1);
    // One thread per client: DESCRIBE blocks on preroll, a TCP publisher on the same thread would deadlock.
    g_object_unref(tp);
    protect(server, "rtsprelay", auth, up, cert, keyf);
    GstRTSPMountPoints *mp = g_object_new(relay_mounts_get_type(), NULL);
    gst_rtsp_server_set_mount_points(server, mp);
    GstRTSPMediaFactory *f = g_object_new(relay_factory_get_type(), NULL);
    gst_rtsp_media_factory_set_shared(f, TRUE);
    gst_rtsp_media_factory_set_transport_mode(f, GST_RTSP_TRANSPORT_MODE_PLAY | GST_RTSP_TRANSPORT_MODE_RECORD);
    gst_rtsp_media_factory_set_suspend_mode(f, GST_RTSP_SUSPEND_MODE_NONE);
    gst_rtsp_media_factory_set_protocols(f, GST_RTSP_LOWER_TRANS_TCP | GST_RTSP_LOWER_TRANS_UDP);
    allow_user(f);
    factory = f;
    mounts = mp;
    if (!gst_rtsp_server_attach(server, NULL)) {
        fprintf(stderr, "attach failed\n");
        return 1;
    }
    printf("ready rtsp%s://%s:%s/\n", cert ? "s" : "", addr, port);
    serve(server, command);
}
