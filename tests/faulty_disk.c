/* A disk that is slow or that fails: a library that a test loads before the C library.
 *
 * The folder in FAULTY_DISK says what goes wrong with the files of a tape. Its file "write" has
 * the number of the error that the next writes return, after they have written a half. Its file
 * "write-waits" makes writes wait until it is gone. Its file "sync-ms" has the time that each
 * confirmation takes, in milliseconds.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* Reads the number in a file of the folder, or -1 if there is no file. */
static long fault(const char *name) {
    const char *folder = getenv("FAULTY_DISK");
    char path[4096], text[32] = {0};
    if (!folder) return -1;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    return length < 0 ? -1 : atol(text);
}

static int is_tape(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 6) return 0;
    path[length] = 0;
    return strcmp(path + length - 6, ".ticks") == 0;
}

static void pause_ms(long ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t at) {
    ssize_t (*next)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
    if (is_tape(file)) {
        while (fault("write-waits") >= 0) pause_ms(1);
        long error = fault("write");
        if (error > 0) {
            next(file, bytes, length / 2, at);
            errno = (int)error;
            return -1;
        }
    }
    return next(file, bytes, length, at);
}

static int confirm(const char *name, int file) {
    int (*next)(int) = dlsym(RTLD_NEXT, name);
    long ms = fault("sync-ms");
    if (ms > 0) pause_ms(ms);
    return next(file);
}

int fsync(int file) { return confirm("fsync", file); }

int fdatasync(int file) { return confirm("fdatasync", file); }
