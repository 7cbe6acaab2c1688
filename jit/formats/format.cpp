#include "jit/formats/format.h"

#include <fmt/format.h>

namespace llamajit::jit {

std::string to_string(Format format) {
  switch (format.kind) {
    case FormatKind::f32:
      return "f32";
    case FormatKind::q8_0:
      return fmt::format("q8_0/{}", format.group);
  }
  return "unknown";
}

}  // namespace llamajit::jit
