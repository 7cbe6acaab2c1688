// Machine code as decoded instructions. It stays inside inspect/: Zydis is nobody else's business.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <Zydis/Zydis.h>

#include "jit/emit/annotations.h"

namespace llamajit::jit::inspect {

struct Instruction {
  std::uint32_t offset = 0;  // from the kernel's first byte
  ZydisDecodedInstruction is;

  // The operands that are written down; a mask belongs to the first of them.
  std::span<const ZydisDecodedOperand> operands() const { return {operand_.data(), n_operands_}; }
  std::uint32_t end() const { return offset + is.length; }
  // The offset to which a jump leads, or that a rip-relative operand addresses.
  std::optional<std::uint32_t> target() const;
  bool is_branch() const { return is.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE; }
  bool is_vector() const;
  // Calls what(RegisterId) for each register that the operands name, also in addresses.
  template <class What>
  void for_each_register(What what) const;

 private:
  friend std::vector<Instruction> decode(std::span<const std::uint8_t>, std::uint32_t, std::uint32_t);
  void drop_unwritten_operands();

  std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT_VISIBLE> operand_;
  std::size_t n_operands_ = 0;
};

// A register by its file and number; nothing for rip, flags and the like.
struct RegisterId {
  Annotations::File file;
  int index;
  auto operator<=>(const RegisterId&) const = default;
};
std::optional<RegisterId> register_id(ZydisRegister reg);

template <class What>
void Instruction::for_each_register(What what) const {
  const auto name = [&](ZydisRegister reg) {
    if (const auto id = register_id(reg)) what(*id);
  };
  for (const ZydisDecodedOperand& o : operands()) {
    if (o.type == ZYDIS_OPERAND_TYPE_REGISTER) name(o.reg.value);
    if (o.type != ZYDIS_OPERAND_TYPE_MEMORY) continue;
    name(o.mem.base);
    name(o.mem.index);
  }
}

// Decodes code[begin, end). Throws std::runtime_error that names the offset of bytes that are no instruction.
std::vector<Instruction> decode(std::span<const std::uint8_t> code, std::uint32_t begin, std::uint32_t end);

}  // namespace llamajit::jit::inspect
