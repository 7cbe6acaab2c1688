#include "jit/base/element_type.h"

namespace llamajit::jit {

std::string_view to_string(ElementType type) {
  switch (type) {
    case ElementType::f32:
      return "f32";
    case ElementType::f16:
      return "f16";
    case ElementType::bf16:
      return "bf16";
    case ElementType::q8_0:
      return "q8_0";
  }
  return "";
}

}  // namespace llamajit::jit
