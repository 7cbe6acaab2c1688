#include "jit/emit/annotations.h"

#include <algorithm>

#include <fmt/format.h>

namespace llamajit::jit {
namespace {

// "acc[1][3]" for value 11 of "acc[tile][token]" with shape (2, 8).
std::string indexed(const Annotations::Role& role, int value) {
  std::string indices;
  for (std::size_t i = role.shape.size(); i-- > 0;) {
    indices.insert(0, fmt::format("[{}]", value % role.shape[i]));
    value /= role.shape[i];
  }
  return role.name.substr(0, role.name.find('[')) + indices;
}

}  // namespace

const Annotations::Role* Annotations::find_role(File file, int index, std::uint32_t at) const {
  // The latest, as a register may be given another name while it is held.
  const auto latest = std::find_if(roles.rbegin(), roles.rend(),
                                   [&](const Role& role) { return role.holds(file, index, at); });
  return latest == roles.rend() ? nullptr : &*latest;
}

std::string Annotations::role_of(File file, int index, std::uint32_t at) const {
  const Role* const latest = find_role(file, index, at);
  if (latest == nullptr) return "";
  if (latest->count == 1 && latest->shape.empty()) return latest->name;
  const int position = index - latest->first;
  std::string name = indexed(*latest, position / latest->registers_each);
  if (latest->registers_each == 2) name += position % 2 == 0 ? ".lo" : ".hi";
  return name;
}

void Annotations::end_roles(File file, int first, std::uint32_t at) {
  for (Role& role : roles) {
    if (role.file == file && role.first >= first) role.end = std::min(role.end, at);
  }
}

}  // namespace llamajit::jit
