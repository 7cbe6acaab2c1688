#include "tools/sandbox/landlock.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tools/sandbox/all_threads.h"

namespace llamajit::sandbox {
namespace {

// From the kernel's documentation (userspace-api/landlock): headers may be older than the kernel, and C libraries have no
// functions for it.
constexpr long kCreateRuleset = 444, kAddRule = 445, kRestrictSelf = 446;
constexpr std::uint32_t kAskForVersion = 1;
constexpr int kPathBeneath = 1;

enum FileRight : std::uint64_t {
  execute = 1 << 0,
  write_file = 1 << 1,
  read_file = 1 << 2,
  read_folder = 1 << 3,
  remove_folder = 1 << 4,
  remove_file = 1 << 5,
  make_file = 1 << 8,
  last_of_version_1 = 1 << 12,
  refer = 1 << 13,          // version 2: link and rename from one folder to another
  truncate_file = 1 << 14,  // 3
  device_control = 1 << 15  // 5
};
constexpr std::uint64_t kNetworkRights = 3;  // version 4: to bind and to connect TCP

struct Ruleset {
  std::uint64_t file_rights;     // that need a rule
  std::uint64_t network_rights;  // likewise
};
struct [[gnu::packed]] PathRule {
  std::uint64_t rights;
  std::int32_t folder;
};

std::uint64_t file_rights_of(long version) {
  std::uint64_t rights = 2 * last_of_version_1 - 1;
  if (version >= 2) rights |= refer;
  if (version >= 3) rights |= truncate_file;
  if (version >= 5) rights |= device_control;
  return rights;
}

int make_ruleset(std::uint64_t file_rights, long version) {
  const Ruleset ruleset{file_rights, version >= 4 ? kNetworkRights : 0};
  const std::size_t size = version >= 4 ? sizeof ruleset : sizeof ruleset.file_rights;
  return static_cast<int>(syscall(kCreateRuleset, &ruleset, size, 0));
}

// For the handler of a signal.
bool hold_this_thread(int rules) {
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(kRestrictSelf, rules, 0) == 0;
}

}  // namespace

Landlock::Landlock(const std::vector<std::string>& folders) : rules_(-1) {
  const long version = syscall(kCreateRuleset, nullptr, 0, kAskForVersion);
  const std::uint64_t all = version > 0 ? file_rights_of(version) : 0;
  if (version > 0) rules_ = jit::FileDescriptor(make_ruleset(all, version));
  if (rules_.get() < 0) refusal_ = std::strerror(errno);
  constexpr std::uint64_t kOfFolders =
      read_file | read_folder | write_file | make_file | remove_file | refer | truncate_file;
  for (const std::string& folder : folders) {
    const jit::FileDescriptor at(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (at.get() < 0) throw std::runtime_error(fmt::format("{}: {}", folder, std::strerror(errno)));
    if (rules_.get() < 0) continue;
    const PathRule rule{kOfFolders & all, at.get()};
    if (syscall(kAddRule, rules_.get(), kPathBeneath, &rule, 0) != 0) {
      throw std::runtime_error(fmt::format("{}: {}", folder, std::strerror(errno)));
    }
  }
}

std::string Landlock::hold_all_threads() const {
  if (rules_.get() < 0) return refusal_;
  // This one last: it has to see which others there are.
  const bool all_others = on_other_threads(hold_this_thread, rules_.get());
  if (!hold_this_thread(rules_.get())) return std::strerror(errno);
  return all_others ? "" : "not all threads could be reached";
}

}  // namespace llamajit::sandbox
