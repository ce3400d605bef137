// What the camera (rtspcam.c) and the media server (rtsprelay.c) do the same way: who may connect, sessions that end, clients
// that are thrown out. Both are programs of one file, so that this can be a header.
#include <gst/rtsp-server/rtsp-server.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The text of a file of logins, "user:password" a line, so that a password is never an argument.
static char *read_logins(const char *path) {
    char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    return text;
}

// Lets in who knows one of `logins` (lines "user:password") by `method` (basic, digest or both; NULL: everyone), over TLS where a
// certificate is given.
static void protect(GstRTSPServer *server, const char *realm, const char *method, const char *logins, const char *certificate_path,
    const char *key_path) {
    if (!method && !certificate_path) { return; }
    GstRTSPAuth *auth = gst_rtsp_auth_new();
    GstRTSPToken *token = gst_rtsp_token_new(GST_RTSP_TOKEN_MEDIA_FACTORY_ROLE, G_TYPE_STRING, "user", NULL);
    if (method) {
        int methods = strcmp(method, "digest") ? GST_RTSP_AUTH_BASIC : 0;
        if (strcmp(method, "basic")) { methods |= GST_RTSP_AUTH_DIGEST; }
        char **lines = g_strsplit(logins, "\n", 0);
        for (char **line = lines; *line; line++) {
            char **parts = g_strsplit(*line, ":", 2);
            if (parts[0] && parts[1]) {
                if (methods & GST_RTSP_AUTH_BASIC) {
                    gst_rtsp_auth_add_basic(auth, gst_rtsp_auth_make_basic(parts[0], parts[1]), token);
                }
                if (methods & GST_RTSP_AUTH_DIGEST) { gst_rtsp_auth_add_digest(auth, parts[0], parts[1], token); }
            }
            g_strfreev(parts);
        }
        g_strfreev(lines);
        gst_rtsp_auth_set_supported_methods(auth, methods);
        gst_rtsp_auth_set_realm(auth, realm);
    } else {
        gst_rtsp_auth_set_default_token(auth, token);
    }
    if (certificate_path) {
        GError *error = NULL;
        GTlsCertificate *certificate = g_tls_certificate_new_from_files(certificate_path, key_path, &error);
        if (!certificate) {
            fprintf(stderr, "tls: %s\n", error->message);
            exit(1);
        }
        gst_rtsp_auth_set_tls_certificate(auth, certificate);
    }
    gst_rtsp_server_set_auth(server, auth);
}

// Gives the role of `protect` all rights on a factory.
static void allow_user(GstRTSPMediaFactory *factory) {
    gst_rtsp_media_factory_add_role(factory, "user", GST_RTSP_PERM_MEDIA_FACTORY_ACCESS, G_TYPE_BOOLEAN, TRUE,
        GST_RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, G_TYPE_BOOLEAN, TRUE, NULL);
}

// For gst_rtsp_server_client_filter: ends every connection.
static GstRTSPFilterResult kick_client(GstRTSPServer *server, GstRTSPClient *client, gpointer unused) {
    return GST_RTSP_FILTER_REMOVE;
}

static gboolean end_old_sessions(gpointer server) {
    GstRTSPSessionPool *pool = gst_rtsp_server_get_session_pool(server);
    gst_rtsp_session_pool_cleanup(pool);
    g_object_unref(pool);
    return TRUE;
}

// Serves until the process ends; lines on standard input go to `command`.
static void serve(GstRTSPServer *server, GIOFunc command) {
    g_timeout_add_seconds(2, end_old_sessions, server);
    g_io_add_watch(g_io_channel_unix_new(0), G_IO_IN, command, NULL);
    fflush(stdout);
    g_main_loop_run(g_main_loop_new(NULL, FALSE));
}
