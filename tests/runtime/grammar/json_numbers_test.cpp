// Numbers of JSON schemas: bounds and multiples.
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/grammar/decimal.h"
#include "runtime/grammar/grammar_state.h"
#include "runtime/grammar/json_schema.h"
#include "tests/runtime/grammar/schema_texts.h"

namespace llamajit::json_numbers_test {
namespace {

using test::expect_refused;
using test::expect_texts;
using test::is_text;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// With `places` behind the point.
std::string written(std::int64_t units, int places) {
  std::int64_t unit = 1;
  for (int i = 0; i < places; ++i) unit *= 10;
  const std::int64_t magnitude = units < 0 ? -units : units;
  const std::string whole = fmt::format("{}{}", units < 0 ? "-" : "", magnitude / unit);
  return places == 0 ? whole : fmt::format("{}.{:0{}}", whole, magnitude % unit, places);
}

// Each integer around each pair of bounds.
TEST(JsonNumbers, IntegersAreWithinTheirBounds) {
  const std::vector<std::int64_t> bounds{-1000, -999, -130, -101, -100, -99, -10, -9,  -1,  0,
                                         1,     5,    9,    10,   42,   99,  100, 101, 999, 1007};
  for (const std::int64_t min : bounds) {
    for (const std::int64_t max : bounds) {
      if (max < min) continue;
      const GrammarState begin(
          parse_json_schema(fmt::format(R"({{"type":"integer","minimum":{},"maximum":{}}})", min, max), "s"));
      for (std::int64_t i = -1100; i <= 1100; ++i) {
        GrammarState state = begin;
        const bool found = state.accept(fmt::to_string(i)) && state.may_end();
        ASSERT_EQ(found, min <= i && i <= max) << min << " " << i << " " << max;
      }
    }
  }
  expect_texts(R"({"type":"integer","exclusiveMinimum":2.5,"exclusiveMaximum":5})", {"3", "4"},
               {"2", "5", "3.0", "-0"});
  expect_refused(R"({"type":"integer","minimum":18446744073709551615})",
                 "expected bounds with an integer of at most 18 digits");
}

// As the types have them that Zod calls int, float32 and float64.
TEST(JsonNumbers, BoundsMayBeThoseOfMachinesNumbers) {
  expect_texts(R"({"type":"integer","minimum":-9007199254740991,"maximum":9007199254740991})",
               {"0", "-9007199254740991", "9007199254740991", "123456789012345"},
               {"9007199254740992", "-9007199254740992", "10000000000000000", "1.0", "1e3"});
  expect_texts(
      R"({"type":"number","minimum":-3.4028234663852886e38,"maximum":3.4028234663852886e38})",
      {"0", "-1.5", "1e22", "1E+9", "9999999999999999.9999999999999999e22", "-2.5e05", "1e-99", "0.1e10"},
      {"1e23", "1e30", "1e38", "-1e39", "1e99", "1e100"});
  expect_texts(R"({"type":"number","minimum":-1.7976931348623157e308,"maximum":1.7976931348623157e308})",
               {"9e99", "-1e-99", "1e00", "1e+09"}, {"1e100"});
  expect_texts(R"({"type":"number","minimum":0,"maximum":3.4028234663852886e38})",
               {"0", "0.5", "999999999999999"}, {"-1", "-0", "1e5", "9999999999999999"});
  expect_texts(R"({"type":"number","exclusiveMaximum":1e24})", {"1e7", "9999999999999999e7", "-1e07"},
               {"1e8", "1e10", "1e17"});
  expect_texts(R"({"type":"number","maximum":9007199254740991})", {"999999999999998.5", "-0.5", "0"},
               {"1e1", "9007199254740993", "1000000000000000"});
  expect_refused(R"({"type":"number","minimum":1e20})",
                 "s: /minimum: expected a number within 1000000000000");
  expect_refused(R"({"type":"number","maximum":1.1e12})",
                 "s: /maximum: expected a number within 1000000000000");
}

TEST(JsonNumbers, NumbersAreWithinTheirBounds) {
  expect_texts(R"({"minimum":0})", {"0", "0.5", "123456.75", "0.0"}, {"-1", "-0.5", "-0", "1e5", "00"});
  expect_texts(R"({"exclusiveMinimum":0,"maximum":10})", {"0.000001", "5", "10", "10.0", "9.999999"},
               {"0", "0.0", "10.1", "-1", "11"});
  expect_texts(R"({"minimum":-2,"exclusiveMaximum":3})", {"-2", "-2.0", "-1.5", "-0.5", "0", "2.999999"},
               {"-2.1", "3", "3.0", "-0", "-0.0"});
  expect_texts(R"({"minimum":7,"maximum":7})", {"7", "7.00"}, {"7.1", "6.9"});
  expect_texts(R"({"minimum":1,"exclusiveMinimum":1})", {"1.1"}, {"1", "1.0"});
  expect_refused(R"({"minimum":7,"exclusiveMaximum":7})", "expected bounds with a number between them");
}

// Each hundredth and some thousandths around each pair of bounds, which are in hundredths.
TEST(JsonNumbers, BoundsMayHaveAFraction) {
  const std::vector<std::int64_t> bounds{-1210, -1000, -205, -100, -99, -95, -50, -1,  0,
                                         1,     5,     50,   95,   100, 101, 250, 999, 1030};
  for (const std::int64_t min : bounds) {
    for (const std::int64_t max : bounds) {
      if (max < min) continue;
      const GrammarState within(parse_json_schema(
          fmt::format(R"({{"minimum":{},"maximum":{}}})", written(min, 2), written(max, 2)), "s"));
      const auto is_within = [&](std::int64_t i) { return min * 10 <= i && i <= max * 10; };
      for (std::int64_t i = -1250; i <= 1250; ++i) {
        ASSERT_EQ(is_text(within, written(i, 2)), is_within(i * 10)) << min << " " << i << " " << max;
        ASSERT_EQ(is_text(within, written(i * 10 + 1, 3)), is_within(i * 10 + 1) || i * 10 + 1 == 0)
            << min << " " << i << ".1 " << max;
      }
    }
  }
  expect_texts(R"({"exclusiveMinimum":0.5,"exclusiveMaximum":0.95})",
               {"0.500001", "0.6", "0.949999", "0.90", "0.94"}, {"0.5", "0.50", "0.95", "0.950", "1", "0"});
  expect_texts(R"({"minimum":-0.5,"exclusiveMaximum":0})", {"-0.5", "-0.500000", "-0.000001", "-0.25"},
               {"0", "-0", "-0.0", "-0.51", "-0.5000001"});
  // Of bounds with more places, what has 6 of them is within.
  expect_texts(R"({"minimum":0.1234567,"maximum":0.12345999})", {"0.123457", "0.123459"},
               {"0.123456", "0.12346", "0.1234568"});
  expect_texts(R"({"exclusiveMinimum":1e-7})", {"0.000001", "1"}, {"0", "0.0000002"});
  expect_texts(R"({"minimum":1700000000000.5e-1,"maximum":999999999999.25})",
               {"170000000000.05", "999999999999.250000"}, {"170000000000.04", "999999999999.250001"});
  // A double that is read may be the bound itself, if it has as many digits.
  expect_texts(R"({"exclusiveMaximum":999999999999.5})", {"999999999998.5", "-3"},
               {"999999999999.499999", "999999999999.5"});
  expect_refused(R"({"minimum":0.7,"exclusiveMaximum":0.7})", "expected bounds with a number between them");
}

// Each hundredth, of numbers and of integers.
TEST(JsonNumbers, MultiplesAreWithoutARest) {
  struct Divisor {
    const char* text;
    std::int64_t hundredths;
  };
  for (const Divisor& divisor : std::vector<Divisor>{{"1", 100},
                                                     {"2", 200},
                                                     {"3.0", 300},
                                                     {"7", 700},
                                                     {"1e1", 1000},
                                                     {"12", 1200},
                                                     {"100", 10000},
                                                     {"250", 25000},
                                                     {"0.01", 1},
                                                     {"0.05", 5},
                                                     {"0.1", 10},
                                                     {"0.25", 25},
                                                     {"0.3", 30},
                                                     {"2.5", 250},
                                                     {"1.25", 125}}) {
    const GrammarState numbers(parse_json_schema(fmt::format(R"({{"multipleOf":{}}})", divisor.text), "s"));
    const GrammarState integers(parse_json_schema(
        fmt::format(R"({{"type":"integer","multipleOf":{},"minimum":-120}})", divisor.text), "s"));
    for (std::int64_t i = -30000; i <= 30000; ++i) {
      const bool is_multiple = i % divisor.hundredths == 0;
      if (i != 0) {
        ASSERT_EQ(is_text(numbers, written(i, 2)), is_multiple) << divisor.text << ": " << i;
        ASSERT_EQ(is_text(numbers, written(i * 10, 3) + "00"), is_multiple) << divisor.text << ": " << i;
      }
      if (i % 100 != 0) continue;
      ASSERT_EQ(is_text(numbers, written(i / 100, 0)), is_multiple) << divisor.text << ": " << i;
      ASSERT_EQ(is_text(integers, written(i / 100, 0)), is_multiple && i >= -12000)
          << divisor.text << ": " << i;
    }
    ASSERT_FALSE(is_text(integers, "0.0"));
  }
  expect_texts(R"({"multipleOf":86400,"exclusiveMinimum":0})", {"86400", "172800", "864000.0"},
               {"0", "8640", "86401", "100"});
  expect_texts(R"({"multipleOf":1000000})", {"0", "-1000000", "25000000"}, {"100000", "1500000", "00"});
  expect_texts(R"({"type":"integer","multipleOf":997})", {"0", "997", "9970000", "-1994"}, {"996", "499"});
  expect_texts(R"({"minimum":0.5,"maximum":0.75,"multipleOf":0.1})", {"0.5", "0.6", "0.7", "0.70"},
               {"0.75", "0.8", "0.4", "0.55"});
  expect_texts(R"({"multipleOf":0.000001})", {"0.000001", "5"}, {"0.0000001"});
  expect_refused(R"({"minimum":1,"maximum":4,"multipleOf":5})",
                 "expected bounds with a multiple of multipleOf between them");
  for (const char* divisor : {"0", "-1", "1001", "0.0000001", "1e16", "\"2\"", "18446744073709551615",
                              "1e308", "5e-324", "0.1001", "null"}) {
    expect_refused(fmt::format(R"({{"type":"number","multipleOf":{}}})", divisor),
                   "s: /multipleOf: expected a number above 0");
  }
}

// The most remainders with the most digits, and the same multiples in many places, which are one rule.
TEST(JsonNumbers, MultiplesAreWithinTheBoundsOfWork) {
  for (const char* keywords : {R"("multipleOf":0.997)", R"("multipleOf":9.99,"minimum":-0.5)",
                               R"("multipleOf":0.000999,"maximum":1e12)",
                               R"("type":"integer","multipleOf":999,"minimum":123456789)"}) {
    EXPECT_NO_THROW(parse_json_schema(fmt::format("{{{}}}", keywords), "s")) << keywords;
  }
  std::string properties;
  for (int i = 0; i < 40; ++i)
    properties += fmt::format(R"("p{}":{{"type":"integer","multipleOf":365}},)", i);
  EXPECT_NO_THROW(parse_json_schema(fmt::format(R"({{"properties":{{{}"q":{{}}}}}})", properties), "s"));
}

TEST(Decimal, IsWhatIsWritten) {
  const auto same = [](std::string_view text, bool is_negative, std::uint64_t digits, int exponent) {
    const Decimal found = decimal_of(text);
    EXPECT_EQ(found.is_negative, is_negative) << text;
    EXPECT_EQ(found.digits, digits) << text;
    EXPECT_EQ(found.exponent, exponent) << text;
  };
  same("0", false, 0, 0);
  same("-0.000e5", true, 0, 0);
  same("0.1", false, 1, -1);
  same("-1200", true, 12, 2);
  same("10.50", false, 105, -1);
  same("0.00250e-3", false, 25, -7);
  same("1e+30", false, 1, 30);
  same("9999999999999999999", false, 9999999999999999999U, 0);
  same("1E-0009", false, 1, -9);
  EXPECT_THAT(
      [] { decimal_of("12345678901234567891"); },
      ThrowsMessage<std::runtime_error>(HasSubstr("expected a number of at most 19 digits, found 20")));
  EXPECT_THAT(
      [] { decimal_of("1e12345"); },
      ThrowsMessage<std::runtime_error>(HasSubstr("expected an exponent of at most 4 digits, found 12345")));
}

TEST(Decimal, IsScaledDownwards) {
  const auto same = [](std::string_view text, std::int64_t units, bool has_rest) {
    const Scaled found = scaled_down(decimal_of(text), 2);
    EXPECT_EQ(found.units, units) << text;
    EXPECT_EQ(found.has_rest, has_rest) << text;
  };
  same("0", 0, false);
  same("1.25", 125, false);
  same("1.256", 125, true);
  same("-1.256", -126, true);
  same("-1.25", -125, false);
  same("1e-300", 0, true);
  same("-1e-300", -1, true);
  same("1e16", 1000000000000000000, false);
}

}  // namespace
}  // namespace llamajit::json_numbers_test
