// A kernel's machine code as people read it: contract and register roles at the top, then each instruction
// with what it does in the kernel's own names. GNU as makes the same bytes of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "jit/base/isa.h"
#include "jit/emit/annotations.h"
#include "jit/kernels/kernels.h"

namespace llamajit::jit::inspect {

struct ListingLine {
  enum class Kind : std::uint8_t {
    head,       // comments at the top
    directive,  // for the assembler: sections, symbols
    note,       // what the emitter says of the instructions that follow
    label,      // where jumps lead, and before constants
    instruction,
    padding,  // instructions that never run, between code and constants
    data,
  };
  Kind kind;
  std::uint32_t offset = 0;  // from the kernel's first byte; of what follows, for lines without bytes
  std::uint32_t size = 0;    // bytes; 0 for all but instruction, padding, data
  int depth = 0;             // how many loops it stands in
  std::string text{};        // for the assembler; of head and note the words
  std::string comment{};     // an instruction in the kernel's names, a constant as a number; may be empty
};

struct Listing {
  std::string name;  // kernel_name()
  KernelKey key;
  Isa isa;
  std::vector<std::uint8_t> bytes{};  // code, then constants
  Annotations annotations{};
  std::vector<ListingLine> lines{};  // line i + 1 of text()

  int instructions = 0;
  int vector_instructions = 0;  // of these
  int general_registers = 0;    // used, of 16
  int vector_registers = 0;     // used, of 16 or 32
  int mask_registers = 0;
  // Instructions that stand as .byte directives, as nothing
  // makes as choose their encoding; part of `instructions`.
  int as_bytes = 0;

  std::uint32_t code_bytes() const { return annotations.code_bytes; }  // without constants
  // The file NAME.s.
  std::string text() const;
};

// Generates the kernel anew, for any tier that generates, and lists it. Throws std::runtime_error that names
// the kernel if it can't be generated or disassembled.
Listing make_listing(Isa isa, const KernelKey& key);

// One line as text() has it, without the line's end.
std::string to_text(const ListingLine& line);

}  // namespace llamajit::jit::inspect
