#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels/kernels.h"
#include "tests/support/kernel_check.h"

namespace llamajit::test {
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

TEST(Lessons, LargeScoresDoNotOverflow) {
  const Attention result = attention({100}, {100, 99, -100}, {1, 2, 3});
  EXPECT_EQ(result.weights, (Numbers{1, result.weights[1], result.weights[2]}));
  EXPECT_LT(result.weights[1], 1e-37F);
  EXPECT_FLOAT_EQ(result.out[0], 1);
}

}  // namespace
}  // namespace llamajit::test
