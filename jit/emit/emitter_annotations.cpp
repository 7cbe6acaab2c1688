// Here the Emitter tells its Annotations what it does.
#include <functional>
#include <limits>
#include <numeric>

#include "jit/emit/emitter.h"

namespace llamajit::jit {

void Emitter::name(const Xbyak::Reg& reg, std::string_view role) {
  const auto file = reg.isOPMASK()                              ? Annotations::File::mask
                    : reg.isXMM() || reg.isYMM() || reg.isZMM() ? Annotations::File::vector
                                                                : Annotations::File::general;
  record_role(file, reg.getIdx(), 1, {}, role);
}

void Emitter::name(const V16& value, std::string_view role) {
  record_role(Annotations::File::vector, value.part[0].getIdx(), value.uniform() ? 1 : value.parts, {}, role);
}

void Emitter::name(const std::vector<V16>& values, std::string_view role) {
  const V16& first = values.front();
  record_role(Annotations::File::vector, first.part[0].getIdx(), first.parts,
              {static_cast<int>(values.size())}, role);
}

void Emitter::name_stack(int offset, std::string_view role) {
  record([&](Annotations& a, std::uint32_t /*at*/) { a.stack.push_back({offset, std::string(role)}); });
}

void Emitter::record_role(Annotations::File file, int first, int registers_each,
                          std::initializer_list<int> shape, std::string_view role) {
  if (role.empty()) return;
  record([&](Annotations& a, std::uint32_t at) {
    const int values = std::accumulate(shape.begin(), shape.end(), 1, std::multiplies<>());
    a.roles.push_back({file, first, values * registers_each, registers_each, std::string(role), shape, at,
                       std::numeric_limits<std::uint32_t>::max()});
  });
}

void Emitter::record_loop(const Reg64& counter, std::size_t begin, std::int64_t turns) {
  record([&](Annotations& a, std::uint32_t at) {
    const auto from = static_cast<std::uint32_t>(begin);
    std::string name = a.role_of(Annotations::File::general, counter.getIdx(), from);
    if (name.empty()) name = "loop";
    a.loops.push_back({from, at, name, turns});
    a.labels.push_back({at, "behind_" + name});
  });
}

void Emitter::record_constant(const std::vector<std::uint32_t>& values, std::string_view meaning) {
  record([&](Annotations& a, std::uint32_t at) {
    a.constants.push_back({at, values, std::string(meaning)});
  });
}

void Emitter::name_lanes(const Xbyak::Opmask& mask, int first, int end) {
  if (annotations_ != nullptr) name(mask, fmt::format("lanes_{}_to_{}", first, end - 1));
}

}  // namespace llamajit::jit
