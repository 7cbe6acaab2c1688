// What quantize_model() is asked for.
#pragma once

#include <string_view>

#include <gtest/gtest.h>

#include "runtime/convert/quantization_type.h"

namespace llamajit::test {

inline QuantizationChoices choice(std::string_view type, bool pure = false) {
  QuantizationChoices choices;
  choices.type = find_quantization_type(type);
  EXPECT_NE(choices.type, nullptr) << type;
  choices.pure = pure;
  return choices;
}

}  // namespace llamajit::test
