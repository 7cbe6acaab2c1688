#include "jit/inspect/formula.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string_view>
#include <unordered_map>

#include <fmt/format.h>

#include "jit/inspect/contract.h"

namespace llamajit::jit::inspect {
namespace {

// $0, $1 … are the operands as written; @1 is the address that operand 1 stands for.
const std::unordered_map<int, std::string_view> kPatterns = {
    // general registers
    {ZYDIS_MNEMONIC_MOV, "$0 = $1"},
    {ZYDIS_MNEMONIC_LEA, "$0 = @1"},
    {ZYDIS_MNEMONIC_ADD, "$0 += $1"},
    {ZYDIS_MNEMONIC_SUB, "$0 -= $1"},
    {ZYDIS_MNEMONIC_AND, "$0 &= $1"},
    {ZYDIS_MNEMONIC_OR, "$0 |= $1"},
    {ZYDIS_MNEMONIC_XOR, "$0 ^= $1"},
    {ZYDIS_MNEMONIC_SHL, "$0 <<= $1"},
    {ZYDIS_MNEMONIC_SHR, "$0 >>= $1"},
    {ZYDIS_MNEMONIC_INC, "$0 += 1"},
    {ZYDIS_MNEMONIC_DEC, "$0 -= 1"},
    {ZYDIS_MNEMONIC_NEG, "$0 = -$0"},
    {ZYDIS_MNEMONIC_CMP, "compare $0 with $1"},
    {ZYDIS_MNEMONIC_TEST, "test $0 & $1"},
    {ZYDIS_MNEMONIC_CMOVNLE, "$0 = $1 if that was greater"},
    {ZYDIS_MNEMONIC_BSF, "$0 = lowest set bit of $1"},
    {ZYDIS_MNEMONIC_PREFETCHT0, "fetch $0"},
    {ZYDIS_MNEMONIC_PREFETCHT1, "fetch $0"},
    // moves
    {ZYDIS_MNEMONIC_KMOVW, "$0 = $1"},
    {ZYDIS_MNEMONIC_VMOVUPS, "$0 = $1"},
    {ZYDIS_MNEMONIC_VMOVAPS, "$0 = $1"},
    {ZYDIS_MNEMONIC_VMOVDQU, "$0 = $1"},
    {ZYDIS_MNEMONIC_VMOVSS, "$0 = $1"},
    {ZYDIS_MNEMONIC_VMOVD, "$0 = $1"},
    {ZYDIS_MNEMONIC_VMOVQ, "$0 = $1"},
    {ZYDIS_MNEMONIC_VMASKMOVPS, "$0 = $2 where $1"},
    {ZYDIS_MNEMONIC_VBLENDVPS, "$0 = $3 ? $2 : $1"},
    {ZYDIS_MNEMONIC_VBROADCASTSS, "$0 = all $1"},
    {ZYDIS_MNEMONIC_VPBROADCASTD, "$0 = all $1"},
    {ZYDIS_MNEMONIC_VPBROADCASTW, "$0 = all $1"},
    {ZYDIS_MNEMONIC_VBROADCASTI128, "$0 = all $1"},
    {ZYDIS_MNEMONIC_VBROADCASTI32X4, "$0 = all $1"},
    {ZYDIS_MNEMONIC_VPSHUFB, "$0 = bytes of $1 by $2"},
    {ZYDIS_MNEMONIC_VPTERNLOGD, "$0 |= $1 & $2"},
    {ZYDIS_MNEMONIC_VEXTRACTF128, "$0 = half $2 of $1"},
    {ZYDIS_MNEMONIC_VEXTRACTI128, "$0 = half $2 of $1"},
    {ZYDIS_MNEMONIC_VEXTRACTF32X4, "$0 = quarter $2 of $1"},
    {ZYDIS_MNEMONIC_VEXTRACTF32X8, "$0 = half $2 of $1"},
    {ZYDIS_MNEMONIC_VEXTRACTPS, "$0 = lane $2 of $1"},
    {ZYDIS_MNEMONIC_VPEXTRB, "$0 = byte $2 of $1"},
    {ZYDIS_MNEMONIC_VPEXTRW, "$0 = word $2 of $1"},
    {ZYDIS_MNEMONIC_VPEXTRD, "$0 = lane $2 of $1"},
    {ZYDIS_MNEMONIC_VPERMILPS, "$0 = lanes of $1 by $2"},
    {ZYDIS_MNEMONIC_VMOVMSKPS, "$0 = signs of $1"},
    {ZYDIS_MNEMONIC_VPMOVB2M, "$0 = signs of $1"},
    {ZYDIS_MNEMONIC_VPCMPGTD, "$0 = $1 > $2"},
    {ZYDIS_MNEMONIC_VPTESTMB, "$0 = bytes of $1 & $2 that are not 0"},
    {ZYDIS_MNEMONIC_VBROADCASTI64X4, "$0 = twice $1"},
    {ZYDIS_MNEMONIC_VANDNPS, "$0 = ~$1 & $2"},
    {ZYDIS_MNEMONIC_VPSRLVD, "$0 = $1 >> each of $2"},
    // conversions
    {ZYDIS_MNEMONIC_VCVTDQ2PS, "$0 = float($1)"},
    {ZYDIS_MNEMONIC_VCVTPS2DQ, "$0 = round($1)"},
    {ZYDIS_MNEMONIC_VCVTPH2PS, "$0 = float($1)"},
    {ZYDIS_MNEMONIC_VCVTPS2PH, "$0 = half($1)"},
    {ZYDIS_MNEMONIC_VPMOVSXBD, "$0 = s32($1)"},
    {ZYDIS_MNEMONIC_VPMOVZXBD, "$0 = u32($1)"},
    {ZYDIS_MNEMONIC_VPMOVZXBW, "$0 = u16($1)"},
    {ZYDIS_MNEMONIC_MOVZX, "$0 = u32($1)"},
    {ZYDIS_MNEMONIC_MOVSX, "$0 = s32($1)"},
    {ZYDIS_MNEMONIC_VPMOVZXWD, "$0 = u32($1)"},
    {ZYDIS_MNEMONIC_VPMOVDW, "$0 = low16($1)"},
    {ZYDIS_MNEMONIC_VPMOVSDB, "$0 = saturated s8($1)"},
    {ZYDIS_MNEMONIC_VPACKSSDW, "$0 = saturated s16($1, $2)"},
    {ZYDIS_MNEMONIC_VPACKSSWB, "$0 = saturated s8($1, $2)"},
    {ZYDIS_MNEMONIC_VPACKUSDW, "$0 = saturated u16($1, $2)"},
    // arithmetic
    {ZYDIS_MNEMONIC_VMAXPS, "$0 = max($1, $2)"},
    {ZYDIS_MNEMONIC_VMAXSS, "$0 = max($1, $2)"},
    {ZYDIS_MNEMONIC_VMINPS, "$0 = min($1, $2)"},
    {ZYDIS_MNEMONIC_VSQRTSS, "$0 = sqrt($2)"},
    {ZYDIS_MNEMONIC_VFMADD231PS, "$0 += $1 * $2"},
    {ZYDIS_MNEMONIC_VFMADD213PS, "$0 = $0 * $1 + $2"},
    {ZYDIS_MNEMONIC_VPABSB, "$0 = |$1|"},
    {ZYDIS_MNEMONIC_VPSIGNB, "$0 = $1, with the signs of $2"},
    {ZYDIS_MNEMONIC_VPMADDUBSW, "$0 = pairs of $1 * $2"},
    {ZYDIS_MNEMONIC_VPMADDWD, "$0 = pairs of $1 * $2"},
    {ZYDIS_MNEMONIC_VPDPWSSD, "$0 += pairs of $1 * $2"},
    {ZYDIS_MNEMONIC_VPDPBUSD, "$0 += fours of $1 * $2"},
    {ZYDIS_MNEMONIC_VDPBF16PS, "$0 += pairs of $1 * $2"},
    // tiles; the second register of an address is the rows' distance
    {ZYDIS_MNEMONIC_TILEZERO, "$0 = 0"},
    {ZYDIS_MNEMONIC_TILELOADD, "$0 = rows from $1"},
    {ZYDIS_MNEMONIC_TILESTORED, "rows from $0 = $1"},
    {ZYDIS_MNEMONIC_TDPBSSD, "$0 += fours of $1 * $2"},
    {ZYDIS_MNEMONIC_TDPBSUD, "$0 += fours of $1 * $2"},
};

// $0 = $1 operator $2
const std::unordered_map<int, std::string_view> kOperators = {
    {ZYDIS_MNEMONIC_VADDPS, "+"},  {ZYDIS_MNEMONIC_VADDSS, "+"},  {ZYDIS_MNEMONIC_VPADDD, "+"},
    {ZYDIS_MNEMONIC_VSUBPS, "-"},  {ZYDIS_MNEMONIC_VSUBSS, "-"},  {ZYDIS_MNEMONIC_VPSUBD, "-"},
    {ZYDIS_MNEMONIC_VMULPS, "*"},  {ZYDIS_MNEMONIC_VMULSS, "*"},  {ZYDIS_MNEMONIC_IMUL, "*"},
    {ZYDIS_MNEMONIC_VDIVPS, "/"},  {ZYDIS_MNEMONIC_VDIVSS, "/"},  {ZYDIS_MNEMONIC_VPSLLD, "<<"},
    {ZYDIS_MNEMONIC_VPSLLW, "<<"}, {ZYDIS_MNEMONIC_VPSRLD, ">>"}, {ZYDIS_MNEMONIC_VPSRLW, ">>"},
    {ZYDIS_MNEMONIC_VPSRAW, ">>"}, {ZYDIS_MNEMONIC_VANDPS, "&"},  {ZYDIS_MNEMONIC_VORPS, "|"},
    {ZYDIS_MNEMONIC_VPOR, "|"},    {ZYDIS_MNEMONIC_VPSUBB, "-"},  {ZYDIS_MNEMONIC_VPAND, "&"},
    {ZYDIS_MNEMONIC_VPANDD, "&"},  {ZYDIS_MNEMONIC_VXORPS, "^"},  {ZYDIS_MNEMONIC_VPXORD, "^"},
    {ZYDIS_MNEMONIC_VPXOR, "^"},   {ZYDIS_MNEMONIC_VPMULLD, "*"}, {ZYDIS_MNEMONIC_VPMULLW, "*"},
    {ZYDIS_MNEMONIC_VPSUBW, "-"},  {ZYDIS_MNEMONIC_VPADDB, "+"},
};

class Writer {
 public:
  Writer(const Instruction& instruction, const Annotations& annotations, const KernelKey& key)
      : i_(instruction), annotations_(annotations), key_(key), operands_(instruction.operands()) {}

