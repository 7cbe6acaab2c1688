// Encoders' attention: windows around a token, and ALiBi.
#include "tests/jit/kernels/attention_check.h"

namespace llamajit::test::attention_around_test {
namespace {

using namespace attention_check;  // NOLINT(google-build-using-namespace): this file speaks of nothing else
using jit::AttentionKey;

class AttentionAround : public Attention {};

// An encoder's window: as one of so many positions that ends with the last one seen, which may be the text's.
TEST_P(AttentionAround, WindowsAroundTheirTokens) {
  for (const auto& [one_range, window, last] :
       {std::tuple{true, 1, 9}, {true, 9, 40}, {true, 65, 255}, {false, 33, 300}, {false, 301, 700}}) {
    if (kSanitized && window != 65 && window != 301) continue;
    AttentionKey shape = key(one_range ? 2 : 3, one_range);
    shape.window = window;
    shape.causal = false;
    Kernels kernels(shape);
    Inputs inputs = random_inputs(shape, {3, last});
    for (const int own :
         {0, 5, window / 2, window / 2 + 1, window / 2 + 16, last - window / 2, last - 1, last}) {
      if (own > last || own < 0) continue;
      const Call call{3, std::min(own + window / 2, last), 1, own};
      const auto result = check_against_twin(kernels, shape, call, inputs);
      for (int head = 0; head < call.n_kv_heads * shape.group; ++head) {
        expect_head_is_right(shape, call, inputs, *result, head);
      }
      const int first = std::max(own - window / 2, 0);
      EXPECT_EQ(first_seen(shape, call), first);
      AttentionKey ends = shape;
      ends.window = call.position - first + 1;
      ends.causal = true;
      expect_same_bits(fmt::format("{} of {} in {}", kernel_name(shape), own, last),
                       result->view<float>("out"), out_of_twin(ends, call, inputs.q.data(), inputs.kv));
      if (HasFatalFailure()) return;
    }
  }
}

// ALiBi, a token alone and several behind each other, which have the bits of each alone.
TEST_P(AttentionAround, SlopesAroundTheirTokens) {
  for (const auto& [one_range, group, tokens, last] : {std::tuple{true, 1, 1, 40},
                                                       {true, 2, 4, 255},
                                                       {false, 3, 1, 300},
                                                       {false, 1, 8, 700},
                                                       {false, 4, 2, 513}}) {
    if (kSanitized && last > 300) continue;
    AttentionKey shape = tokens > 1 ? with_tokens(key(group, one_range), tokens, 3) : key(group, one_range);
    shape.causal = false;
    shape.slopes = true;
    AttentionKey one = shape;
    one.tokens = 1;
    one.token_stride = 0;
    Kernels kernels(shape);
    Inputs inputs = random_inputs(shape, {3, last});
    for (const int own : {0, 1, 17, last / 2, last - tokens + 1}) {
      const Call call{3, last, 1, own};
      const auto result = check_against_twin(kernels, shape, call, inputs);
      for (int head = 0; tokens == 1 && head < call.n_kv_heads * group; ++head) {
        expect_head_is_right(shape, call, inputs, *result, head);
      }
      for (int t = 0; t < tokens; ++t) {
        const auto from = static_cast<std::size_t>(t * shape.token_stride);
        const Call token{3, last, 1, own + t};
        const std::vector<float> expected =
            out_of_twin(one, token, &inputs.q[from], inputs.kv, {}, inputs.slopes);
        expect_same_bits(fmt::format("{} at {}, token {}", kernel_name(shape), own, t),
                         result->view<float>("out").subspan(from, expected.size()), expected);
      }
      if (HasFatalFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Grid, AttentionAround,
                         testing::Combine(testing::ValuesIn(kKvTypes),
                                          testing::ValuesIn(head_dims({6, 8, 44, 48, 64, 80, 128}))),
                         case_name);

}  // namespace
}  // namespace llamajit::test::attention_around_test
