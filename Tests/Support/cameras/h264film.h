// h264film.h: a film of H.264 (Annex B, no B-frames) cut once into frames and RTP packets (RFC 6184, mode 1), for rtsploadcam.c.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAYLOAD = 1400 }; // bytes of a packet, below the usual MTU

struct packet { // what of a frame goes into one RTP packet
    const uint8_t *bytes;
    uint16_t size;
    uint8_t fu[2], has_fu, marker;
};
struct frame {
    int first, count, is_key;
};
static struct packet *packets;
static struct frame *frames;
static int packet_count, frame_count, most_packets;
static uint8_t *film;
static const uint8_t *sps, *pps;
static size_t sps_size, pps_size;

static void die(const char *what) {
    perror(what);
    exit(1);
}
static void *must(void *memory) {
    if (!memory) die("memory");
    return memory;
}

static void add_packet(const uint8_t *bytes, size_t size, int has_fu, uint8_t indicator, uint8_t header) {
    if (packet_count % 4096 == 0) packets = must(realloc(packets, (packet_count + 4096) * sizeof *packets));
    packets[packet_count++] = (struct packet){bytes, size, {indicator, header}, has_fu, 0};
}
static void add_unit(const uint8_t *unit, size_t size) {
    if (size <= PAYLOAD) return add_packet(unit, size, 0, 0, 0);
    uint8_t indicator = (unit[0] & 0xE0) | 28, type = unit[0] & 0x1F; // RFC 6184, FU-A
    for (size_t at = 1; at < size; at += PAYLOAD - 2) {
        size_t part = size - at < PAYLOAD - 2 ? size - at : PAYLOAD - 2;
        add_packet(unit + at, part, 1, indicator, type | (at == 1 ? 0x80 : 0) | (at + part == size ? 0x40 : 0));
    }
}
static void end_frame(int is_key) {
    int first = frame_count ? frames[frame_count - 1].first + frames[frame_count - 1].count : 0;
    if (frame_count % 256 == 0) frames = must(realloc(frames, (frame_count + 256) * sizeof *frames));
    frames[frame_count++] = (struct frame){first, packet_count - first, is_key};
    packets[packet_count - 1].marker = 0x80;
    if (packet_count - first > most_packets) most_packets = packet_count - first;
}
// Cuts the film into frames: one ends before a delimiter, a parameter set or a first slice that follows a slice.
static void read_film(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) die(path);
    size_t size = ftell(file), at = 0;
    film = must(malloc(size + 1));
    rewind(file);
    if (fread(film, 1, size, file) != size) die(path);
    fclose(file);
    int has_slice = 0, is_key = 0;
    while (at + 3 < size && memcmp(film + at, "\0\0\1", 3)) at++;
    while (at + 3 < size) {
        const uint8_t *unit = film + at + 3, *end = memmem(unit, film + size - unit, "\0\0\1", 3);
        size_t next = end ? (size_t)(end - film) : size;
        size_t length = film + next - unit;
        while (length > 1 && unit[length - 1] == 0) length--;
        int type = unit[0] & 0x1F, is_slice = type >= 1 && type <= 5;
        if (has_slice && (!is_slice || unit[1] & 0x80)) {
            end_frame(is_key);
            has_slice = is_key = 0;
        }
        if (type == 7) sps = unit, sps_size = length;
        if (type == 8) pps = unit, pps_size = length;
        add_unit(unit, length);
        has_slice |= is_slice;
        is_key |= type == 5;
        at = next;
    }
    if (has_slice) end_frame(is_key);
    if (!frame_count || !frames[0].is_key || !sps || sps_size < 4 || !pps) {
        fprintf(stderr, "%s: not an H.264 stream that begins with a keyframe and parameter sets\n", path);
        exit(1);
    }
}
