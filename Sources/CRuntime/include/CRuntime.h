#ifndef GOSSAMER_CRUNTIME_H
#define GOSSAMER_CRUNTIME_H

#include <stddef.h>
#include <stdint.h>

/// CRC-32C (Castagnoli, RFC 3720 B.4) of `length` bytes, continued from `crc` (0 to begin).
///
/// Uses the SSE4.2 `crc32` instruction on three interleaved lanes where the processor has it and
/// tables elsewhere. Pure: no state, no allocation.
uint32_t gossamer_crc32c(uint32_t crc, const void *bytes, size_t length);

#endif
