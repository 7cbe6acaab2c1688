#include "jit/formats/format.h"

#include <fmt/format.h>

namespace llamajit::jit {

Format packed_format(Format stored) {
  const bool is_half = stored.kind == FormatKind::f16 || stored.kind == FormatKind::bf16;
  return is_half ? Format{FormatKind::f32, 0} : stored;
}

std::string to_string(Format format) {
  switch (format.kind) {
    case FormatKind::f32:
      return "f32";
    case FormatKind::f16:
      return "f16";
    case FormatKind::bf16:
      return "bf16";
    case FormatKind::q8_0:
      return fmt::format("q8_0/{}", format.group);
  }
  return "unknown";
}

}  // namespace llamajit::jit
