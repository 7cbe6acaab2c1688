#include "jit/inspect/unwind.h"

#include <cstring>

#include <elf.h>

namespace llamajit::jit::inspect {
namespace {

// These names are DWARF's.
// NOLINTBEGIN(readability-identifier-naming)
enum : std::uint8_t {
  DW_CFA_nop = 0x00,
  DW_CFA_advance_loc1 = 0x02,
  DW_CFA_advance_loc2 = 0x03,
  DW_CFA_advance_loc4 = 0x04,
  DW_CFA_def_cfa = 0x0C,
  DW_CFA_def_cfa_register = 0x0D,
  DW_CFA_def_cfa_offset = 0x0E,
  DW_CFA_advance_loc = 0x40,  // these three with an operand in their low six bits
  DW_CFA_offset = 0x80,
  DW_CFA_restore = 0xC0,

  DW_EH_PE_udata4 = 0x03,
  DW_EH_PE_pcrel_sdata4 = 0x1B,
  DW_EH_PE_datarel_sdata4 = 0x3B,
};
// NOLINTEND(readability-identifier-naming)

// Registers as DWARF numbers them. Of those that kernels save besides rbp (rbx, r12 to r15), DWARF's number
// is the machine's own.
constexpr std::uint8_t kRbp = 6;
constexpr std::uint8_t kRsp = 7;
constexpr std::uint8_t kReturnAddress = 16;
constexpr int kSlot = 8;  // bytes of a pushed register; offsets are counted in these, downwards

void align_with_nops(ByteBuffer& to, std::size_t begin) {
  while ((to.size() - begin + 4) % 8 != 0) to.u8(DW_CFA_nop);
}

// These rules hold before a function's first instruction:
// the caller's stack is 8 bytes up, behind its address.
void initial_rules(ByteBuffer& to) {
  to.u8(DW_CFA_def_cfa);
  to.uleb(kRsp);
  to.uleb(kSlot);
  to.u8(DW_CFA_offset | kReturnAddress);
  to.uleb(1);
}

void alignment_factors(ByteBuffer& to) {
  to.uleb(1);
  to.sleb(-kSlot);
  to.uleb(kReturnAddress);
}

// The frame's changes, instruction by instruction.
class Rules {
 public:
  explicit Rules(ByteBuffer& to) : to_(to) {}

  void write(const Annotations::Frame& frame) {
    advance(frame.rbp_pushed);
    to_.u8(DW_CFA_def_cfa_offset);
    to_.uleb(2 * kSlot);
    saved(kRbp);
    advance(frame.rbp_set);
    to_.u8(DW_CFA_def_cfa_register);
    to_.uleb(kRbp);
    for (const auto& [at, gpr] : frame.saved) {
      advance(at);
      saved(static_cast<std::uint8_t>(gpr));
    }
    for (const auto& [at, gpr] : frame.restored) {
      advance(at);
      to_.u8(DW_CFA_restore | static_cast<std::uint8_t>(gpr));
    }
    advance(frame.rbp_popped);
    to_.u8(DW_CFA_def_cfa);
    to_.uleb(kRsp);
    to_.uleb(kSlot);
    to_.u8(DW_CFA_restore | kRbp);
  }

 private:
  void saved(std::uint8_t reg) {
    to_.u8(DW_CFA_offset | reg);
    to_.uleb(++slots_);
  }

  void advance(std::uint32_t to) {
    const std::uint32_t bytes = to - at_;
    at_ = to;
    if (bytes < 0x40) {
      to_.u8(static_cast<std::uint8_t>(DW_CFA_advance_loc | bytes));
    } else if (bytes <= 0xFF) {
      to_.u8(DW_CFA_advance_loc1);
      to_.u8(static_cast<std::uint8_t>(bytes));
    } else if (bytes <= 0xFFFF) {
      to_.u8(DW_CFA_advance_loc2);
      to_.u16(static_cast<std::uint16_t>(bytes));
    } else {
      to_.u8(DW_CFA_advance_loc4);
      to_.u32(bytes);
    }
  }

  ByteBuffer& to_;
  std::uint32_t at_ = 0;
  std::uint64_t slots_ = 1;  // taken below the caller's stack; the return address is the first
};

}  // namespace

DebugSection make_debug_frame(const std::vector<ImageKernel>& kernels, std::uint64_t text_address) {
  DebugSection to;
  const std::size_t common = to.begin_length();
  to.u32(0xFFFFFFFF);  // a common part, for all entries that refer to it
  to.u8(4);            // version
  to.string("");       // no augmentation
  to.u8(8);            // bytes of an address
  to.u8(0);            // and of a segment
  alignment_factors(to);
  initial_rules(to);
  align_with_nops(to, common);
  to.end_length(common);
  for (const ImageKernel& kernel : kernels) {
    const std::size_t entry = to.begin_length();
    to.u32(0);  // where the common part is
    to.address(text_address, kernel.offset);
    to.u64(kernel.code_bytes);
    Rules(to).write(kernel.frame);
    align_with_nops(to, entry);
    to.end_length(entry);
  }
  return to;
}

DebugSection make_eh_frame(const std::vector<ImageKernel>& kernels, std::int64_t distance) {
  DebugSection to;
  const std::size_t common = to.begin_length();
  to.u32(0);  // a common part
  to.u8(1);   // version
  to.string("zR");
  alignment_factors(to);
  to.uleb(1);  // bytes of augmentation: how addresses are encoded
  to.u8(DW_EH_PE_pcrel_sdata4);
  initial_rules(to);
  align_with_nops(to, common);
  to.end_length(common);
  for (const ImageKernel& kernel : kernels) {
    const std::size_t entry = to.begin_length();
    to.u32(static_cast<std::uint32_t>(entry));  // how far back the common part is: it stands at 0
    to.relocations.push_back(
        {to.size(), R_X86_64_PC32, RelocationTarget::text, static_cast<std::int64_t>(kernel.offset)});
    to.u32(static_cast<std::uint32_t>(static_cast<std::int64_t>(kernel.offset) - distance -
                                      static_cast<std::int64_t>(to.size())));
    to.u32(kernel.code_bytes);
    to.uleb(0);  // no augmentation of its own
    Rules(to).write(kernel.frame);
    align_with_nops(to, entry);
    to.end_length(entry);
  }
  return to;
}

UnwindTable make_unwind_table(const ImageKernel& kernel, std::int64_t distance) {
  UnwindTable out;
  out.frame.bytes(make_eh_frame({kernel}, distance).data());
  // The one entry comes after the common part.
  std::uint32_t common_bytes = 0;
  std::memcpy(&common_bytes, out.frame.data().data(), sizeof common_bytes);
  const auto entry = static_cast<std::int32_t>(4 + common_bytes);
  out.frame.u32(0);  // no more entries
  out.frame.align(8);
  const auto frame_bytes = static_cast<std::int32_t>(out.frame.size());
  const auto signed32 = [&](std::int64_t value) { out.header.u32(static_cast<std::uint32_t>(value)); };
  out.header.u8(1);  // version
  out.header.u8(DW_EH_PE_pcrel_sdata4);
  out.header.u8(DW_EH_PE_udata4);
  out.header.u8(DW_EH_PE_datarel_sdata4);
  signed32(-frame_bytes - 4);                   // the frame section, from here
  signed32(1);                                  // entries
  signed32(-frame_bytes - distance);            // the kernel, from the header
  signed32(std::int64_t{entry} - frame_bytes);  // its entry in the frame section
  return out;
}

}  // namespace llamajit::jit::inspect