  std::string write() const {
    if (operands_.empty() || !speaks_of_roles()) return "";
    if (is_zeroing()) return operand(0) + " = 0";
    if (i_.is.mnemonic == ZYDIS_MNEMONIC_VCMPPS || i_.is.mnemonic == ZYDIS_MNEMONIC_VPCMPD)
      return comparison();
    if (i_.is.mnemonic == ZYDIS_MNEMONIC_VPBLENDMB) return blend();
    if (const auto op = kOperators.find(i_.is.mnemonic); op != kOperators.end()) return operation(op->second);
    const auto pattern = kPatterns.find(i_.is.mnemonic);
    return pattern == kPatterns.end() ? "" : filled(pattern->second);
  }

 private:
  bool speaks_of_roles() const {
    bool found = false;
    i_.for_each_register([&](const RegisterId& id) {
      found = found || annotations_.find_role(id.file, id.index, i_.offset) != nullptr;
    });
    return found;
  }

  // x ^ x is how zeros are made.
  bool is_zeroing() const {
    const auto same = [&](std::size_t a, std::size_t b) {
      return operands_[a].type == ZYDIS_OPERAND_TYPE_REGISTER &&
             operands_[b].type == ZYDIS_OPERAND_TYPE_REGISTER &&
             operands_[a].reg.value == operands_[b].reg.value;
    };
    switch (i_.is.mnemonic) {
      case ZYDIS_MNEMONIC_XOR:
        return same(0, 1);
      case ZYDIS_MNEMONIC_VXORPS:
      case ZYDIS_MNEMONIC_VPXOR:
      case ZYDIS_MNEMONIC_VPXORD:
        return same(1, 2);
      default:
        return false;
    }
  }

