#include "CRuntime.h"

#include <pthread.h>
#include <string.h>

// CRC-32C, reflected polynomial 0x82F63B78 (RFC 3720 B.4).
#define POLYNOMIAL 0x82F63B78u

// A lane is long enough to hide the three cycles of the instruction and short enough that the
// tail without lanes stays cheap: two sizes, for large and for middling input.
#define LONG_LANE 8192
#define SHORT_LANE 256

static uint32_t table[8][256];
static uint32_t long_shift[4][256];
static uint32_t short_shift[4][256];
static int has_instruction;
static pthread_once_t once = PTHREAD_ONCE_INIT;

// Multiplies a 32x32 matrix over GF(2) with a vector.
static uint32_t times(const uint32_t matrix[32], uint32_t vector) {
    uint32_t sum = 0;
    for (int bit = 0; vector != 0; bit++, vector >>= 1) {
        if (vector & 1) sum ^= matrix[bit];
    }
    return sum;
}

static void square(uint32_t result[32], const uint32_t matrix[32]) {
    for (int bit = 0; bit < 32; bit++) result[bit] = times(matrix, matrix[bit]);
}

// Fills the tables that advance a CRC over `length` zero bytes; `length` is a power of two.
static void prepare_shift(uint32_t shift[4][256], size_t length) {
    uint32_t odd[32], even[32];
    odd[0] = POLYNOMIAL;  // the operator of one zero bit
    for (int bit = 1; bit < 32; bit++) odd[bit] = 1u << (bit - 1);
    square(even, odd);  // two bits
    square(odd, even);  // four bits
    // Each squaring doubles the distance: eight bits (one byte) after the next.
    const uint32_t *operator_ = odd;
    for (;;) {
        square(even, odd);
        length >>= 1;
        operator_ = even;
        if (length == 0) break;
        square(odd, even);
        length >>= 1;
        operator_ = odd;
        if (length == 0) break;
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        for (int lane = 0; lane < 4; lane++) {
            shift[lane][byte] = times(operator_, byte << (8 * lane));
        }
    }
}

static void prepare(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (POLYNOMIAL & (0u - (crc & 1)));
        table[0][byte] = crc;
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = table[0][byte];
        for (int slice = 1; slice < 8; slice++) {
            crc = table[0][crc & 0xFF] ^ (crc >> 8);
            table[slice][byte] = crc;
        }
    }
    prepare_shift(long_shift, LONG_LANE);
    prepare_shift(short_shift, SHORT_LANE);
#if defined(__x86_64__)
    has_instruction = __builtin_cpu_supports("sse4.2");
#elif defined(__ARM_FEATURE_CRC32)
    has_instruction = 1;
#endif
}

static uint32_t by_tables(uint32_t crc, const uint8_t *next, size_t length) {
    crc = ~crc;
    while (length >= 8) {
        uint32_t low, high;
        memcpy(&low, next, 4);
        memcpy(&high, next + 4, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        low = __builtin_bswap32(low);
        high = __builtin_bswap32(high);
#endif
        low ^= crc;
        crc = table[7][low & 0xFF] ^ table[6][(low >> 8) & 0xFF] ^ table[5][(low >> 16) & 0xFF]
            ^ table[4][low >> 24] ^ table[3][high & 0xFF] ^ table[2][(high >> 8) & 0xFF]
            ^ table[1][(high >> 16) & 0xFF] ^ table[0][high >> 24];
        next += 8;
        length -= 8;
    }
    while (length-- > 0) crc = table[0][(crc ^ *next++) & 0xFF] ^ (crc >> 8);
    return ~crc;
}

uint32_t gossamer_crc32c_portable(uint32_t crc, const void *bytes, size_t length) {
    pthread_once(&once, prepare);
    return by_tables(crc, bytes, length);
}

#if defined(__x86_64__)

#include <nmmintrin.h>

static uint32_t advance(const uint32_t shift[4][256], uint32_t crc) {
    return shift[0][crc & 0xFF] ^ shift[1][(crc >> 8) & 0xFF] ^ shift[2][(crc >> 16) & 0xFF]
        ^ shift[3][crc >> 24];
}

static inline uint64_t load(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

#define INTERLEAVE(LANE, SHIFT)                                                              \
    while (length >= 3 * (LANE)) {                                                           \
        uint64_t second = 0, third = 0;                                                      \
        const uint8_t *end = next + (LANE);                                                  \
        do {                                                                                 \
            first = _mm_crc32_u64(first, load(next));                                        \
            second = _mm_crc32_u64(second, load(next + (LANE)));                             \
            third = _mm_crc32_u64(third, load(next + 2 * (LANE)));                           \
            next += 8;                                                                       \
        } while (next < end);                                                                \
        first = advance(SHIFT, (uint32_t)first) ^ (uint32_t)second;                          \
        first = advance(SHIFT, (uint32_t)first) ^ (uint32_t)third;                           \
        next += 2 * (LANE);                                                                  \
        length -= 3 * (LANE);                                                                \
    }

__attribute__((target("sse4.2")))
static uint32_t by_instruction(uint32_t crc, const uint8_t *next, size_t length) {
    uint64_t first = (uint32_t)~crc;
    INTERLEAVE(LONG_LANE, long_shift)
    INTERLEAVE(SHORT_LANE, short_shift)
    while (length >= 8) {
        first = _mm_crc32_u64(first, load(next));
        next += 8;
        length -= 8;
    }
    while (length-- > 0) first = _mm_crc32_u8((uint32_t)first, *next++);
    return ~(uint32_t)first;
}

#elif defined(__ARM_FEATURE_CRC32)

#include <arm_acle.h>

static uint32_t by_instruction(uint32_t crc, const uint8_t *next, size_t length) {
    crc = ~crc;
    while (length >= 8) {
        uint64_t word;
        memcpy(&word, next, 8);
        crc = __crc32cd(crc, word);
        next += 8;
        length -= 8;
    }
    while (length-- > 0) crc = __crc32cb(crc, *next++);
    return ~crc;
}

#else

#define by_instruction by_tables

#endif

uint32_t gossamer_crc32c(uint32_t crc, const void *bytes, size_t length) {
    pthread_once(&once, prepare);
    return has_instruction ? by_instruction(crc, bytes, length) : by_tables(crc, bytes, length);
}
