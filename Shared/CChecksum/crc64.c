// How it is computed. A byte string is a polynomial over GF(2), its first bit the highest power; the CRC is what is left when it is
// divided by P. Reflected: in a word, bit 63 stands for x^0 and bit 0 for x^63.
//
//   tables   eight bytes at a time, one table for each of their distances from the end
//   folding  a block of 16 bytes that stands D bits before another may be replaced by (its first half * x^(D+64) +
//            its second half * x^D) mod P, added to the other: two carry-less multiplications by constants. Eight blocks
//            at a time are brought forward by 1024 bits; what is left of them at the end goes through the tables.
//            The product of two reflected words lacks a factor x, hence the exponents one lower in `fold_key`.
#include "CChecksum.h"

#if defined(__x86_64__)
#include <wmmintrin.h>
#endif

static const uint64_t polynomial = 0x9A6C9329AC4BC9B5u;

static uint64_t table[8][256];
// x^(8 * 2^n) mod P, for `combine`.
static uint64_t power_of_bytes[64];
#if defined(__x86_64__)
static int can_multiply;
// For D of 1024 and of 128: x^(D-1) and x^(D+63) mod P.
static uint64_t fold_key[2][2];
#endif

static uint64_t times_x(uint64_t a) { return (a >> 1) ^ ((a & 1) ? polynomial : 0); }

static uint64_t times(uint64_t a, uint64_t b) {
    uint64_t product = 0;
    // From the highest power of a down.
    for (int bit = 0; bit < 64; bit++) {
        product = times_x(product);
        if ((a >> bit) & 1) product ^= b;
    }
    return product;
}

static uint64_t power_of_x(int exponent) {
    uint64_t power = (uint64_t)1 << 63;
    while (exponent-- > 0) power = times_x(power);
    return power;
}

// Before main, so that no call has to ask whether it was done: some microseconds.
__attribute__((constructor)) static void prepare(void) {
    for (int index = 0; index < 256; index++) {
        uint64_t value = (uint64_t)index;
        for (int bit = 0; bit < 8; bit++) value = times_x(value);
        table[0][index] = value;
    }
    for (int index = 0; index < 256; index++) {
        for (int far = 1; far < 8; far++) {
            uint64_t nearer = table[far - 1][index];
            table[far][index] = (nearer >> 8) ^ table[0][nearer & 0xff];
        }
    }
    power_of_bytes[0] = power_of_x(8);
    for (int n = 1; n < 64; n++) power_of_bytes[n] = times(power_of_bytes[n - 1], power_of_bytes[n - 1]);
#if defined(__x86_64__)
    __builtin_cpu_init();
    can_multiply = __builtin_cpu_supports("pclmul") != 0;
    int distance[2] = {1024, 128};
    for (int n = 0; n < 2; n++) {
        fold_key[n][0] = power_of_x(distance[n] + 63);
        fold_key[n][1] = power_of_x(distance[n] - 1);
    }
#endif
}

// `state` is the CRC before the bits are inverted at the end.
static uint64_t by_tables(uint64_t state, const uint8_t *bytes, size_t count) {
    for (; count >= 8; count -= 8, bytes += 8) {
        for (int n = 0; n < 8; n++) state ^= (uint64_t)bytes[n] << (8 * n);
        uint64_t next = 0;
        for (int n = 0; n < 8; n++) next ^= table[7 - n][(state >> (8 * n)) & 0xff];
        state = next;
    }
    for (; count > 0; count--, bytes++) state = (state >> 8) ^ table[0][(state ^ *bytes) & 0xff];
    return state;
}

#if defined(__x86_64__)
__attribute__((target("pclmul,sse2"))) static inline __m128i fold(__m128i block, __m128i key, __m128i onto) {
    __m128i first = _mm_clmulepi64_si128(block, key, 0x00);
    __m128i second = _mm_clmulepi64_si128(block, key, 0x11);
    return _mm_xor_si128(_mm_xor_si128(first, second), onto);
}

__attribute__((target("pclmul,sse2"))) static inline __m128i load(const uint8_t *bytes) {
    return _mm_loadu_si128((const __m128i *)bytes);
}

// At least 128 bytes.
__attribute__((target("pclmul,sse2"))) static uint64_t by_folding(uint64_t state, const uint8_t *bytes, size_t count) {
    __m128i far = _mm_set_epi64x((long long)fold_key[0][1], (long long)fold_key[0][0]);
    __m128i near = _mm_set_epi64x((long long)fold_key[1][1], (long long)fold_key[1][0]);
    __m128i block[8];
    for (int n = 0; n < 8; n++) block[n] = load(bytes + 16 * n);
    block[0] = _mm_xor_si128(block[0], _mm_cvtsi64_si128((long long)state));
    for (bytes += 128, count -= 128; count >= 128; bytes += 128, count -= 128) {
        for (int n = 0; n < 8; n++) block[n] = fold(block[n], far, load(bytes + 16 * n));
    }
    __m128i all = block[0];
    for (int n = 1; n < 8; n++) all = fold(all, near, block[n]);
    for (; count >= 16; bytes += 16, count -= 16) all = fold(all, near, load(bytes));
    uint8_t rest[16];
    _mm_storeu_si128((__m128i *)rest, all);
    return by_tables(by_tables(0, rest, sizeof rest), bytes, count);
}
#endif

uint64_t sg_crc64_by_tables(uint64_t crc, const void *bytes, size_t count) { return ~by_tables(~crc, bytes, count); }

uint64_t sg_crc64(uint64_t crc, const void *bytes, size_t count) {
#if defined(__x86_64__)
    if (can_multiply && count >= 128) return ~by_folding(~crc, bytes, count);
#endif
    return sg_crc64_by_tables(crc, bytes, count);
}

uint64_t sg_crc64_combine(uint64_t a, uint64_t b, uint64_t count_b) {
    // The bits set at the start and those inverted at the end take each other out.
    for (int n = 0; count_b > 0; n++, count_b >>= 1) {
        if (count_b & 1) a = times(a, power_of_bytes[n]);
    }
    return a ^ b;
}