  std::string comparison() const {
    constexpr std::string_view kPredicates[] = {"==", "<", "<=", "", "", "", ">"};
    const std::uint64_t predicate = operands_[3].imm.value.u;
    if (predicate >= std::size(kPredicates) || kPredicates[predicate].empty()) return "";
    return fmt::format("{} = {} {} {}", operand(0), operand(1), kPredicates[predicate], operand(2));
  }

  // The second source counts where the mask is set.
  std::string blend() const {
    return fmt::format("{} = {} ? {} : {}", name(operands_[0].reg.value), name(i_.is.avx.mask.reg),
                       operand(2), operand(1));
  }

  std::string operation(std::string_view op) const {
    const std::string to = operand(0);
    if (operands_.size() == 2) return fmt::format("{} {}= {}", to, op, operand(1));
    const std::string a = operand(1);
    const std::string b = operand(2);
    return to == a ? fmt::format("{} {}= {}", to, op, b) : fmt::format("{} = {} {} {}", to, a, op, b);
  }

  std::string filled(std::string_view pattern) const {
    std::string text;
    for (std::size_t at = 0; at < pattern.size(); ++at) {
      if (pattern[at] != '$' && pattern[at] != '@') {
        text += pattern[at];
        continue;
      }
      const bool address_only = pattern[at] == '@';
      const auto index = static_cast<std::size_t>(pattern[++at] - '0');
      if (index >= operands_.size()) return "";
      text += address_only ? address(operands_[index].mem) : operand(index);
    }
    return text;
  }

