#include "jit/inspect/instruction.h"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace llamajit::jit::inspect {
namespace {

ZydisDecoder make_decoder() {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  return decoder;
}

std::optional<Annotations::File> file_of(ZydisRegisterClass of) {
  switch (of) {
    case ZYDIS_REGCLASS_GPR8:
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
      return Annotations::File::general;
    case ZYDIS_REGCLASS_XMM:
    case ZYDIS_REGCLASS_YMM:
    case ZYDIS_REGCLASS_ZMM:
      return Annotations::File::vector;
    case ZYDIS_REGCLASS_MASK:
      return Annotations::File::mask;
    case ZYDIS_REGCLASS_TMM:
      return Annotations::File::tile;
    default:
      return std::nullopt;
  }
}

}  // namespace

// A mask, which is written behind the first operand, and what a long nop has for the decoder alone.
void Instruction::drop_unwritten_operands() {
  n_operands_ = is.mnemonic == ZYDIS_MNEMONIC_NOP ? std::min<std::size_t>(is.operand_count_visible, 1)
                                                  : is.operand_count_visible;
  const auto* const written =
      std::remove_if(operand_.begin(), operand_.begin() + static_cast<std::ptrdiff_t>(n_operands_),
                     [](const ZydisDecodedOperand& o) { return o.encoding == ZYDIS_OPERAND_ENCODING_MASK; });
  n_operands_ = static_cast<std::size_t>(written - operand_.begin());
}

std::optional<std::uint32_t> Instruction::target() const {
  for (const ZydisDecodedOperand& o : operands()) {
    if (o.type == ZYDIS_OPERAND_TYPE_IMMEDIATE && o.imm.is_relative != ZYAN_FALSE) {
      return static_cast<std::uint32_t>(end() + o.imm.value.s);
    }
    if (o.type == ZYDIS_OPERAND_TYPE_MEMORY && o.mem.base == ZYDIS_REGISTER_RIP) {
      return static_cast<std::uint32_t>(end() + o.mem.disp.value);
    }
  }
  return std::nullopt;
}

bool Instruction::is_vector() const {
  bool found = false;
  for_each_register([&](const RegisterId& id) { found = found || id.file == Annotations::File::vector; });
  return found;
}

std::optional<RegisterId> register_id(ZydisRegister reg) {
  const auto file = file_of(ZydisRegisterGetClass(reg));
  if (!file) return std::nullopt;
  return RegisterId{*file, ZydisRegisterGetId(reg)};
}

std::vector<Instruction> decode(std::span<const std::uint8_t> code, std::uint32_t begin, std::uint32_t end) {
  static const ZydisDecoder decoder = make_decoder();
  std::vector<Instruction> out;
  constexpr std::uint32_t kTypicalLength = 5;
  out.reserve((end - begin) / kTypicalLength + 1);
  for (std::uint32_t at = begin; at < end; at += out.back().is.length) {
    Instruction& next = out.emplace_back();
    next.offset = at;
    ZydisDecoderContext context;
    const bool good = ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, &context, code.data() + at,
                                                                 end - at, &next.is)) &&
                      ZYAN_SUCCESS(ZydisDecoderDecodeOperands(
                          &decoder, &context, &next.is, next.operand_.data(), next.is.operand_count_visible));
    if (!good) {
      throw std::runtime_error(
          fmt::format("offset {}: no instruction begins with {:02x}", at,
                      fmt::join(code.subspan(at, std::min<std::size_t>(end - at, 15)), " ")));
    }
    next.drop_unwritten_operands();
  }
  return out;
}

}  // namespace llamajit::jit::inspect
