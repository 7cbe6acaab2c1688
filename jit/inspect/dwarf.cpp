#include "jit/inspect/dwarf.h"

#include <initializer_list>

#include <elf.h>

namespace llamajit::jit::inspect {
namespace {

// DWARF 4's numbers for what is used here, by its names.
// NOLINTBEGIN(readability-identifier-naming)
enum : std::uint8_t {
  DW_TAG_pointer_type = 0x0F,
  DW_TAG_compile_unit = 0x11,
  DW_TAG_base_type = 0x24,
  DW_TAG_subprogram = 0x2E,
  DW_TAG_variable = 0x34,

  DW_AT_location = 0x02,
  DW_AT_name = 0x03,
  DW_AT_byte_size = 0x0B,
  DW_AT_stmt_list = 0x10,
  DW_AT_low_pc = 0x11,
  DW_AT_high_pc = 0x12,
  DW_AT_language = 0x13,
  DW_AT_comp_dir = 0x1B,
  DW_AT_producer = 0x25,
  DW_AT_decl_file = 0x3A,
  DW_AT_decl_line = 0x3B,
  DW_AT_encoding = 0x3E,
  DW_AT_external = 0x3F,
  DW_AT_type = 0x49,

  DW_FORM_addr = 0x01,
  DW_FORM_data2 = 0x05,
  DW_FORM_data8 = 0x07,
  DW_FORM_string = 0x08,
  DW_FORM_data1 = 0x0B,
  DW_FORM_udata = 0x0F,
  DW_FORM_ref4 = 0x13,
  DW_FORM_sec_offset = 0x17,
  DW_FORM_exprloc = 0x18,
  DW_FORM_flag_present = 0x19,

  DW_ATE_float = 4,
  DW_OP_reg0 = 0x50,

