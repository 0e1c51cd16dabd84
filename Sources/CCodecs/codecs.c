#include "CCodecs.h"

#include <limits.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

// zlib's windowBits for the gzip framing.
#define GZIP_WINDOW (15 + 16)
// The largest zstd window accepted: what the reference decoder takes by default.
#define ZSTD_WINDOW_LOG 27
// The blocks of the Java snappy stream.
#define SNAPPY_BLOCK 32768
#define SNAPPY_HEADER 16

static const uint8_t snappy_magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

// MARK: gzip

static int gzip_decompress(
    const uint8_t *input, size_t length, uint8_t *output, size_t capacity, size_t *written) {
    z_stream stream;
    memset(&stream, 0, sizeof stream);
    if (length > UINT_MAX) return GOSSAMER_CODEC_CORRUPT;
    if (inflateInit2(&stream, GZIP_WINDOW) != Z_OK) return GOSSAMER_CODEC_FAILED;
    stream.next_in = (Bytef *)input;
    stream.avail_in = (uInt)length;
    size_t produced = 0;
    int result = GOSSAMER_CODEC_CORRUPT;
    for (;;) {
        size_t room = capacity - produced;
        uint8_t spare;  // one byte beyond tells "full" from "ends here"
        stream.next_out = room > 0 ? output + produced : &spare;
        stream.avail_out = room > UINT_MAX ? UINT_MAX : room > 0 ? (uInt)room : 1;
        uInt offered = stream.avail_out;
        int status = inflate(&stream, Z_NO_FLUSH);
        size_t got = offered - stream.avail_out;
        if (room == 0 && got > 0) {
            result = GOSSAMER_CODEC_FULL;
            break;
        }
        produced += got;
        if (status == Z_STREAM_END) {
            if (stream.avail_in == 0) {
                result = GOSSAMER_CODEC_OK;
                break;
            }
            // gzip members may follow each other.
            if (inflateReset(&stream) != Z_OK) break;
            continue;
        }
        if (status != Z_OK) break;
        if (got == 0 && stream.avail_in == 0) break;
    }
    inflateEnd(&stream);
    *written = produced;
    return result;
}

static int gzip_compress(
    const uint8_t *input, size_t length, uint8_t *output, size_t capacity, size_t *written) {
    z_stream stream;
    memset(&stream, 0, sizeof stream);
    if (length > UINT_MAX || capacity > UINT_MAX) return GOSSAMER_CODEC_FAILED;
    if (deflateInit2(
            &stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY)
        != Z_OK) {
        return GOSSAMER_CODEC_FAILED;
    }
    stream.next_in = (Bytef *)input;
    stream.avail_in = (uInt)length;
    stream.next_out = output;
    stream.avail_out = (uInt)capacity;
    int status = deflate(&stream, Z_FINISH);
    *written = stream.total_out;
    deflateEnd(&stream);
    return status == Z_STREAM_END ? GOSSAMER_CODEC_OK : GOSSAMER_CODEC_FAILED;
}

// MARK: snappy

static uint32_t read_big_endian(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void write_big_endian(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static int snappy_block(
    const uint8_t *input, size_t length, uint8_t *output, size_t capacity, size_t *written) {
    size_t size;
    const char *bytes = (const char *)input;
    if (snappy_uncompressed_length(bytes, length, &size) != SNAPPY_OK) {
        return GOSSAMER_CODEC_CORRUPT;
    }
    // A claim beyond what snappy can reach (64 bytes from 3) is a lie, not a lack of room.
    if (size / 32 > length) return GOSSAMER_CODEC_CORRUPT;
    if (size > capacity) return GOSSAMER_CODEC_FULL;
    if (snappy_uncompress(bytes, length, (char *)output, &size) != SNAPPY_OK) {
        return GOSSAMER_CODEC_CORRUPT;
    }
    *written = size;
    return GOSSAMER_CODEC_OK;
}

static int snappy_decompress(
    const uint8_t *input, size_t length, uint8_t *output, size_t capacity, size_t *written) {
    if (length < SNAPPY_HEADER || memcmp(input, snappy_magic, sizeof snappy_magic) != 0) {
        return snappy_block(input, length, output, capacity, written);
    }
    size_t at = SNAPPY_HEADER, produced = 0;
    while (at < length) {
        if (length - at < 4) return GOSSAMER_CODEC_CORRUPT;
        size_t block = read_big_endian(input + at);
        at += 4;
        if (block > length - at) return GOSSAMER_CODEC_CORRUPT;
        size_t got = 0;
        int status = snappy_block(input + at, block, output + produced, capacity - produced, &got);
        if (status != GOSSAMER_CODEC_OK) return status;
        produced += got;
        at += block;
    }
    *written = produced;
    return GOSSAMER_CODEC_OK;
}

static size_t snappy_bound(size_t length) {
    size_t blocks = length / SNAPPY_BLOCK + 1;
    return SNAPPY_HEADER + blocks * (4 + snappy_max_compressed_length(SNAPPY_BLOCK));
}

static int snappy_compress_stream(
    const uint8_t *input, size_t length, uint8_t *output, size_t capacity, size_t *written) {
    if (capacity < snappy_bound(length)) return GOSSAMER_CODEC_FULL;
    memcpy(output, snappy_magic, sizeof snappy_magic);
    write_big_endian(output + 8, 1);   // version
    write_big_endian(output + 12, 1);  // the oldest version that can read it
    size_t produced = SNAPPY_HEADER;
    while (length > 0) {
        size_t block = length < SNAPPY_BLOCK ? length : SNAPPY_BLOCK;
        size_t got = snappy_max_compressed_length(block);
        char *target = (char *)output + produced + 4;
        if (snappy_compress((const char *)input, block, target, &got) != SNAPPY_OK) {
            return GOSSAMER_CODEC_FAILED;
        }
        write_big_endian(output + produced, (uint32_t)got);
        produced += 4 + got;
        input += block;
        length -= block;
    }
    *written = produced;
    return GOSSAMER_CODEC_OK;
}

// MARK: LZ4

static int lz4_decompress(
    const uint8_t *input, size_t length, uint8_t *output, size_t capacity, size_t *written) {
    LZ4F_dctx *context;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION))) {
        return GOSSAMER_CODEC_FAILED;
    }
    size_t at = 0, produced = 0, hint = 1;
    int result = GOSSAMER_CODEC_CORRUPT;
    while (at < length || hint != 0) {
        uint8_t spare;
        size_t room = capacity - produced;
        size_t out = room > 0 ? room : 1;
        size_t in = length - at;
        hint = LZ4F_decompress(
            context, room > 0 ? output + produced : &spare, &out, input + at, &in, NULL);
        if (LZ4F_isError(hint)) break;
        if (room == 0 && out > 0) {
            result = GOSSAMER_CODEC_FULL;
            break;
        }
        at += in;
        produced += out;
        if (hint == 0 && at == length) {
            result = GOSSAMER_CODEC_OK;
            break;
        }
        if (in == 0 && out == 0) break;
    }
    LZ4F_freeDecompressionContext(context);
    *written = produced;
    return result;
}

