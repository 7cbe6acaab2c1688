// Instructions as GNU as takes them (.intel_syntax noprefix), so that it gives the same bytes back.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>

#include "jit/inspect/instruction.h"

namespace llamajit::jit::inspect {

// The label at an offset of the kernel, for jumps and constants.
using LabelAt = std::function<std::string(std::uint32_t offset)>;

// "vfmadd231ps zmm2, zmm0, zmmword ptr [rcx+64]", where need be behind a pseudo-prefix that asks for the
// encoding at hand, as in "{evex} vpdpbusd …". Nothing where the encoding can't be asked for.
std::optional<std::string> assembler_text(const Instruction& instruction, const LabelAt& label);

// ".byte 0x90": the way out.
std::string byte_directive(std::span<const std::uint8_t> bytes);

}  // namespace llamajit::jit::inspect
