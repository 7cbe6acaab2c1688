#include "jit/inspect/labels.h"

#include <algorithm>
#include <iterator>
#include <set>

#include <fmt/format.h>

namespace llamajit::jit::inspect {
namespace {

std::set<std::uint32_t> jump_targets(const std::vector<Instruction>& code) {
  std::set<std::uint32_t> targets;
  for (const Instruction& instruction : code) {
    if (!instruction.is_branch()) continue;
    if (const auto target = instruction.target()) targets.insert(*target);
  }
  return targets;
}

std::string turns(const Annotations::Loop& loop) {
  return loop.turns > 0 ? fmt::format("{} turns", loop.turns) : "";
}

}  // namespace

Labels::Labels(const Annotations& annotations, const std::vector<Instruction>& code) {
  for (const std::uint32_t target : jump_targets(code)) {
    const auto loop = std::ranges::find(annotations.loops, target, &Annotations::Loop::begin);
    const auto named = std::ranges::find(annotations.labels, target, &Annotations::Label::at);
    if (loop != annotations.loops.end()) {
      add(target, loop->name, turns(*loop));
    } else if (named != annotations.labels.end()) {
      add(target, named->name, "");
    } else {
      add(target, fmt::format("at_{:04x}", target), "");
    }
  }
  for (const Annotations::Constant& constant : annotations.constants) add(constant.at, "constant", "");
}

// A name's second place is called NAME_2.
void Labels::add(std::uint32_t offset, const std::string& name, std::string comment) {
  const int before = used_[name]++;
  labels_[offset] = {before == 0 ? ".L" + name : fmt::format(".L{}_{}", name, before + 1),
                     std::move(comment)};
}

const Labels::Label* Labels::at(std::uint32_t offset) const {
  const auto found = labels_.find(offset);
  return found == labels_.end() ? nullptr : &found->second;
}

std::string Labels::reference(std::uint32_t offset) const {
  const auto behind = labels_.upper_bound(offset);
  if (behind == labels_.begin()) return fmt::format(". + {}", offset);
  const auto& [at, label] = *std::prev(behind);
  return at == offset ? label.name : fmt::format("{}+{}", label.name, offset - at);
}

}  // namespace llamajit::jit::inspect