static int lz4_compress(
    const uint8_t *input, size_t length, uint8_t *output, size_t capacity, size_t *written) {
    LZ4F_preferences_t preferences;
    memset(&preferences, 0, sizeof preferences);
    preferences.frameInfo.blockSizeID = LZ4F_max64KB;
    preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    size_t result = LZ4F_compressFrame(output, capacity, input, length, &preferences);
    if (LZ4F_isError(result)) return GOSSAMER_CODEC_FAILED;
    *written = result;
    return GOSSAMER_CODEC_OK;
}

static size_t lz4_bound(size_t length) {
    LZ4F_preferences_t preferences;
    memset(&preferences, 0, sizeof preferences);
    preferences.frameInfo.blockSizeID = LZ4F_max64KB;
    preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    return LZ4F_compressFrameBound(length, &preferences);
}

// MARK: zstd

static int zstd_decompress(
    const uint8_t *input, size_t length, uint8_t *output, size_t capacity, size_t *written) {
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (context == NULL) return GOSSAMER_CODEC_FAILED;
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
    ZSTD_inBuffer in = {input, length, 0};
    size_t produced = 0, hint = 1;
    int result = GOSSAMER_CODEC_CORRUPT;
    while (in.pos < in.size || hint != 0) {
        uint8_t spare;
        size_t room = capacity - produced, before = in.pos;
        ZSTD_outBuffer out = {room > 0 ? output + produced : &spare, room > 0 ? room : 1, 0};
        hint = ZSTD_decompressStream(context, &out, &in);
        if (ZSTD_isError(hint)) break;
        if (room == 0 && out.pos > 0) {
            result = GOSSAMER_CODEC_FULL;
            break;
        }
        produced += out.pos;
        if (hint == 0 && in.pos == in.size) {
            result = GOSSAMER_CODEC_OK;
            break;
        }
        if (in.pos == before && out.pos == 0) break;
    }
    ZSTD_freeDCtx(context);
    *written = produced;
    return result;
}

// MARK: all

int gossamer_decompress(
    int codec, const void *input, size_t length, void *output, size_t capacity, size_t *written) {
    *written = 0;
    if (length == 0) return GOSSAMER_CODEC_CORRUPT;
    switch (codec) {
    case 1: return gzip_decompress(input, length, output, capacity, written);
    case 2: return snappy_decompress(input, length, output, capacity, written);
    case 3: return lz4_decompress(input, length, output, capacity, written);
    case 4: return zstd_decompress(input, length, output, capacity, written);
    default: return GOSSAMER_CODEC_CORRUPT;
    }
}

size_t gossamer_compress_bound(int codec, size_t length) {
    switch (codec) {
    case 1: return compressBound(length) + 32;
    case 2: return snappy_bound(length);
    case 3: return lz4_bound(length);
    default: return ZSTD_compressBound(length);
    }
}

int gossamer_compress(
    int codec, const void *input, size_t length, void *output, size_t capacity, size_t *written) {
    *written = 0;
    switch (codec) {
    case 1: return gzip_compress(input, length, output, capacity, written);
    case 2: return snappy_compress_stream(input, length, output, capacity, written);
    case 3: return lz4_compress(input, length, output, capacity, written);
    case 4: {
        size_t result = ZSTD_compress(output, capacity, input, length, ZSTD_CLEVEL_DEFAULT);
        if (ZSTD_isError(result)) return GOSSAMER_CODEC_FAILED;
        *written = result;
        return GOSSAMER_CODEC_OK;
    }
    default: return GOSSAMER_CODEC_FAILED;
    }
}
