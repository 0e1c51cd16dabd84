#ifndef GOSSAMER_CCODECS_H
#define GOSSAMER_CCODECS_H

#include <stddef.h>
#include <stdint.h>

/// What became of a call.
#define GOSSAMER_CODEC_OK 0
/// The output does not fit; what was written is of no use.
#define GOSSAMER_CODEC_FULL 1
/// The input is not what the codec writes.
#define GOSSAMER_CODEC_CORRUPT 2
/// The library could not work (memory).
#define GOSSAMER_CODEC_FAILED 3

/// Unfolds the whole input with Kafka's codec number (1 gzip, 2 snappy, 3 lz4, 4 zstd). Never
/// writes more than `capacity`; allocates only the library's fixed working memory.
int gossamer_decompress(
    int codec, const void *input, size_t length, void *output, size_t capacity, size_t *written);

/// The most that `gossamer_compress` writes for an input of `length` bytes.
size_t gossamer_compress_bound(int codec, size_t length);

/// Folds the whole input in the framing that Kafka's Java client uses.
int gossamer_compress(
    int codec, const void *input, size_t length, void *output, size_t capacity, size_t *written);

#endif