  DW_LNS_copy = 1,
  DW_LNS_advance_pc = 2,
  DW_LNS_advance_line = 3,
  DW_LNS_set_file = 4,
  DW_LNE_end_sequence = 1,
  DW_LNE_set_address = 2,
};
// NOLINTEND(readability-identifier-naming)
constexpr std::uint16_t kMipsAssembler = 0x8001;  // DW_LANG_Mips_Assembler: any assembler
constexpr std::uint16_t kDwarfVersion = 4;
constexpr std::uint8_t kAddressBytes = 8;

enum Abbreviation : std::uint8_t { unit = 1, function, float_type, pointer_type, variable };

void abbreviation(ByteBuffer& to, Abbreviation code, std::uint8_t tag, bool has_children,
                  std::initializer_list<std::uint8_t> attributes_and_forms) {
  to.uleb(code);
  to.uleb(tag);
  to.u8(has_children ? 1 : 0);
  for (const std::uint8_t number : attributes_and_forms) to.uleb(number);
  to.u16(0);
}

void write_abbrev(DebugSection& to) {
  abbreviation(to, Abbreviation::unit, DW_TAG_compile_unit, true,
               {DW_AT_producer, DW_FORM_string, DW_AT_language, DW_FORM_data2, DW_AT_name, DW_FORM_string,
                DW_AT_comp_dir, DW_FORM_string, DW_AT_low_pc, DW_FORM_addr, DW_AT_high_pc, DW_FORM_data8,
                DW_AT_stmt_list, DW_FORM_sec_offset});
  abbreviation(
      to, Abbreviation::function, DW_TAG_subprogram, true,
      {DW_AT_external, DW_FORM_flag_present, DW_AT_name, DW_FORM_string, DW_AT_decl_file, DW_FORM_udata,
       DW_AT_decl_line, DW_FORM_udata, DW_AT_low_pc, DW_FORM_addr, DW_AT_high_pc, DW_FORM_data8});
  abbreviation(to, Abbreviation::float_type, DW_TAG_base_type, false,
               {DW_AT_name, DW_FORM_string, DW_AT_encoding, DW_FORM_data1, DW_AT_byte_size, DW_FORM_data1});
  abbreviation(to, Abbreviation::pointer_type, DW_TAG_pointer_type, false,
               {DW_AT_byte_size, DW_FORM_data1, DW_AT_type, DW_FORM_ref4});
  abbreviation(to, Abbreviation::variable, DW_TAG_variable, false,
               {DW_AT_name, DW_FORM_string, DW_AT_type, DW_FORM_ref4, DW_AT_location, DW_FORM_exprloc});
  to.u8(0);
}

// The type that all variables have, float*, for most general
// registers hold addresses of such; returns where it stands.
std::uint32_t write_pointer_type(DebugSection& to) {
  const auto number = static_cast<std::uint32_t>(to.size());
  to.uleb(Abbreviation::float_type);
  to.string("float");
  to.u8(DW_ATE_float);
  to.u8(sizeof(float));
  const auto pointer = static_cast<std::uint32_t>(to.size());
  to.uleb(Abbreviation::pointer_type);
  to.u8(kAddressBytes);
  to.u32(number);
  return pointer;
}

void write_variable(DebugSection& to, const LocalVariable& variable, std::uint32_t type) {
  // DWARF's numbers of the machine's first eight registers; it has the others as they are.
  constexpr std::uint8_t kRegisters[] = {0, 2, 1, 3, 7, 6, 4, 5};
  const int number = variable.gpr < 8 ? kRegisters[variable.gpr] : variable.gpr;
  to.uleb(Abbreviation::variable);
  to.string(variable.name);
  to.u32(type);
  to.uleb(1);  // byte of expression
  to.u8(static_cast<std::uint8_t>(DW_OP_reg0 + number));
}

int first_line(const ImageKernel& kernel) {
  return kernel.rows.empty() ? 1 : kernel.rows.front().line;
}

void write_info(DebugSection& to, const std::vector<ImageKernel>& kernels, const std::string& directory,
                std::uint64_t text_address, std::uint64_t text_bytes) {
  const std::size_t unit = to.begin_length();
  to.u16(kDwarfVersion);
  to.section_offset(RelocationTarget::debug_abbrev, 0);
  to.u8(kAddressBytes);
  to.uleb(Abbreviation::unit);
  to.string("llamajit");
  to.u16(kMipsAssembler);
  to.string("kernels");
  to.string(directory);
  to.address(text_address, 0);
  to.u64(text_bytes);
  to.section_offset(RelocationTarget::debug_line, 0);
  const std::uint32_t pointer = write_pointer_type(to);
  std::uint64_t file = 0;
  for (const ImageKernel& kernel : kernels) {
    to.uleb(Abbreviation::function);
    to.string(kernel.name);
    to.uleb(++file);
    to.uleb(static_cast<std::uint64_t>(first_line(kernel)));
    to.address(text_address, kernel.offset);
    to.u64(kernel.code_bytes);
    for (const LocalVariable& variable : kernel.variables) write_variable(to, variable, pointer);
    to.u8(0);  // no more variables
  }
  to.u8(0);  // no more functions
  to.end_length(unit);
}

// --- the line table

// One-byte opcodes advance line and address at once: by kLineBase … kLineBase + kLineRange - 1 lines.
constexpr int kLineBase = -3;
constexpr int kLineRange = 12;
constexpr std::uint8_t kOpcodeBase = 13;
constexpr std::uint8_t kOperandsOfStandardOpcodes[] = {0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1};

void extended(DebugSection& to, std::uint8_t opcode, std::uint64_t operand_bytes) {
  to.u8(0);
  to.uleb(1 + operand_bytes);
  to.u8(opcode);
}

// A row `lines` and `bytes` after the one before.
void row(DebugSection& to, std::int64_t lines, std::uint32_t bytes) {
  const std::int64_t special = lines - kLineBase + std::int64_t{kLineRange} * bytes + kOpcodeBase;
  if (lines >= kLineBase && lines < kLineBase + kLineRange && special <= 0xFF) {
    to.u8(static_cast<std::uint8_t>(special));
    return;
  }
  to.u8(DW_LNS_advance_line);
  to.sleb(lines);
  to.u8(DW_LNS_advance_pc);
  to.uleb(bytes);
  to.u8(DW_LNS_copy);
}

void write_sequence(DebugSection& to, const ImageKernel& kernel, std::uint64_t file,
                    std::uint64_t text_address) {
  to.u8(DW_LNS_set_file);
  to.uleb(file);
  extended(to, DW_LNE_set_address, kAddressBytes);
  to.address(text_address, kernel.offset);
  LineRow before{0, 1};
  for (const LineRow& next : kernel.rows) {
    row(to, next.line - before.line, next.offset - before.offset);
    before = next;
  }
  to.u8(DW_LNS_advance_pc);
  to.uleb(kernel.code_bytes - before.offset);
  extended(to, DW_LNE_end_sequence, 0);
}

void write_line(DebugSection& to, const std::vector<ImageKernel>& kernels, const std::string& directory,
                std::uint64_t text_address) {
  const std::size_t unit = to.begin_length();
  to.u16(kDwarfVersion);
  const std::size_t header = to.begin_length();
  to.u8(1);  // bytes of the shortest instruction
  to.u8(1);  // operations of one
  to.u8(1);  // rows are places to stop
  to.u8(static_cast<std::uint8_t>(kLineBase));
  to.u8(kLineRange);
  to.u8(kOpcodeBase);
  to.bytes(kOperandsOfStandardOpcodes);
  to.string(directory);
  to.u8(0);  // no more directories
  for (const ImageKernel& kernel : kernels) {
    to.string(kernel.source);
    to.uleb(1);  // in the first directory
    to.uleb(0);  // changed at no time that is known
    to.uleb(0);  // nor is its size
  }
  to.u8(0);  // no more files
  to.end_length(header);
  std::uint64_t file = 0;
  for (const ImageKernel& kernel : kernels) write_sequence(to, kernel, ++file, text_address);
  to.end_length(unit);
}

}  // namespace

void DebugSection::address(std::uint64_t text_address, std::uint64_t offset) {
  relocations.push_back({size(), R_X86_64_64, RelocationTarget::text, static_cast<std::int64_t>(offset)});
  u64(text_address + offset);
}

void DebugSection::section_offset(RelocationTarget section, std::uint32_t offset) {
  relocations.push_back({size(), R_X86_64_32, section, offset});
  u32(offset);
}

DebugInfo make_debug_info(const std::vector<ImageKernel>& kernels, const std::string& listing_directory,
                          std::uint64_t text_address, std::uint64_t text_bytes) {
  DebugInfo debug;
  write_abbrev(debug.abbrev);
  write_info(debug.info, kernels, listing_directory, text_address, text_bytes);
  write_line(debug.line, kernels, listing_directory, text_address);
  return debug;
}

}  // namespace llamajit::jit::inspect
