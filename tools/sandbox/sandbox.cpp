#include "tools/sandbox/sandbox.h"

#include <cerrno>
#include <cstring>
#include <ctime>

#include <fmt/format.h>
#include <sys/prctl.h>

#include "tools/sandbox/landlock.h"
#include "tools/sandbox/system_calls.h"

namespace llamajit::sandbox {
namespace {

// Linux 6.3's PR_SET_MDWE and PR_MDWE_REFUSE_EXEC_GAIN, which headers may not have.
constexpr int kDenyWriteExecute = 65;
constexpr unsigned long kRefuseGain = 1;

void keep(Report& report, const std::string& what, const std::string& refusal) {
  if (refusal.empty()) {
    report.held.push_back(what);
  } else {
    report.missing.push_back(fmt::format("{} ({})", what, refusal));
  }
}

// All return why not; "" where it is held.
std::string refuse_new_code() {
  return prctl(kDenyWriteExecute, kRefuseGain, 0, 0, 0) == 0 ? "" : std::strerror(errno);
}

}  // namespace

Report close(const Needs& needs) {
  const Landlock files(needs.folders);
  tzset();  // the time zone's file can't be read later
  Report report;
  keep(report, "no new code (MDWE)", refuse_new_code());
  keep(report, "files (Landlock)", files.hold_all_threads());
  keep(report, "system calls (seccomp)", limit_system_calls(needs));
  return report;
}

const char* reason_against() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return "this build has sanitizers, which start processes to look at their own";
#else
  return "";
#endif
}

}  // namespace llamajit::sandbox
