#include "tools/sandbox/system_calls.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <span>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

namespace llamajit::sandbox {
namespace {

// A filter that is being made. Rules that libseccomp can't add, as for a call that this machine does not have, are passed
// over: what no rule allows is refused.
class Filter {
 public:
  explicit Filter(std::uint32_t otherwise) : context_(seccomp_init(otherwise), seccomp_release) {}

  bool exists() const { return context_ != nullptr; }

  void allow(std::span<const int> calls) {
    for (const int call : calls) add(SCMP_ACT_ALLOW, call, {});
  }
  void allow(int call, std::initializer_list<scmp_arg_cmp> where) { add(SCMP_ACT_ALLOW, call, where); }
  void kill(int call, std::initializer_list<scmp_arg_cmp> where = {}) {
    add(SCMP_ACT_KILL_PROCESS, call, where);
  }
  void refuse(int call, int error) { add(SCMP_ACT_ERRNO(static_cast<unsigned>(error)), call, {}); }

  // 0, or an error's number.
  int hold() {
    scmp_filter_ctx context = context_.get();
    seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    // Kernels before 5.16 would slow all code down for a filter.
    seccomp_attr_set(context, SCMP_FLTATR_CTL_SSB, 1);
    seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a tree, not a list
    seccomp_attr_set(context, SCMP_FLTATR_CTL_NNP, 1);
    if (const int error = seccomp_attr_set(context, SCMP_FLTATR_CTL_TSYNC, 1); error != 0) return -error;
    return failed_ ? ENOMEM : -seccomp_load(context);
  }

 private:
  void add(std::uint32_t action, int call, std::initializer_list<scmp_arg_cmp> where) {
    const int error =
        seccomp_rule_add_array(context_.get(), action, call, static_cast<unsigned>(where.size()),
                               where.size() == 0 ? nullptr : where.begin());
    failed_ = failed_ || error == -ENOMEM;
  }

  std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
  bool failed_ = false;
};

scmp_arg_cmp is(unsigned argument, std::uint64_t value) {
  return {argument, SCMP_CMP_EQ, value, 0};
}
scmp_arg_cmp is_not(unsigned argument, std::uint64_t value) {
  return {argument, SCMP_CMP_NE, value, 0};
}
scmp_arg_cmp has_bits(unsigned argument, std::uint64_t mask, std::uint64_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

// What computing, waiting and descriptors that are open take.
constexpr int kAlways[] = {
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(madvise), SCMP_SYS(mincore), SCMP_SYS(msync), SCMP_SYS(mlock),
    SCMP_SYS(munlock), SCMP_SYS(munlockall), SCMP_SYS(membarrier),
    // threads
    SCMP_SYS(futex), SCMP_SYS(futex_waitv), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
    SCMP_SYS(rseq), SCMP_SYS(set_robust_list), SCMP_SYS(set_tid_address), SCMP_SYS(exit),
    SCMP_SYS(exit_group), SCMP_SYS(gettid), SCMP_SYS(getcpu),
    // time
    SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep), SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(times), SCMP_SYS(getrusage), SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime), SCMP_SYS(timerfd_gettime),
    // signals
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(pause),
    // what is open
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(write), SCMP_SYS(writev),
    SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(close), SCMP_SYS(lseek), SCMP_SYS(fstat),
    SCMP_SYS(newfstatat), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(ftruncate), SCMP_SYS(dup),
    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2),
    SCMP_SYS(eventfd2), SCMP_SYS(pipe2),
    // what the process is
    SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
    SCMP_SYS(getegid), SCMP_SYS(getrandom), SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(getrlimit)};

// Not TIOCSTI, which types for whoever sits at the terminal.
constexpr unsigned long kDeviceControls[] = {TCGETS,     TCSETS,  TCSETSW,  TCSETSF,   TCFLSH,
                                             TIOCGWINSZ, FIONBIO, FIONREAD, TIOCGPGRP, TIOCOUTQ};
constexpr int kDescriptorControls[] = {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC};

