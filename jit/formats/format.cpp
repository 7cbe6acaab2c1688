#include "jit/formats/format.h"

#include <fmt/format.h>

namespace llamajit::jit {
std::string to_string(Format format) {
  switch (format.kind) {
    case FormatKind::f32:
      return "f32";
    case FormatKind::f16:
      return "f16";
    case FormatKind::bf16:
      return "bf16";
    case FormatKind::bf16_pairs:
      return "bf16_pairs";
    case FormatKind::int8:
      return fmt::format("int8/{}", format.group);
    default:
      return std::string(format_traits(format.kind)->name);
  }
}

std::string_view ggml_name(FormatKind kind) {
  switch (kind) {
    case FormatKind::f32:
      return "F32";
    case FormatKind::f16:
      return "F16";
    case FormatKind::bf16:
      return "BF16";
    default:
      return format_traits(kind)->name;
  }
}

std::vector<Format> ggml_formats() {
  std::vector<Format> formats = {{FormatKind::f32, 0}, {FormatKind::f16, 0}, {FormatKind::bf16, 0}};
  for (const FormatTraits& traits : all_format_traits()) formats.push_back({traits.kind, traits.group});
  return formats;
}

std::optional<Format> find_ggml_format(std::string_view name) {
  for (const Format& format : ggml_formats()) {
    if (ggml_name(format.kind) == name) return format;
  }
  return std::nullopt;
}

}  // namespace llamajit::jit
