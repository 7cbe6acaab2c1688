#include "jit/base/tile_permission.h"

#include <cerrno>
#include <cstdint>
#include <system_error>

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace llamajit::jit {
namespace {

// As arch_prctl(2) of Linux 5.16 numbers them; asm/prctl.h of older systems lacks the names.
constexpr int kGetPermission = 0x1022, kRequestPermission = 0x1023;
constexpr unsigned long kTileData = 18;  // the state's number

std::string refusal(int error) {
  std::string what = std::generic_category().message(error);
  if (error == ENOSPC)
    return fmt::format("{}: a thread's alternate signal stack is too small for them", what);
  return what;
}

std::optional<std::string> ask() {
  if (syscall(SYS_arch_prctl, kRequestPermission, kTileData) != 0) return refusal(errno);
  std::uint64_t allowed = 0;
  if (syscall(SYS_arch_prctl, kGetPermission, &allowed) != 0) return refusal(errno);
  if ((allowed >> kTileData & 1U) == 0) return "it agreed, but does not list them";
  return std::nullopt;
}

}  // namespace

const std::optional<std::string>& tiles_refused() {
  static const std::optional<std::string> why = ask();
  return why;
}

}  // namespace llamajit::jit
