// Packed weights: the same bits as weights that are packed at load, and a file that is of another model, or cut
// short, is refused.
#include "runtime/forward/packed_file.h"

#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jit/inspect/sha256.h"
#include "runtime/files/model_reader.h"
#include "runtime/forward/engine.h"
#include "tests/support/family_writer.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/random_matrix.h"
#include "tests/support/temp_file.h"

namespace llamajit::packed_file_test {
namespace {

using test::TempFile;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::string packed(const ModelFile& file, Bf16Products bf16 = Bf16Products::stored_so) {
  Team team(2);
  const Weights weights(file, team, bf16);
  std::string bytes;
  write_packed(packed_key(file, bf16), {weights.data(), weights.bytes()},
               [&](std::span<const std::byte> some) {
                 bytes.append(reinterpret_cast<const char*>(some.data()), some.size());
               });
  return bytes;
}

std::string content_of(const test::FamilyFile& family, std::uint64_t seed = 3) {
  return test::family_gguf(family, test::small_config(family), seed).content();
}

std::vector<float> logits_of(Engine& engine) {
  engine.feed_all(std::vector<TokenId>{3, 4, 5, 6, 7}, 0);
  engine.feed(8, 5, true);
  return {engine.logits().begin(), engine.logits().end()};
}

class Packed : public ::testing::Test {
 protected:
  Packed() : temp_(content_of({.name = "llama"})), file_(read_model(temp_.path())), packed_(packed(file_)) {}

  static EngineOptions mapping(const std::string& path) {
    EngineOptions options{.isa = {jit::host_tiers().back()}};
    options.packed = path;
    return options;
  }
  void expect_refused(const std::string& content, const std::string& field, const std::string& found) const {
    const TempFile file(content);
    EXPECT_THAT([&] { const Engine engine(file_, mapping(file.path())); },
                ThrowsMessage<std::runtime_error>(
                    AllOf(HasSubstr(file.path()), HasSubstr(field), HasSubstr("found " + found))));
  }

  TempFile temp_;
  ModelFile file_;
  std::string packed_;
};

TEST(PackedFamilies, GiveTheBitsOfWeightsThatArePackedAtLoad) {
  for (const test::FamilyFile& family : test::kFamilyFiles) {
    SCOPED_TRACE(family.name);
    const TempFile model(content_of(family));
    const ModelFile file = read_model(model.path());
    const TempFile weights(packed(file));
    EngineOptions options{.isa = {jit::host_tiers().back()}, .threads = 2};
    Engine at_load(file, options);
    options.packed = weights.path();
    Engine mapped(file, options);
    EXPECT_TRUE(mapped.weights().is_mapped());
    EXPECT_EQ(mapped.weights().bytes(), at_load.weights().bytes());
    EXPECT_EQ(logits_of(mapped), logits_of(at_load));
  }
}

// A file that was packed by another version of the program has its bytes elsewhere. Where this test fails, the layout
// has changed: kLayoutVersion (packed_file.cpp) is to be raised, and the hash here to be replaced. A new format that
// leaves the others' tiles as they are only replaces the hash.
TEST(PackedLayout, IsTheOneOfItsVersion) {
  std::string all;
  const auto add = [&](const std::string& model) {
    const TempFile temp(model);
    all += packed(read_model(temp.path())).substr(kPackedHeader);
  };
  for (const test::FamilyFile& family : test::kFamilyFiles) add(content_of(family));
  std::mt19937_64 random(6);
  for (const jit::Format format : jit::ggml_formats()) {
    const std::vector<std::byte> tiles = test::RandomMatrix(format, 35, 512, random).packed();
    all.append(reinterpret_cast<const char*>(tiles.data()), tiles.size());
  }
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(all.data());
  EXPECT_EQ(jit::inspect::sha256({bytes, all.size()}),
            "7cb88c8c99bce4d317f5da421c44f3954c8db20c26f8aceca4c05ca6c12b0104");
}

TEST_F(Packed, IsOfOneModelAndItsOptions) {
  const TempFile other_model(content_of({.name = "llama"}, 4));
  expect_refused(packed(read_model(other_model.path())), "key: expected", "");
  expect_refused(packed(file_, Bf16Products::all_floats), "key: expected", "");
}

TEST_F(Packed, IsCheckedBeforeItIsUsed) {
  expect_refused("llamajit", "beginning", "another");
  std::string other = packed_;
  other.front() = 'L';
  expect_refused(other, "beginning", "another");
  expect_refused(packed_.substr(0, kPackedHeader - 1), "beginning", "another");
  const std::size_t bytes = packed_.size() - kPackedHeader;
  expect_refused(packed_.substr(0, packed_.size() - 1), "weights", fmt::to_string(bytes - 1));
  expect_refused(packed_ + "x", "weights", fmt::to_string(bytes + 1));
  std::string shorter = packed_.substr(0, packed_.size() - 64);
  const std::uint64_t said = bytes - 64;
  shorter.replace(80, 8, test::bytes_of(said));
  expect_refused(shorter, "weights", fmt::to_string(bytes - 64));
}

TEST_F(Packed, IsMissedWhenItIsCutShort) {
  const TempFile weights(packed_);
  Engine engine(file_, mapping(weights.path()));
  logits_of(engine);
  std::filesystem::resize_file(weights.path(), kPackedHeader + 64);
  EXPECT_THAT([&] { engine.feed(3, 0, true); },
              ThrowsMessage<std::runtime_error>(AllOf(HasSubstr(weights.path()), HasSubstr("truncated"))));
  EXPECT_THAT(
      [&] {
        engine.feed_all(std::vector<TokenId>{3, 4}, 0);
      },
      ThrowsMessage<std::runtime_error>(HasSubstr("truncated")));
}

}  // namespace
}  // namespace llamajit::packed_file_test
