#define _GNU_SOURCE
#include "CRuntime.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/uio.h>

int gossamer_open(const char *path, int flags, mode_t mode) {
    int file;
    do {
        file = open(path, flags | O_CLOEXEC, mode);
    } while (file < 0 && errno == EINTR);
    return file;
}

ssize_t gossamer_write_pair(
    int file, const void *head, size_t headLength, const void *body, size_t bodyLength,
    off_t offset) {
    struct iovec parts[2] = {
        {.iov_base = (void *)head, .iov_len = headLength},
        {.iov_base = (void *)body, .iov_len = bodyLength},
    };
    ssize_t written;
    do {
        written = pwritev(file, parts, 2, offset);
    } while (written < 0 && errno == EINTR);
    return written;
}

int gossamer_lock_exclusively(int file) {
    int result;
    do {
        result = flock(file, LOCK_EX | LOCK_NB);
    } while (result < 0 && errno == EINTR);
    return result;
}
