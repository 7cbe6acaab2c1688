#include "jit/inspect/contract.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jit/base/fields.h"
#include "jit/base/lanes.h"
#include "jit/inspect/listing.h"
#include "tests/support/some_keys.h"

namespace llamajit::test::contract_test {
namespace {

using jit::KernelKey;
using jit::Tier;
using jit::inspect::args_field;
using jit::inspect::args_fields;
using jit::inspect::ArgsField;
using jit::inspect::kernel_formula;
using jit::inspect::key_fields;
using jit::inspect::key_text;
using jit::inspect::Listing;
using jit::inspect::ListingLine;
using jit::inspect::make_listing;
using testing::HasSubstr;

// A float in the padding of Outer would add nothing to its size.
struct Inner {
  float* a;
  std::int8_t b;
};
struct Outer {
  const float* x;
  Inner inner;
  float scale = 1;
};
static_assert(jit::count_fields<Inner>() == 2);
static_assert(jit::count_fields<Outer>() == 3);
static_assert(jit::count_fields<jit::AttentionKey>() == 11);
static_assert(jit::member_name<&Outer::scale>() == "scale");

std::size_t args_size(const KernelKey& key) {
  return std::visit([]<class Key>(const Key&) { return sizeof(typename Key::Args); }, key);
}

TEST(Contract, FieldsCoverTheWholeOfTheArgs) {
  for (const KernelKey& key : some_keys()) {
    std::size_t end = 0;
    for (const ArgsField& field : args_fields(key)) {
      // Behind a struct come its own fields, which begin where it does.
      if (field.name.find('.') == std::string::npos) {
        EXPECT_GE(field.offset, end) << kernel_name(key) << ": " << field.name;
        EXPECT_LT(field.offset - end, alignof(void*)) << kernel_name(key) << ": " << field.name;
        end = field.offset + field.size;
      } else {
        EXPECT_LE(field.offset + field.size, end) << kernel_name(key) << ": " << field.name;
      }
    }
    EXPECT_EQ(jit::round_up(static_cast<std::int64_t>(end), alignof(void*)),
              static_cast<std::int64_t>(args_size(key)))
        << kernel_name(key);
  }
}

TEST(Contract, KnowsNameOffsetTypeAndMeaningOfAField) {
  const KernelKey key = jit::NormKey{64, 1e-5F};
  const std::vector<ArgsField>& fields = args_fields(key);
  ASSERT_EQ(fields.size(), 5U);
  EXPECT_EQ(fields[3].name, "bias");
  EXPECT_EQ(fields[3].offset, offsetof(jit::NormArgs, bias));
  EXPECT_EQ(fields[3].size, sizeof(const float*));
  EXPECT_EQ(fields[3].type, "const float*");
  EXPECT_EQ(fields[3].meaning, "(n), where kind is layer");
}

TEST(Contract, NamesTheInnermostFieldAtAnOffset) {
  const KernelKey key = jit::MatvecKey{{jit::FormatKind::q4_k, 256}, 64, 256, jit::Epilogue::store};
  constexpr std::size_t kXq = offsetof(jit::MatvecArgs, xq);
  EXPECT_EQ(args_field(key, kXq), "xq.codes");
  EXPECT_EQ(args_field(key, kXq + offsetof(jit::QuantizedArgs, subsums)), "xq.subsums");
  EXPECT_EQ(args_field(key, offsetof(jit::MatvecArgs, out)), "out");
  EXPECT_EQ(args_field(key, offsetof(jit::MatvecArgs, out) + 4), "");
  EXPECT_EQ(args_field(key, sizeof(jit::MatvecArgs)), "");
  EXPECT_EQ(args_field(key, -8), "");
}

TEST(Contract, SaysWhatEveryFieldIs) {
  for (const KernelKey& key : some_keys()) {
    for (const ArgsField& field : args_fields(key)) {
      EXPECT_NE(field.meaning, "") << kernel_name(key) << ": " << field.name;
    }
  }
}

TEST(Contract, KeysThatDifferDifferInWords) {
  const std::vector<KernelKey> keys = some_keys();
  std::set<std::string> words;
  for (const KernelKey& key : keys) words.insert(kernel_name(key).substr(0, 5) + key_text(key));
  EXPECT_EQ(words.size(), std::set<KernelKey>(keys.begin(), keys.end()).size());
  EXPECT_EQ(key_text(jit::NormKey{64, 1e-5F, jit::NormKind::layer}),
            "n 64, eps 1e-05, kind layer, own_weights 0, adds 0");
  EXPECT_EQ(key_text(jit::MatmulKey{
                {jit::FormatKind::f32, 0}, 50, 71, jit::Epilogue::add, {.scale = true, .bias = true}}),
            "format f32, rows 50, cols 71, epilogue add, affine scale and bias");
}

class ContractOnTier : public testing::TestWithParam<Tier> {};

// An instruction that reads the Args at an offset where no field begins shows a sum of the register there.
TEST_P(ContractOnTier, EveryReadOfTheArgsIsThatOfAField) {
  for (const KernelKey& key : listed_keys()) {
    for (const ListingLine& line : make_listing({GetParam()}, key).lines) {
      // Without a matcher: there are hundreds of thousands of lines.
      if (line.comment.find("[args") == std::string::npos) continue;
      ADD_FAILURE() << kernel_name(key) << ": " << to_text(line);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tiers, ContractOnTier, testing::ValuesIn(kGeneratingTiers),
                         [](const auto& tier) { return std::string(to_string(tier.param)); });

TEST(Contract, ListingsNameEveryField) {
  for (const KernelKey& key : listed_keys()) {
    const std::string text = make_listing({Tier::avx2}, key).text();
    for (const ArgsField& field : args_fields(key)) {
      EXPECT_THAT(text, HasSubstr(field.type + " " + field.name)) << kernel_name(key);
    }
    for (const auto& [name, value] : key_fields(key)) {
      EXPECT_THAT(text, HasSubstr(name + " ")) << kernel_name(key);
    }
  }
}

// Formulas speak of fields, else in these words.
const std::set<std::string> kWords = {
    // mathematics
    "S", "cos", "d", "e", "even", "exp", "g", "gate", "gelu", "keys", "max", "mean", "min", "odd", "p",
    "round", "s", "sigmoid", "silu", "sin", "softmax", "softplus", "sqrt", "sum", "t", "tanh", "u", "up",
    "values",
    // types of numbers
    "bf16", "f16", "f32", "q8_0",
    // English
    "all", "and", "as", "ascending", "attention", "bit", "by", "divided", "each", "first", "for", "from",
    "head", "in", "into", "is", "its", "largest", "last", "of", "on", "one", "over", "pair", "place",
    "position", "query", "range", "rounded", "row", "set", "stay", "the", "their", "to", "vector", "where"};

// "silu(gate x) * 2" is "silu", "gate", "x".
std::vector<std::string> names_in(std::string_view formula) {
  std::vector<std::string> names;
  std::string name;
  for (const char c : std::string(formula) + " ") {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_') {
      name += c;
      continue;
    }
    if (!name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0) names.push_back(name);
    name.clear();
  }
  return names;
}

// "xq.codes" is "xq" and "codes"; a Cursor's fields belong to those who have one.
std::set<std::string> field_names(const KernelKey& key) {
  std::set<std::string> names;
  for (const ArgsField& field : args_fields(key)) {
    for (const std::string& name : names_in(field.name)) names.insert(name);
    if (field.type != "const Cursor*") continue;
    jit::Cursor::fields().for_each([&](const auto& part) { names.emplace(part.kName); });
  }
  for (const auto& [name, value] : key_fields(key)) names.insert(name);
  return names;
}

TEST(Contract, FormulasNameNothingThatIsNoField) {
  for (const KernelKey& key : some_keys()) {
    const std::set<std::string> fields = field_names(key);
    for (const std::string& name : names_in(kernel_formula(key))) {
      EXPECT_TRUE(fields.contains(name) || kWords.contains(name))
          << kernel_name(key) << ": " << name << " in " << kernel_formula(key);
    }
  }
}

// A word that is a field somewhere, or that no formula needs, would hide a name that is gone.
TEST(Contract, WordsOfFormulasAreNeededAndNoFields) {
  std::set<std::string> spoken, fields;
  for (const KernelKey& key : some_keys()) {
    for (const std::string& name : names_in(kernel_formula(key))) spoken.insert(name);
    fields.merge(field_names(key));
  }
  for (const std::string& word : kWords) {
    EXPECT_TRUE(spoken.contains(word)) << word;
    EXPECT_FALSE(fields.contains(word)) << word;
  }
}

}  // namespace
}  // namespace llamajit::test::contract_test