  std::string operand(std::size_t index) const {
    const ZydisDecodedOperand& o = operands_[index];
    std::string text;
    switch (o.type) {
      case ZYDIS_OPERAND_TYPE_REGISTER:
        text = name(o.reg.value);
        break;
      case ZYDIS_OPERAND_TYPE_MEMORY:
        text = memory(o);
        break;
      case ZYDIS_OPERAND_TYPE_IMMEDIATE:
        return fmt::format("{}", o.imm.value.s);
      default:
        return "";
    }
    const bool masked = i_.is.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX && i_.is.raw.evex.aaa != 0;
    return masked && index == 0 ? fmt::format("{}{{{}}}", text, name(i_.is.avx.mask.reg)) : text;
  }

  std::string name(ZydisRegister reg) const {
    const auto id = register_id(reg);
    const std::string role = id ? annotations_.role_of(id->file, id->index, i_.offset) : "";
    return role.empty() ? ZydisRegisterGetString(reg) : role;
  }

  std::string memory(const ZydisDecodedOperand& o) const {
    const ZydisDecodedOperandMem& m = o.mem;
    if (m.base == ZYDIS_REGISTER_RIP) {
      const bool is_bits = i_.is.mnemonic == ZYDIS_MNEMONIC_VANDPS;
      return constant(o.element_type == ZYDIS_ELEMENT_TYPE_FLOAT32 && !is_bits);
    }
    if (m.base == ZYDIS_REGISTER_RDI && m.index == ZYDIS_REGISTER_NONE) {
      const std::string field = args_field(key_, m.disp.value);
      if (!field.empty()) return "args." + field;
    }
    if (m.base == ZYDIS_REGISTER_RSP && m.index == ZYDIS_REGISTER_NONE) {
      const auto slot = std::ranges::find(annotations_.stack, m.disp.value, &Annotations::StackSlot::offset);
      if (slot != annotations_.stack.end()) return "stack." + slot->name;
    }
    return fmt::format("[{}]", address(m));
  }

  std::string address(const ZydisDecodedOperandMem& m) const {
    std::string text = m.base == ZYDIS_REGISTER_NONE ? "" : name(m.base);
    if (m.index != ZYDIS_REGISTER_NONE) {
      if (!text.empty()) text += " + ";
      text += name(m.index);
      if (m.scale > 1) text += fmt::format("*{}", m.scale);
    }
    if (m.disp.value != 0)
      text += fmt::format(" {} {}", m.disp.value < 0 ? '-' : '+', std::abs(m.disp.value));
    return text;
  }

  std::string constant(bool is_float) const {
    const std::uint32_t at = *i_.target();
    const auto found = std::ranges::find_if(annotations_.constants,
                                            [&](const Annotations::Constant& c) { return c.holds(at); });
    if (found == annotations_.constants.end()) return fmt::format("[{}]", at);
    if (!found->meaning.empty()) return found->meaning;
    const std::uint32_t bits = found->values.front();
    return is_float ? fmt::format("{}", std::bit_cast<float>(bits)) : fmt::format("{:#x}", bits);
  }

  const Instruction& i_;
  const Annotations& annotations_;
  const KernelKey& key_;
  std::span<const ZydisDecodedOperand> operands_;
};

}  // namespace

std::string constant_text(std::uint32_t bits) {
  const auto value = std::bit_cast<float>(bits);
  const bool plain = std::isinf(value) || (std::abs(value) > 1e-9F && std::abs(value) < 1e12F);
  return plain ? fmt::format("{}", value) : fmt::format("{:#x}", bits);
}

std::string formula(const Instruction& instruction, const Annotations& annotations, const KernelKey& key) {
  return Writer(instruction, annotations, key).write();
}

}  // namespace llamajit::jit::inspect
