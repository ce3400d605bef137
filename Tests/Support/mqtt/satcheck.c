// A plugin of Mosquitto 2.0.11 for tests: it lets clients in by a token, as the broker of Azure IoT Operations does with the tokens of
// Kubernetes service accounts (MQTT 5 enhanced authentication, method "K8S-SAT", the token as authentication data of CONNECT).
//
//   plugin_opt_tokens FILE  the tokens that are good, a line each: "TOKEN EXPIRES", the expiry in milliseconds of Unix time. Read anew at
//                           each check. If a token is there twice, the last line holds
//   plugin_opt_log FILE     gets a line for each decision: "<unix ms> accepted|refused|expired <client id> <first 8 bytes of the token>".
//                           May be left out
//
// Single step: the token is good (CONNACK 0) or not (CONNACK 135, not authorized); another method is answered with 140. Clients without a
// method are none of its business: the broker's password file decides on them.
//
// When a token expires, its client gets DISCONNECT 152 (administrative action) and the connection is closed; its session stays, and its
// will is dropped, not published. A change of the token file does not touch clients that are connected.
//
// Limits of 2.0.11: with "per_listener_settings true" it fires no ticks, so no token would expire. SIGHUP closes the connections of
// clients with a token (without DISCONNECT; the sessions stay), since it checks all clients against the password file again.
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SHOWN = 8 }; // bytes of a token that are logged

// A client that is connected with a token.
struct holder {
    struct holder *next;
    const struct mosquitto *client; // its identity: a client that takes over an id is there for a moment beside the one that had it
    char *id;
    int64_t expires;
    char shown[SHOWN + 1];
};

struct checker {
    const char *tokens, *log; // the broker keeps the options for as long as the plugin
    struct holder *holders;
};

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// The start of a token, fit for a field of a line; "-" for none.
static void show(char shown[SHOWN + 1], const char *token, size_t length) {
    size_t count = length < SHOWN ? length : SHOWN;
    for (size_t i = 0; i < count; i++) shown[i] = token[i] > ' ' && token[i] <= '~' ? token[i] : '?';
    if (count == 0) shown[count++] = '-';
    shown[count] = 0;
}

// Opens the log for every line, so that a test may move it away or empty it.
static void note(const struct checker *checker, const char *decision, const char *id, const char *shown) {
    if (!checker->log) return;
    FILE *file = fopen(checker->log, "a");
    if (file) {
        fprintf(file, "%" PRId64 " %s %s %s\n", now_ms(), decision, id, shown);
        fclose(file);
    } else {
        mosquitto_log_printf(MOSQ_LOG_ERR, "satcheck: cannot write %s", checker->log);
    }
}

// When the token expires; 0 if the file does not have it.
static int64_t expiry(const struct checker *checker, const char *token, size_t length) {
    FILE *file = fopen(checker->tokens, "r");
    if (!file) {
        mosquitto_log_printf(MOSQ_LOG_WARNING, "satcheck: cannot read %s, no token is good", checker->tokens);
        return 0;
    }
    int64_t found = 0;
    char *line = NULL;
    size_t room = 0;
    ssize_t count;
    while ((count = getline(&line, &room, file)) > 0) {
        // The file is read as bytes, since a token from the wire may hold anything, a zero too.
        if ((size_t)count <= length + 1 || memcmp(line, token, length) != 0 || line[length] != ' ') continue;
        found = strtoll(line + length + 1, NULL, 10);
    }
    free(line);
    fclose(file);
    return found;
}

static void release(struct holder *holder) {
    free(holder->id);
    free(holder);
}

static void forget(struct checker *checker, const struct mosquitto *client) {
    for (struct holder **link = &checker->holders; *link; link = &(*link)->next) {
        if ((*link)->client != client) continue;
        struct holder *gone = *link;
        *link = gone->next;
        release(gone);
        return;
    }
}

