#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels/kernels.h"
#include "tests/support/kernel_check.h"

namespace llamajit::test::lessons_test {
namespace {

using Numbers = std::vector<float>;

// One tail of each kind, every number of ways, and a length that takes loops of many turns.
std::vector<int> lengths() {
  std::vector<int> lengths;
  for (int n = 1; n <= 67; ++n) lengths.push_back(n);
  lengths.insert(lengths.end(), {79, 80, 96, 127, 128, 1000, 1024, 4099});
  return lengths;
}

std::vector<float> view(const CallMemory& memory, std::string_view name) {
  const auto values = memory.view<float>(name);
  return {values.begin(), values.end()};
}

Numbers add(const Numbers& a, const Numbers& b) {
  Kernels kernels(jit::LessonAddKey{static_cast<int>(a.size())});
  return view(*kernels.check(1, "add",
                             [&](CallMemory& m) {
                               return jit::LessonAddArgs{m.copy_of("a", a), m.copy_of("b", b),
                                                         m.allocate<float>("out", a.size())};
                             }),
              "out");
}

float dot(const Numbers& a, const Numbers& b) {
  Kernels kernels(jit::LessonDotKey{static_cast<int>(a.size())});
  const auto memory = kernels.check(1, "dot", [&](CallMemory& m) {
    return jit::LessonDotArgs{m.copy_of("a", a), m.copy_of("b", b), m.allocate<float>("out", 1)};
  });
  return memory->view<float>("out")[0];
}

Numbers feed_forward(const Numbers& x, const Numbers& h, const Numbers& w) {
  Kernels kernels(jit::LessonFeedForwardKey{static_cast<int>(x.size())});
  return view(*kernels.check(1, "feed-forward",
                             [&](CallMemory& m) {
                               return jit::LessonFeedForwardArgs{m.copy_of("x", x), m.copy_of("h", h),
                                                                 m.copy_of("w", w),
                                                                 m.allocate<float>("out", x.size())};
                             }),
              "out");
}

float one_bit(const std::vector<std::uint16_t>& signs, const Numbers& x, float scale) {
  Kernels kernels(jit::LessonOneBitKey{static_cast<int>(x.size())});
  const auto memory = kernels.check(1, fmt::format("scale {}", scale), [&](CallMemory& m) {
    return jit::LessonOneBitArgs{m.copy_of("signs", signs), m.copy_of("x", x), m.allocate<float>("out", 1),
                                 scale};
  });
  return memory->view<float>("out")[0];
}

struct Attention {
  Numbers weights;  // (queries, positions)
  Numbers out;      // (queries)
};
Attention attention(const Numbers& q, const Numbers& k, const Numbers& v) {
  Kernels kernels(jit::LessonAttentionKey{static_cast<int>(k.size())});
  const auto memory = kernels.check(1, fmt::format("{} queries", q.size()), [&](CallMemory& m) {
    return jit::LessonAttentionArgs{m.copy_of("q", q),
                                    m.copy_of("k", k),
                                    m.copy_of("v", v),
                                    m.allocate<float>("weights", q.size() * k.size()),
                                    m.allocate<float>("out", q.size()),
                                    static_cast<std::int64_t>(q.size())};
  });
  return {view(*memory, "weights"), view(*memory, "out")};
}

struct Experts {
  Numbers weights;  // (n)
  float out;
};
Experts experts(const Numbers& scores, const Numbers& outputs, int used) {
  const int n = static_cast<int>(scores.size());
  Kernels kernels(jit::LessonExpertsKey{n, used});
  const auto memory = kernels.check(1, fmt::format("{} of {}", used, n), [&](CallMemory& m) {
    return jit::LessonExpertsArgs{
        m.copy_of("scores", scores), m.copy_of("outputs", outputs),
        m.scratch<float>("rest", static_cast<std::size_t>(jit::round_up(n, jit::kLanes))),
        m.allocate<float>("weights", scores.size()), m.allocate<float>("out", 1)};
  });
  return {view(*memory, "weights"), memory->view<float>("out")[0]};
}

struct State {
  Numbers states;
  Numbers out;
};
State state(const Numbers& q, const Numbers& k, const Numbers& v) {
  Kernels kernels(jit::LessonStateKey{static_cast<int>(q.size())});
  const auto memory = kernels.check(1, "state", [&](CallMemory& m) {
    return jit::LessonStateArgs{m.copy_of("q", q), m.copy_of("k", k), m.copy_of("v", v),
                                m.allocate<float>("states", q.size()), m.allocate<float>("out", q.size())};
  });
  return {view(*memory, "states"), view(*memory, "out")};
}

Numbers random_numbers(int n, std::uint64_t seed) {
  return CallMemory(Edge::back, seed).random_floats(static_cast<std::size_t>(n), -2, 2);
}

TEST(Lessons, TheExamplesNumbers) {
  EXPECT_EQ(add({5}, {7}), Numbers{12});
  EXPECT_EQ(dot({2, 3}, {4, 5}), 23);
  EXPECT_EQ(feed_forward({2, 3}, {4, 5}, {1, 0.5F}), (Numbers{10, 10.5F}));
  // A query of 1 leaves the keys as scores.
  const Attention of_one = attention({1}, {2, 3, 4, 5}, {2, 3, 4, 5});
  const std::vector<double> softmax = {0.0320586033, 0.0871443187, 0.2368828181, 0.6439142599};
  expect_within("softmax of 2, 3, 4, 5", of_one.weights, softmax, std::vector<double>(4, 1e-7));
  expect_within("their mean", of_one.out, std::vector<double>{4.4926527349}, std::vector<double>{1e-6});
  EXPECT_EQ(one_bit({0b0110}, {2, 3, 4, 5}, 0.5F), 0.5F * (2 - 3 - 4 + 5));
}

TEST(Lessons, AddOfEveryLength) {
  for (const int n : lengths()) {
    const Numbers a = random_numbers(n, 1), b = random_numbers(n, 2), out = add(a, b);
    for (std::size_t i = 0; i < a.size(); ++i) ASSERT_EQ(out[i], a[i] + b[i]) << n;
  }
}

TEST(Lessons, DotOfEveryLength) {
  for (const int n : lengths()) {
    const Numbers a = random_numbers(n, 3), b = random_numbers(n, 4);
    double sum = 0, magnitude = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      sum += double{a[i]} * b[i];
      magnitude += std::abs(double{a[i]} * b[i]);
    }
    EXPECT_NEAR(dot(a, b), sum, (n / 16.0 + 5) * kEps * magnitude) << n;
  }
}

TEST(Lessons, FeedForwardOfEveryLength) {
  for (const int n : lengths()) {
    const Numbers x = random_numbers(n, 5), h = random_numbers(n, 6), w = random_numbers(n, 7);
    const Numbers out = feed_forward(x, h, w);
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_NEAR(out[i], double{x[i]} + h[i] + double{h[i]} * w[i], 16 * kEps) << n;
    }
  }
}

