// Preloaded into the program (LD_PRELOAD), makes one call into the C library fail, as a system that is out of memory,
// threads, files or room does: LLAMAJIT_FAIL=CALL:N is the Nth call of that name, from 1, and CALL:N+ that one and all
// behind it. With LLAMAJIT_FAIL_COUNT=FILE how often the call came is written there at the end, so that whoever tries
// every N knows when to stop. LLAMAJIT_DENY=CALL:ERROR, both as numbers, has the kernel answer a system call with an error.
// Calls that the C library makes within itself are not seen, nor those before main(), where
// libraries make their static objects and nobody could say what is wrong.
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace {

// Nothing here may allocate before malloc() is known.
struct Plan {
  char call[32] = "";
  long number = 0;
  bool and_later = false;
};

Plan plan;
std::atomic<long> calls{0};
int count_file = -1;

__attribute__((constructor(101))) void read_plan() {
  // Before a sandbox allows no more files.
  const char* const counted = getenv("LLAMAJIT_FAIL_COUNT");
  if (counted != nullptr)
    count_file = static_cast<int>(syscall(SYS_open, counted, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const char* const said = getenv("LLAMAJIT_FAIL");
  if (said == nullptr) return;
  const char* const colon = strchr(said, ':');
  if (colon == nullptr || colon - said >= static_cast<long>(sizeof plan.call)) return;
  memcpy(plan.call, said, static_cast<size_t>(colon - said));
  char* end = nullptr;
  plan.number = strtol(colon + 1, &end, 10);
  plan.and_later = *end == '+';
}

__attribute__((destructor)) void write_count() {
  if (count_file < 0) return;
  char text[32];
  const int length = snprintf(text, sizeof text, "%ld\n", calls.load());
  syscall(SYS_write, count_file, text, length);
}

std::atomic<bool> in_main{false};
int (*real_main)(int, char**, char**) = nullptr;

// Of system calls from now on (seccomp(2)).
void deny_system_call() {
  const char* const said = getenv("LLAMAJIT_DENY");
  if (said == nullptr) return;
  char* end = nullptr;
  const auto call = static_cast<unsigned>(strtoul(said, &end, 10));
  const auto error = static_cast<unsigned>(strtoul(end + 1, nullptr, 10));
  sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{sizeof steps / sizeof *steps, steps};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int counted_main(int argc, char** argv, char** environment) {
  deny_system_call();
  in_main = true;
  const int code = real_main(argc, argv, environment);
  in_main = false;
  return code;
}

bool fails(const char* call) {
  if (!in_main) return false;
  if (strcmp(call, plan.call) != 0) return false;
  const long n = ++calls;
  return plan.number > 0 && (n == plan.number || (plan.and_later && n > plan.number));
}

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

// glibc's own names of them, which need no dlsym(), as that allocates itself.
extern "C" {

int __libc_start_main(int (*main)(int, char**, char**), int argc, char** argv, void (*init)(), void (*fini)(),
                      void (*end)(), void* stack) {
  real_main = main;
  static auto* const call = real<decltype(__libc_start_main)>("__libc_start_main");
  return call(counted_main, argc, argv, init, fini, end, stack);
}

void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* from, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

void* malloc(size_t size) {
  if (fails("malloc")) {
    errno = ENOMEM;
    return nullptr;
  }
  return __libc_malloc(size);
}

void* calloc(size_t count, size_t size) {
  if (fails("malloc")) {
    errno = ENOMEM;
    return nullptr;
  }
  return __libc_calloc(count, size);
}

void* realloc(void* from, size_t size) {
  if (fails("malloc")) {
    errno = ENOMEM;
    return nullptr;
  }
  return __libc_realloc(from, size);
}

void* aligned_alloc(size_t alignment, size_t size) {
  if (fails("malloc")) {
    errno = ENOMEM;
    return nullptr;
  }
  return __libc_memalign(alignment, size);
}

int posix_memalign(void** to, size_t alignment, size_t size) {
  if (fails("malloc")) return ENOMEM;
  *to = __libc_memalign(alignment, size);
  return *to == nullptr ? ENOMEM : 0;
}

void* mmap(void* address, size_t length, int protection, int flags, int fd, off_t offset) {
  if (fails("mmap")) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  static auto* const call = real<decltype(mmap)>("mmap");
  return call(address, length, protection, flags, fd, offset);
}

int mprotect(void* address, size_t length, int protection) {
  if (fails("mprotect")) {
    errno = ENOMEM;
    return -1;
  }
  static auto* const call = real<decltype(mprotect)>("mprotect");
  return call(address, length, protection);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) {
  if (fails("pthread_create")) return EAGAIN;
  static auto* const call = real<decltype(pthread_create)>("pthread_create");
  return call(thread, attributes, start, argument);
}

int open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & (O_CREAT | O_TMPFILE)) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    va_end(arguments);
  }
  if (fails("open")) {
    errno = EMFILE;
    return -1;
  }
  static auto* const call = real<int(const char*, int, ...)>("open");
  return call(path, flags, mode);
}

ssize_t read(int fd, void* to, size_t size) {
  if (fails("read")) {
    errno = EIO;
    return -1;
  }
  static auto* const call = real<decltype(read)>("read");
  return call(fd, to, size);
}

ssize_t write(int fd, const void* from, size_t size) {
  if (fails("write")) {
    errno = ENOSPC;
    return -1;
  }
  static auto* const call = real<decltype(write)>("write");
  return call(fd, from, size);
}

int ftruncate(int fd, off_t length) {
  if (fails("ftruncate")) {
    errno = ENOSPC;
    return -1;
  }
  static auto* const call = real<decltype(ftruncate)>("ftruncate");
  return call(fd, length);
}

int fsync(int fd) {
  if (fails("fsync")) {
    errno = EIO;
    return -1;
  }
  static auto* const call = real<decltype(fsync)>("fsync");
  return call(fd);
}

}  // extern "C"
