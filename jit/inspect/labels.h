// Names for the places in a kernel that its instructions refer to.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "jit/emit/annotations.h"
#include "jit/inspect/instruction.h"

namespace llamajit::jit::inspect {

class Labels {
 public:
  struct Label {
    std::string name;     // ".Lgroups"; the leading .L keeps it out of symbol tables
    std::string comment;  // "18 turns"
  };

  Labels(const Annotations& annotations, const std::vector<Instruction>& code);

  // The label there; nullptr where there is none.
  const Label* at(std::uint32_t offset) const;
  // Returns how an instruction names the place: by the label there, or the one before it and the distance.
  std::string reference(std::uint32_t offset) const;

 private:
  void add(std::uint32_t offset, const std::string& name, std::string comment);

  std::map<std::uint32_t, Label> labels_;
  std::map<std::string, int> used_;  // how often a name was wanted
};

}  // namespace llamajit::jit::inspect