TEST(Lessons, OneBitOfEveryLength) {
  for (const int n : lengths()) {
    const Numbers x = random_numbers(n, 8);
    CallMemory source(Edge::back, 9);
    std::vector<std::uint16_t> signs((x.size() + 15) / 16);
    for (std::uint16_t& word : signs) word = static_cast<std::uint16_t>(source.random()());
    double sum = 0, magnitude = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      sum += (signs[i / 16] >> (i % 16) & 1) != 0 ? -double{x[i]} : double{x[i]};
      magnitude += std::abs(double{x[i]});
    }
    // Bits beyond the last weight may be anything.
    EXPECT_NEAR(one_bit(signs, x, 0.75F), 0.75 * sum, (n / 16.0 + 6) * kEps * magnitude) << n;
  }
}

TEST(Lessons, EachBitIsOneLanesSign) {
  for (int bit = 0; bit < 40; ++bit) {
    std::vector<std::uint16_t> signs(3);
    signs[static_cast<std::size_t>(bit) / 16] = static_cast<std::uint16_t>(1U << bit % 16);
    Numbers x(40, 0);
    x[static_cast<std::size_t>(bit)] = 1;
    EXPECT_EQ(one_bit(signs, x, 1), -1) << bit;
  }
}

void check_attention(int queries, int n) {
  const Numbers q = random_numbers(queries, 10), k = random_numbers(n, 11), v = random_numbers(n, 12);
  const Attention result = attention(q, k, v);
  for (std::size_t i = 0; i < q.size(); ++i) {
    double largest = -1e300, sum = 0, out = 0;
    for (const float key : k) largest = std::max(largest, double{q[i]} * key);
    for (const float key : k) sum += std::exp(double{q[i]} * key - largest);
    for (std::size_t p = 0; p < k.size(); ++p) {
      const double weight = std::exp(double{q[i]} * k[p] - largest) / sum;
      out += weight * v[p];
      ASSERT_NEAR(result.weights[i * k.size() + p], weight, (n / 16.0 + 64) * kEps * weight) << n;
    }
    ASSERT_NEAR(result.out[i], out, 2 * (n / 8.0 + 80) * kEps) << n;
  }
}