// A client connects with a method, or (AUTH, reason code 25) one that is connected shows a new token.
static int on_start(int event, void *data, void *userdata) {
    (void)event;
    struct checker *checker = userdata;
    struct mosquitto_evt_extended_auth *start = data;
    const char *id = mosquitto_client_id(start->client), *token = start->data_in ? start->data_in : "";
    size_t length = start->data_in ? start->data_in_len : 0;
    char shown[SHOWN + 1];
    if (strcmp(start->auth_method, "K8S-SAT") != 0) {
        note(checker, "refused", id, "-");
        return MOSQ_ERR_NOT_SUPPORTED;
    }
    show(shown, token, length);
    int64_t expires = length > 0 ? expiry(checker, token, length) : 0;
    if (expires <= now_ms()) {
        note(checker, "refused", id, shown);
        return MOSQ_ERR_AUTH;
    }
    // Without it the client would keep the user name it sent in CONNECT, which nobody checked, and with it that user's access list.
    if (mosquitto_set_username(start->client, "sat") != MOSQ_ERR_SUCCESS) return MOSQ_ERR_NOMEM;
    struct holder *holder = calloc(1, sizeof *holder);
    if (!holder || !(holder->id = strdup(id))) {
        free(holder);
        return MOSQ_ERR_NOMEM;
    }
    forget(checker, start->client);
    holder->client = start->client;
    holder->expires = expires;
    memcpy(holder->shown, shown, sizeof shown);
    holder->next = checker->holders;
    checker->holders = holder;
    note(checker, "accepted", id, shown);
    return MOSQ_ERR_SUCCESS;
}

// Comes for each connection that ends, whoever ended it, also for one whose id another client took over.
static int on_disconnect(int event, void *data, void *userdata) {
    (void)event;
    forget(userdata, ((struct mosquitto_evt_disconnect *)data)->client);
    return MOSQ_ERR_SUCCESS;
}

// Comes with each turn of the broker's loop, every 100 ms at the least.
static int on_tick(int event, void *data, void *userdata) {
    (void)event;
    (void)data;
    struct checker *checker = userdata;
    int64_t now = now_ms();
    for (struct holder **link = &checker->holders; *link;) {
        if ((*link)->expires > now) {
            link = &(*link)->next;
            continue;
        }
        // Off the list first: the kick calls on_disconnect.
        struct holder *expired = *link;
        *link = expired->next;
        note(checker, "expired", expired->id, expired->shown);
        mosquitto_kick_client_by_clientid(expired->id, false);
        release(expired);
        link = &checker->holders; // the list may have changed meanwhile
    }
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_plugin_version(int count, const int *versions) {
    for (int i = 0; i < count; i++)
        if (versions[i] == MOSQ_PLUGIN_VERSION) return MOSQ_PLUGIN_VERSION;
    return -1;
}

int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **userdata, struct mosquitto_opt *options, int count) {
    struct checker *checker = calloc(1, sizeof *checker);
    if (!checker) return MOSQ_ERR_NOMEM;
    for (int i = 0; i < count; i++) {
        if (strcmp(options[i].key, "tokens") == 0) checker->tokens = options[i].value;
        if (strcmp(options[i].key, "log") == 0) checker->log = options[i].value;
    }
    *userdata = checker;
    if (!checker->tokens) {
        mosquitto_log_printf(MOSQ_LOG_ERR, "satcheck: plugin_opt_tokens is missing");
        return MOSQ_ERR_INVAL;
    }
    int failed = mosquitto_callback_register(identifier, MOSQ_EVT_EXT_AUTH_START, on_start, NULL, checker);
    if (!failed) failed = mosquitto_callback_register(identifier, MOSQ_EVT_DISCONNECT, on_disconnect, NULL, checker);
    if (!failed) failed = mosquitto_callback_register(identifier, MOSQ_EVT_TICK, on_tick, NULL, checker);
    return failed;
}

// The broker ends: no callback comes after this.
int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int count) {
    (void)options;
    (void)count;
    struct checker *checker = userdata;
    while (checker && checker->holders) forget(checker, checker->holders->client);
    free(checker);
    return MOSQ_ERR_SUCCESS;
}
