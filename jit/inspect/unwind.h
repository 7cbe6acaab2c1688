// How to find a kernel's caller at each of its instructions.
#pragma once

#include <cstdint>
#include <vector>

#include "jit/inspect/dwarf.h"

namespace llamajit::jit::inspect {

// .debug_frame, with absolute addresses: for debuggers.
DebugSection make_debug_frame(const std::vector<ImageKernel>& kernels, std::uint64_t text_address);

// .eh_frame, with addresses relative to themselves: for programs. `distance` is what lies between the begin
// of the text and the begin of this section; a linker corrects it.
DebugSection make_eh_frame(const std::vector<ImageKernel>& kernels, std::int64_t distance);

// The same for one kernel whose text begins with it, and the table for binary search that goes right behind.
struct UnwindTable {
  ByteBuffer frame, header;
};
UnwindTable make_unwind_table(const ImageKernel& kernel, std::int64_t distance);

}  // namespace llamajit::jit::inspect
