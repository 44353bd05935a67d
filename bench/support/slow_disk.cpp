// Makes the disk under one folder slow: a library for LD_PRELOAD.
//
// Writes are taken by the page cache at once, as reads are served by it. A sync writes what is dirty,
// one operation for each run of pages up to 128 KiB, and one more for the file system's journal.
// Operations of all threads take turns on the one device, and each blocks its caller. SQLite's shared
// memory is never synced.
// System calls are made directly, so that any C library can be below.

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace {

constexpr int kFiles = 1024;
constexpr int64_t kPageBytes = 4096;
constexpr int64_t kPages = 64 * 1024;  // of a file; larger files start over
constexpr int64_t kLongestRun = 32;    // pages
constexpr int64_t kSecond = 1000000000;

std::atomic<uint64_t> dirty[kFiles][kPages / 64];
std::atomic<int64_t> period{0};
std::atomic<int64_t> free_at{0};
std::atomic<int64_t> operations{0};
std::atomic<int64_t> main_thread_operations{0};

int64_t Now() {
  timespec now;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

bool IsSlow(int file) {
  static const char* const folder = getenv("SLOW_DISK_FOLDER");
  if (folder == nullptr || file < 0) return false;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = syscall(SYS_readlink, link, path, sizeof path);
  const ssize_t wanted = static_cast<ssize_t>(strlen(folder));
  const bool is_inside = length >= wanted && memcmp(path, folder, wanted) == 0;
  return is_inside && memcmp(path + length - 4, "-shm", 4) != 0;
}

void Operate(int64_t count) {
  operations += count;
  if (syscall(SYS_gettid) == getpid()) main_thread_operations += count;
  const int64_t taken = period * count;
  if (taken == 0) return;
  int64_t before = free_at, done;
  do {
    const int64_t now = Now();
    done = (before > now ? before : now) + taken;
  } while (!free_at.compare_exchange_weak(before, done));
  timespec until{done / kSecond, done % kSecond};
  while (syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) != 0) {
  }
}

int64_t TakeDirtyRuns(int file) {
  int64_t runs = 0, length = 0;
  for (auto& word : dirty[file]) {
    const uint64_t pages = word.exchange(0);
    for (int bit = 0; bit < 64; ++bit) {
      const bool is_dirty = (pages >> bit & 1) != 0;
      if (is_dirty && length % kLongestRun == 0) ++runs;
      length = is_dirty ? length + 1 : 0;
    }
  }
  return runs;
}

void Sync(int file) {
  if (file < kFiles && IsSlow(file)) Operate(TakeDirtyRuns(file) + 1);
}

// Files without a position (`offset` is negative) are pipes and the like.
void Write(int file, int64_t offset, int64_t size) {
  if (size <= 0 || offset < 0 || file >= kFiles || !IsSlow(file)) return;
  if (syscall(SYS_gettid) == getpid()) ++main_thread_operations;
  for (int64_t page = offset / kPageBytes; page <= (offset + size - 1) / kPageBytes; ++page) {
    dirty[file][page % kPages / 64] |= uint64_t{1} << page % 64;
  }
}

}  // namespace

extern "C" {

void slow_disk_set(double operations_per_second) {
  period = operations_per_second > 0 ? static_cast<int64_t>(kSecond / operations_per_second) : 0;
}

int64_t slow_disk_operations(int of_main_thread) {
  return of_main_thread != 0 ? main_thread_operations : operations;
}

ssize_t write(int file, const void* data, size_t size) {
  const int saved = errno;
  const int64_t offset = syscall(SYS_lseek, file, 0, SEEK_CUR);
  errno = saved;
  Write(file, offset, static_cast<int64_t>(size));
  return syscall(SYS_write, file, data, size);
}

ssize_t pwrite(int file, const void* data, size_t size, off_t offset) {
  Write(file, offset, static_cast<int64_t>(size));
  return syscall(SYS_pwrite64, file, data, size, offset);
}

ssize_t pwrite64(int file, const void* data, size_t size, off_t offset) {
  return pwrite(file, data, size, offset);
}

int fsync(int file) {
  Sync(file);
  return static_cast<int>(syscall(SYS_fsync, file));
}

int fdatasync(int file) {
  Sync(file);
  return static_cast<int>(syscall(SYS_fdatasync, file));
}

}  // extern "C"
