// The DWARF sections of an image.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "jit/inspect/byte_buffer.h"
#include "jit/inspect/image.h"

namespace llamajit::jit::inspect {

// An address or offset in a section is relative to one of these; a linker moves it with that.
enum class RelocationTarget : std::uint8_t { text, debug_abbrev, debug_line };

struct Relocation {
  std::uint64_t at;
  std::uint32_t type;  // R_X86_64_…
  RelocationTarget target;
  std::int64_t addend;
};

struct DebugSection : ByteBuffer {
  std::vector<Relocation> relocations;

  // The address of a place in the text that begins at `text_address`.
  void address(std::uint64_t text_address, std::uint64_t offset);
  // An offset into another section.
  void section_offset(RelocationTarget section, std::uint32_t offset);
};

struct DebugInfo {
  DebugSection info, abbrev, line;
};

DebugInfo make_debug_info(const std::vector<ImageKernel>& kernels, const std::string& listing_directory,
                          std::uint64_t text_address, std::uint64_t text_bytes);

}  // namespace llamajit::jit::inspect