constexpr int kOpening[] = {SCMP_SYS(open), SCMP_SYS(openat)};
// Landlock says where.
constexpr int kFiles[] = {
    SCMP_SYS(open),       SCMP_SYS(openat),    SCMP_SYS(stat),       SCMP_SYS(lstat),    SCMP_SYS(statx),
    SCMP_SYS(access),     SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
    SCMP_SYS(getdents64), SCMP_SYS(getcwd),    SCMP_SYS(umask),      SCMP_SYS(fchmod),   SCMP_SYS(fallocate),
    SCMP_SYS(link),       SCMP_SYS(linkat),    SCMP_SYS(rename),     SCMP_SYS(renameat), SCMP_SYS(renameat2),
    SCMP_SYS(unlink),     SCMP_SYS(unlinkat),  SCMP_SYS(mkdir),      SCMP_SYS(mkdirat)};

// All on sockets that are there already.
constexpr int kServing[] = {SCMP_SYS(accept),  SCMP_SYS(accept4),     SCMP_SYS(recvfrom),
                            SCMP_SYS(recvmsg), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
                            SCMP_SYS(shutdown)};

// New programs and processes, and what looks into others.
constexpr int kNeverTried[] = {SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork),
                               SCMP_SYS(vfork),  SCMP_SYS(ptrace),   SCMP_SYS(process_vm_writev)};

void limit_memory(Filter& filter) {
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) {
    filter.allow(call, {has_bits(2, PROT_EXEC, 0)});
    filter.kill(call, {has_bits(2, PROT_EXEC, PROT_EXEC)});
  }
  filter.kill(SCMP_SYS(pkey_mprotect), {has_bits(2, PROT_EXEC, PROT_EXEC)});
  // Of no bytes it maps shared pages a second time: those of the kernels could then be written there.
  filter.allow(SCMP_SYS(mremap), {is_not(1, 0)});
}

// A message can't open a connection (TCP Fast Open), and options are those of connections alone: others reach the firewall.
void limit_serving(Filter& filter) {
  filter.allow(kServing);
  filter.allow(SCMP_SYS(sendmsg), {has_bits(2, MSG_FASTOPEN, 0)});
  filter.allow(SCMP_SYS(sendto),
               {has_bits(3, MSG_FASTOPEN, 0), is(4, 0)});  // to whom the socket is connected
  filter.allow(SCMP_SYS(getsockopt), {is(1, SOL_SOCKET), is(2, SO_ERROR)});
  filter.allow(SCMP_SYS(setsockopt), {is(1, SOL_SOCKET), is(2, SO_LINGER)});
  filter.allow(SCMP_SYS(setsockopt), {is(1, IPPROTO_TCP), is(2, TCP_NODELAY)});
}

void limit_processes(Filter& filter) {
  for (const int call : kNeverTried) filter.kill(call);
  filter.allow(SCMP_SYS(clone), {has_bits(0, CLONE_THREAD, CLONE_THREAD)});
  filter.kill(SCMP_SYS(clone), {has_bits(0, CLONE_THREAD, 0)});
  // Its flags lie in memory, where no filter sees them; where it is missing, C libraries take clone.
  filter.refuse(SCMP_SYS(clone3), ENOSYS);
  filter.allow(SCMP_SYS(tgkill), {is(0, static_cast<std::uint64_t>(getpid()))});
  filter.allow(SCMP_SYS(sched_setaffinity), {is(0, 0)});  // of the thread that asks
  filter.allow(SCMP_SYS(prctl), {is(0, PR_SET_NAME)});
  filter.allow(SCMP_SYS(prlimit64), {is(0, 0), is(2, 0)});  // asks
}

}  // namespace

std::string limit_system_calls(const Needs& needs) {
  Filter filter(SCMP_ACT_ERRNO(EPERM));
  if (!filter.exists()) return std::strerror(ENOMEM);
  filter.allow(kAlways);
  limit_memory(filter);
  limit_processes(filter);
  for (const unsigned long control : kDeviceControls) filter.allow(SCMP_SYS(ioctl), {is(1, control)});
  for (const int control : kDescriptorControls) {
    filter.allow(SCMP_SYS(fcntl), {is(1, static_cast<std::uint64_t>(control))});
  }
  if (needs.folders.empty()) {
    for (const int call : kOpening) filter.refuse(call, EACCES);
  } else {
    filter.allow(kFiles);
  }
  if (needs.serves) limit_serving(filter);
  const int error = filter.hold();
  return error == 0 ? "" : std::strerror(error);
}

}  // namespace llamajit::sandbox
