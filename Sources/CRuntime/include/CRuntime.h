#ifndef GOSSAMER_CRUNTIME_H
#define GOSSAMER_CRUNTIME_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// CRC-32C (Castagnoli, RFC 3720 B.4) of `length` bytes, continued from `crc` (0 to begin).
///
/// Uses the SSE4.2 `crc32` instruction on three interleaved lanes where the processor has it, the
/// ARMv8 instruction where the build targets it, and tables elsewhere. No state, no allocation.
uint32_t gossamer_crc32c(uint32_t crc, const void *bytes, size_t length);

/// The same by tables alone: the reference that the hardware path is tested against.
uint32_t gossamer_crc32c_portable(uint32_t crc, const void *bytes, size_t length);

/// `open(2)` with O_CLOEXEC, which Swift cannot call because it is variadic; -1 sets errno.
int gossamer_open(const char *path, int flags, mode_t mode);

/// Writes two byte ranges one after the other at `offset`, in one `pwritev(2)`; may be short.
ssize_t gossamer_write_pair(
    int file, const void *head, size_t headLength, const void *body, size_t bodyLength,
    off_t offset);

/// Takes an exclusive `flock(2)` without waiting: 0, or -1 with errno (EWOULDBLOCK when held).
int gossamer_lock_exclusively(int file);

#endif