TEST(Lessons, AttentionOfEveryLength) {
  for (const int n : lengths()) check_attention(n % 3 + 1, n);
}

TEST(Lessons, ExpertsOfEveryNumber) {
  for (const int n : lengths()) {
    const Numbers scores = random_numbers(n, 13), outputs = random_numbers(n, 14);
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    for (int used = 1; used <= std::min(n, 2); ++used) {
      const Experts result = experts(scores, outputs, used);
      const double other = used == 2 ? std::exp(double{scores[order[1]]} - scores[order[0]]) : 0;
      std::vector<double> weights(scores.size());
      weights[order[0]] = 1 / (1 + other);
      if (used == 2) weights[order[1]] = other / (1 + other);
      double out = 0;
      for (std::size_t i = 0; i < scores.size(); ++i) {
        ASSERT_NEAR(result.weights[i], weights[i], 8 * kEps * weights[i]) << n;
        out += weights[i] * outputs[i];
      }
      ASSERT_NEAR(result.out, out, 32 * kEps) << n;
    }
  }
}

// Of equal scores the first is chosen, in whichever vector the others stand.
TEST(Lessons, TheFirstOfEqualExpertsIsChosen) {
  for (const int second : {1, 15, 16, 39}) {
    Numbers scores(40, -1), outputs(40, 100);
    scores[0] = scores[39] = scores[static_cast<std::size_t>(second)] = 3;
    outputs[0] = 1;
    outputs[static_cast<std::size_t>(second)] = 2;
    const Experts two = experts(scores, outputs, 2);
    EXPECT_EQ(two.weights[0], 0.5F);
    EXPECT_EQ(two.weights[static_cast<std::size_t>(second)], 0.5F);
    EXPECT_EQ(two.out, 1.5F);
    EXPECT_EQ(experts(scores, outputs, 1).out, 1.0F);
  }
  const Experts apart = experts({-3e38F, 3e38F, -3.4e38F}, {7, 8, 9}, 2);
  EXPECT_EQ(apart.weights, (Numbers{apart.weights[0], 1, 0}));
  EXPECT_LT(apart.weights[0], 1e-37F);
}

// The same key again replaces what was kept for it, half a key half of that; a key of 0 leaves it alone.
TEST(Lessons, AStateLearnsWhatIsMissing) {
  const State result = state({1, 1, 1, 1, 2}, {1, 1, 0.5F, 0, 1}, {2, 3, 4, 5, -6});
  EXPECT_EQ(result.states, (Numbers{2, 3, 4.25F, 4.25F, -6}));
  EXPECT_EQ(result.out, (Numbers{2, 3, 4.25F, 4.25F, -12}));
}

TEST(Lessons, StateOfEveryLength) {
  for (const int n : lengths()) {
    // With keys below 1, what a rounding has done fades.
    Numbers q = random_numbers(n, 15), k = random_numbers(n, 16), v = random_numbers(n, 17);
    for (float& key : k) key /= 2;
    const State result = state(q, k, v);
    double s = 0;
    for (std::size_t t = 0; t < q.size(); ++t) {
      s += k[t] * (v[t] - k[t] * s);
      ASSERT_NEAR(result.states[t], s, 64 * kEps) << n;
      ASSERT_NEAR(result.out[t], q[t] * s, 128 * kEps) << n;
    }
  }
}

TEST(Lessons, LargeScoresDoNotOverflow) {
  const Attention result = attention({100}, {100, 99, -100}, {1, 2, 3});
  EXPECT_EQ(result.weights, (Numbers{1, result.weights[1], result.weights[2]}));
  EXPECT_LT(result.weights[1], 1e-37F);
  EXPECT_FLOAT_EQ(result.out[0], 1);
}

}  // namespace
}  // namespace llamajit::test::lessons_test
