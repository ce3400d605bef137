#include "CColours.h"

// A build for processors with AVX2 beside the one for all; the loader chooses.
#if defined(__x86_64__) && defined(__linux__)
#define SG_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define SG_CLONES
#endif

enum { bits = 13, unit = 1 << bits, half = unit / 2 };

// Parts of 8192. Where the matrices differ, a part of the chroma is luma in the other.
typedef struct {
    int16_t y_y, y_u, y_v, u_u, u_v, v_u, v_v;
    int black;
} matrix;

static inline uint8_t byte(int value) { return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value; }

// A line of chroma, and what it is in the luma of the two lines beside it.
SG_CLONES static void chroma_line(
    const matrix *m, const uint8_t *u, const uint8_t *v, uint8_t *restrict to_u, uint8_t *restrict to_v, int32_t *restrict of_chroma,
    int columns
) {
    for (int column = 0; column < columns; column++) {
        const int16_t a = (int16_t)(u[column] - 128), b = (int16_t)(v[column] - 128);
        to_u[column] = byte(((m->u_u * a + m->u_v * b + half) >> bits) + 128);
        to_v[column] = byte(((m->v_u * a + m->v_v * b + half) >> bits) + 128);
        of_chroma[2 * column] = of_chroma[2 * column + 1] = m->y_u * a + m->y_v * b + half;
    }
}

SG_CLONES static void luma_line(
    const matrix *m, const uint8_t *y, uint8_t *restrict to_y, const int32_t *restrict of_chroma, int width
) {
    for (int column = 0; column < width; column++) {
        const int16_t above = (int16_t)(y[column] - m->black);
        to_y[column] = byte((above * m->y_y + of_chroma[column]) >> bits);
    }
}

void sg_colours_to_jpeg(const sg_colours_picture *from, const sg_colours_picture *to, int width, int height, int full, int bt709) {
    const double luma = full ? 1 : 255.0 / 219, chroma = full ? 1 : 255.0 / 224;
    const matrix m = {
        .y_y = (int16_t)(luma * unit + 0.5),
        .y_u = bt709 ? (int16_t)(chroma * 0.101579 * unit + 0.5) : 0,
        .y_v = bt709 ? (int16_t)(chroma * 0.196076 * unit + 0.5) : 0,
        .u_u = (int16_t)(chroma * (bt709 ? 0.989854 : 1) * unit + 0.5),
        .u_v = bt709 ? (int16_t)(chroma * -0.110653 * unit - 0.5) : 0,
        .v_u = bt709 ? (int16_t)(chroma * -0.072453 * unit - 0.5) : 0,
        .v_v = (int16_t)(chroma * (bt709 ? 0.983398 : 1) * unit + 0.5),
        .black = full ? 0 : 16,
    };
    // Blocks that stay in the nearest cache, and on the stack.
    enum { block = 512 };
    int32_t of_chroma[2 * block];
    const int columns = (width + 1) / 2;
    for (int row = 0; row < (height + 1) / 2; row++) {
        for (int first = 0; first < columns; first += block) {
            const int count = columns - first < block ? columns - first : block;
            chroma_line(
                &m, from->planes[1] + (long)row * from->strides[1] + first, from->planes[2] + (long)row * from->strides[2] + first,
                to->planes[1] + (long)row * to->strides[1] + first, to->planes[2] + (long)row * to->strides[2] + first, of_chroma,
                count);
            const int pixels = width - 2 * first < 2 * count ? width - 2 * first : 2 * count;
            for (int line = 2 * row; line < height && line < 2 * row + 2; line++) {
                luma_line(
                    &m, from->planes[0] + (long)line * from->strides[0] + 2 * first,
                    to->planes[0] + (long)line * to->strides[0] + 2 * first, of_chroma, pixels);
            }
        }
    }
}
