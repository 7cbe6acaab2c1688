#include "runtime/files/ggml_type.h"

#include <algorithm>
#include <iterator>

namespace llamajit {
namespace {

constexpr GgmlType kTypes[] = {
    {0, "F32", 1, 4},
    {1, "F16", 1, 2},
    {2, "Q4_0", 32, 18},
    {3, "Q4_1", 32, 20},
    {6, "Q5_0", 32, 22},
    {7, "Q5_1", 32, 24},
    {8, "Q8_0", 32, 34},
    {9, "Q8_1", 32, 36},
    {10, "Q2_K", 256, 84},
    {11, "Q3_K", 256, 110},
    {12, "Q4_K", 256, 144},
    {13, "Q5_K", 256, 176},
    {14, "Q6_K", 256, 210},
    {15, "Q8_K", 256, 292},
    {16, "IQ2_XXS", 256, 66},
    {17, "IQ2_XS", 256, 74},
    {18, "IQ3_XXS", 256, 98},
    {19, "IQ1_S", 256, 50},
    {20, "IQ4_NL", 32, 18},
    {21, "IQ3_S", 256, 110},
    {22, "IQ2_S", 256, 82},
    {23, "IQ4_XS", 256, 136},
    {24, "I8", 1, 1},
    {25, "I16", 1, 2},
    {26, "I32", 1, 4},
    {27, "I64", 1, 8},
    {28, "F64", 1, 8},
    {29, "IQ1_M", 256, 56},
    {30, "BF16", 1, 2},
    {34, "TQ1_0", 256, 54},
    {35, "TQ2_0", 256, 66},
    {36, "I2_S", 128, 32, 32},
    {39, "MXFP4", 32, 17},
    {40, "NVFP4", 64, 36},
    {41, "Q1_0", 128, 18},
    {42, "Q2_0", 64, 18},
    // ik_llama.cpp's.
    {137, "IQ2_K", 256, 76},
    {138, "IQ3_K", 256, 110},
    {139, "IQ4_K", 256, 144},
    {140, "IQ5_K", 256, 176},
    {141, "IQ6_K", 256, 212},
    {144, "IQ4_KS", 256, 136, 0, 4},
    {146, "IQ4_KSS", 256, 128, 0, 4},
    {145, "IQ2_KS", 256, 70, 0, 2},
    {152, "IQ5_KS", 256, 168, 0, 4},
    {156, "IQ3_KS", 256, 102, 0, 2},
};

}  // namespace

const GgmlType* find_ggml_type(std::uint32_t number) {
  const auto* const found = std::ranges::find(kTypes, number, &GgmlType::number);
  return found == std::end(kTypes) ? nullptr : found;
}

const GgmlType* find_ggml_type(std::string_view name) {
  const auto* const found = std::ranges::find(kTypes, name, &GgmlType::name);
  return found == std::end(kTypes) ? nullptr : found;
}

}  // namespace llamajit
