#include "jit/inspect/assembler.h"

#include <cstdint>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace llamajit::jit::inspect {
namespace {

bool is_register(const ZydisDecodedOperand& o) {
  return o.type == ZYDIS_OPERAND_TYPE_REGISTER;
}

const ZydisDecodedOperand* memory_operand(const Instruction& i) {
  for (const ZydisDecodedOperand& o : i.operands()) {
    if (o.type == ZYDIS_OPERAND_TYPE_MEMORY) return &o;
  }
  return nullptr;
}

bool fits_in_byte(std::int64_t value) {
  return value == static_cast<std::int8_t>(value);
}

// --- pseudo-prefixes: only where as would choose otherwise

// Instructions with two registers have two encodings: the destination is the register field, or the r/m
// field. For general registers as takes the latter; for a vector move whichever allows the shorter prefix.
std::string_view direction_hint(const Instruction& i) {
  const auto operands = i.operands();
  if (operands.size() != 2 || !is_register(operands[0]) || !is_register(operands[1])) return "";
  const bool to_register_field = operands[0].encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG;
  if (i.is.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY && i.is.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT) {
    const bool two_forms = i.is.opcode < 0x40 || (i.is.opcode >= 0x88 && i.is.opcode <= 0x8B);
    return two_forms && to_register_field ? "{load} " : "";
  }
  const bool source_is_high = i.is.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX &&
                              register_id(operands[1].reg.value)->index >= 8 &&
                              register_id(operands[0].reg.value)->index < 8;
  return source_is_high && to_register_field ? "{load} " : "";
}

std::string_view vector_hint(const Instruction& i) {
  if (i.is.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) {
    if (i.is.meta.isa_ext == ZYDIS_ISA_EXT_AVX_VNNI) return "{vex} ";
    const auto& vex = i.is.raw.vex;
    const bool short_would_do = vex.X == 0 && vex.B == 0 && vex.W == 0 && vex.m_mmmm == 1;
    return vex.size == 3 && short_would_do ? "{vex3} " : "";
  }
  if (i.is.encoding != ZYDIS_INSTRUCTION_ENCODING_EVEX) return "";
  // Anything that VEX can't say settles the matter; a hint too many does no harm.
  const bool only_evex = i.is.avx.vector_length == 512 || i.is.raw.evex.aaa != 0 || i.is.raw.evex.b != 0;
  return only_evex ? "" : "{evex} ";
}

std::string_view displacement_hint(const Instruction& i) {
  if (i.is_branch()) {
    const auto target = i.target();
    if (!target || i.is.raw.imm[0].size != 32) return "";
    // A short jump would end earlier, so a little farther from what lies before it.
    return fits_in_byte(static_cast<std::int64_t>(*target) - i.end() + 4) ? "{disp32} " : "";
  }
  const ZydisDecodedOperand* memory = memory_operand(i);
  if (memory == nullptr || memory->mem.base == ZYDIS_REGISTER_RIP) return "";
  const auto& disp = i.is.raw.disp;
  if (disp.size == 8 && disp.value == 0 && memory->mem.base != ZYDIS_REGISTER_RBP &&
      memory->mem.base != ZYDIS_REGISTER_R13) {
    return "{disp8} ";
  }
  const bool wants_32 = disp.size == 32 && memory->mem.base != ZYDIS_REGISTER_NONE &&
                        i.is.encoding != ZYDIS_INSTRUCTION_ENCODING_EVEX &&
                        fits_in_byte(memory->mem.disp.value);
  return wants_32 ? "{disp32} " : "";
}

// --- operands

std::string number(std::int64_t value) {
  constexpr std::int64_t kDecimal = 1 << 20;
  if (-kDecimal < value && value < kDecimal) return fmt::format("{}", value);
  return value < 0 ? fmt::format("-{:#x}", -value) : fmt::format("{:#x}", value);
}

std::string immediate(const ZydisDecodedOperand& o, int operand_width) {
  if (o.imm.is_signed == ZYAN_FALSE) return number(static_cast<std::int64_t>(o.imm.value.u));
  if (operand_width < 64 && !fits_in_byte(o.imm.value.s)) {
    return number(o.imm.value.s & ((std::int64_t{1} << operand_width) - 1));
  }
  return number(o.imm.value.s);
}

std::string_view size_keyword(const Instruction& i, const ZydisDecodedOperand& o) {
  const ZydisInstructionCategory category = i.is.meta.category;
  if (o.mem.type == ZYDIS_MEMOP_TYPE_AGEN || category == ZYDIS_CATEGORY_PREFETCH ||
      category == ZYDIS_CATEGORY_AMX_TILE) {
    return "";
  }
  switch (o.size) {
    case 8:
      return "byte ptr ";
    case 16:
      return "word ptr ";
    case 32:
      return "dword ptr ";
    case 64:
      return "qword ptr ";
    case 128:
      return "xmmword ptr ";
    case 256:
      return "ymmword ptr ";
    case 512:
      return "zmmword ptr ";
    default:
      return "";
  }
}

std::string_view broadcast(const Instruction& i) {
  if (i.is.avx.broadcast.is_static != ZYAN_FALSE) return "";  // part of the mnemonic
  switch (i.is.avx.broadcast.mode) {
    case ZYDIS_BROADCAST_MODE_1_TO_2:
      return "{1to2}";
    case ZYDIS_BROADCAST_MODE_1_TO_4:
      return "{1to4}";
    case ZYDIS_BROADCAST_MODE_1_TO_8:
      return "{1to8}";
    case ZYDIS_BROADCAST_MODE_1_TO_16:
      return "{1to16}";
    default:
      return "";
  }
}

std::string memory(const Instruction& i, const ZydisDecodedOperand& o, const LabelAt& label) {
  const auto& m = o.mem;
  std::string address;
  if (m.base == ZYDIS_REGISTER_RIP) {
    address = "rip+" + label(*i.target());
  } else {
    if (m.base != ZYDIS_REGISTER_NONE) address = ZydisRegisterGetString(m.base);
    if (m.index != ZYDIS_REGISTER_NONE) {
      address += fmt::format("{}{}*{}", address.empty() ? "" : "+", ZydisRegisterGetString(m.index), m.scale);
    }
    if (m.disp.value != 0 || address.empty()) {
      if (m.disp.value >= 0 && !address.empty()) address += '+';
      address += number(m.disp.value);
    }
  }
  return fmt::format("{}[{}]{}", size_keyword(i, o), address, broadcast(i));
}

std::string operand(const Instruction& i, const ZydisDecodedOperand& o, const LabelAt& label) {
  switch (o.type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
      return ZydisRegisterGetString(o.reg.value);
    case ZYDIS_OPERAND_TYPE_MEMORY:
      return memory(i, o, label);
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
      return o.imm.is_relative != ZYAN_FALSE ? label(*i.target()) : immediate(o, i.is.operand_width);
    default:
      return "";
  }
}

std::string mask(const Instruction& i) {
  if (i.is.encoding != ZYDIS_INSTRUCTION_ENCODING_EVEX || i.is.raw.evex.aaa == 0) return "";
  return fmt::format("{{{}}}{}", ZydisRegisterGetString(i.is.avx.mask.reg),
                     i.is.raw.evex.z != 0 ? "{z}" : "");
}

// GNU as has no words for these instructions; none of them is emitted today.
bool is_beyond_words(const Instruction& i) {
  constexpr ZydisInstructionAttributes kPrefixes = ZYDIS_ATTRIB_HAS_LOCK | ZYDIS_ATTRIB_HAS_REP |
                                                   ZYDIS_ATTRIB_HAS_REPNE | ZYDIS_ATTRIB_HAS_SEGMENT |
                                                   ZYDIS_ATTRIB_HAS_ADDRESSSIZE;
  return (i.is.attributes & kPrefixes) != 0 || i.is.avx.has_sae != ZYAN_FALSE ||
         i.is.avx.rounding.mode != ZYDIS_ROUNDING_MODE_INVALID ||
         i.is.encoding == ZYDIS_INSTRUCTION_ENCODING_XOP;
}

}  // namespace

std::optional<std::string> assembler_text(const Instruction& i, const LabelAt& label) {
  if (is_beyond_words(i)) return std::nullopt;
  if (i.is.mnemonic == ZYDIS_MNEMONIC_NOP && i.is.opcode == 0x90 && i.is.length == 2) return "xchg ax, ax";
  std::string text;
  for (const std::string_view hint : {vector_hint(i), direction_hint(i), displacement_hint(i)}) text += hint;
  text += i.is.mnemonic == ZYDIS_MNEMONIC_MOV && i.is.raw.imm[0].size == 64
              ? "movabs"
              : ZydisMnemonicGetString(i.is.mnemonic);
  std::string_view separator = " ";
  for (const ZydisDecodedOperand& o : i.operands()) {
    text += separator;
    text += operand(i, o, label);
    if (separator == " ") text += mask(i);
    separator = ", ";
  }
  return text;
}

std::string byte_directive(std::span<const std::uint8_t> bytes) {
  return fmt::format(".byte {:#04x}", fmt::join(bytes, ", "));
}

}  // namespace llamajit::jit::inspect
