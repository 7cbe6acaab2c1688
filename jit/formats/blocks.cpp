#include "jit/formats/blocks.h"

#include <cassert>
#include <iterator>

namespace llamajit::jit {
namespace {

struct Row {
  FormatKind kind;
  const BlockLayout* layout;
};
constexpr Row kLayouts[] = {
    {FormatKind::q8_0, &kQ8_0Layout},        {FormatKind::q4_0, &kQ4_0Layout},
    {FormatKind::q4_1, &kQ4_1Layout},        {FormatKind::q5_0, &kQ5_0Layout},
    {FormatKind::q5_1, &kQ5_1Layout},        {FormatKind::q2_k, &kQ2KLayout},
    {FormatKind::q3_k, &kQ3KLayout},         {FormatKind::q4_k, &kQ4KLayout},
    {FormatKind::q5_k, &kQ5KLayout},         {FormatKind::q6_k, &kQ6KLayout},
    {FormatKind::iq4_nl, &kIq4NlLayout},     {FormatKind::iq4_xs, &kIq4XsLayout},
    {FormatKind::tq1_0, &kTq1_0Layout},      {FormatKind::tq2_0, &kTq2_0Layout},
    {FormatKind::q1_0, &kQ1_0Layout},        {FormatKind::q2_0, &kQ2_0Layout},
    {FormatKind::mxfp4, &kMxfp4Layout},      {FormatKind::iq2_xxs, &kIq2XxsLayout},
    {FormatKind::iq2_xs, &kIq2XsLayout},     {FormatKind::iq2_s, &kIq2SLayout},
    {FormatKind::iq3_xxs, &kIq3XxsLayout},   {FormatKind::iq3_s, &kIq3SLayout},
    {FormatKind::iq1_s, &kIq1SLayout},       {FormatKind::iq1_m, &kIq1MLayout},
    {FormatKind::nvfp4, &kNvfp4Layout},      {FormatKind::iq2_k, &kIq2KLayout},
    {FormatKind::iq3_k, &kIq3KLayout},       {FormatKind::iq4_k, &kIq4KLayout},
    {FormatKind::iq5_k, &kIq5KLayout},       {FormatKind::iq6_k, &kIq6KLayout},
    {FormatKind::iq2_ks, &kIq2KsLayout},     {FormatKind::iq3_ks, &kIq3KsLayout},
    {FormatKind::iq4_ks, &kIq4KsLayout},     {FormatKind::iq4_kss, &kIq4KssLayout},
    {FormatKind::iq5_ks, &kIq5KsLayout},     {FormatKind::i2_s, &kI2SLayout},
    {FormatKind::q4_0_f32, &kQ4_0F32Layout}, {FormatKind::q4_1_f32, &kQ4_1F32Layout},
};

// By index: a look-up happens for every block.
const BlockLayout& layout_of(FormatKind kind) {
  constexpr auto kFirst = static_cast<std::size_t>(FormatKind::q8_0);
  static_assert([] {
    for (std::size_t i = 0; i < std::size(kLayouts); ++i) {
      if (static_cast<std::size_t>(kLayouts[i].kind) != kFirst + i) return false;
    }
    return true;
  }());
  assert(static_cast<std::size_t>(kind) >= kFirst);
  return *kLayouts[static_cast<std::size_t>(kind) - kFirst].layout;
}

}  // namespace

SplitBlock split_of(FormatKind kind) {
  return layout_of(kind).split;
}

void split_block(FormatKind kind, const std::byte* block, Group& to) {
  layout_of(kind).split(block, to);
}

void join_block(FormatKind kind, const Group& from, std::byte* block) {
  layout_of(kind).join(from, block);
}

}  // namespace llamajit::jit
