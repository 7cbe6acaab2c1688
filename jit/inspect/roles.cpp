#include "jit/inspect/roles.h"

#include <algorithm>
#include <string_view>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace llamajit::jit::inspect {
namespace {

using File = Annotations::File;
using Role = Annotations::Role;

// General registers are numbered as in instructions.
constexpr std::string_view kGprs[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                      "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

std::string register_name(File file, int index, Isa isa) {
  switch (file) {
    case File::general:
      return std::string(kGprs[index]);
    case File::vector:
      return fmt::format("{}mm{}", isa.wide() ? 'z' : 'y', index);
    case File::mask:
      return fmt::format("k{}", index);
    case File::tile:
      return fmt::format("tmm{}", index);
  }
  return "";
}

std::string registers(const Role& role, Isa isa) {
  std::string first = register_name(role.file, role.first, isa);
  if (role.count == 1) return first;
  return fmt::format("{}-{}", first, register_name(role.file, role.first + role.count - 1, isa));
}

std::string meaning(const Role& role) {
  std::string text = role.name;
  if (!role.shape.empty()) {
    if (text.find('[') == std::string::npos) text += "[i]";
    text += fmt::format(" ({})", fmt::join(role.shape, ", "));
  }
  if (role.registers_each == 2) text += ", each a lower and an upper half";
  return text;
}

}  // namespace

std::vector<std::string> role_table(const Annotations& annotations, Isa isa) {
  std::vector<Role> roles = annotations.roles;
  std::ranges::stable_sort(roles, {}, [](const Role& r) { return std::tuple(r.file, r.first); });
  std::vector<std::string> table;
  for (const Role& role : roles) {
    std::string line = fmt::format("{:<12} {}", registers(role, isa), meaning(role));
    if (std::ranges::find(table, line) == table.end()) table.push_back(std::move(line));
  }
  return table;
}

}  // namespace llamajit::jit::inspect
