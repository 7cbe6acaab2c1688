#include "jit/inspect/listing.h"

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jit/code/code_cache.h"
#include "tests/support/elf_file.h"
#include "tests/support/find_program.h"
#include "tests/support/some_keys.h"
#include "tests/support/subprocess.h"
#include "tests/support/toy_model.h"

namespace llamajit::test::listing_test {
namespace {

using jit::Isa;
using jit::KernelKey;
using jit::Tier;
using jit::inspect::Listing;
using jit::inspect::ListingLine;
using jit::inspect::make_listing;
using testing::HasSubstr;

using Kind = ListingLine::Kind;

std::string replaced(std::string text, std::string_view from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// The n-th listing as a section of its own, with labels that are its own.
std::string as_section(const Listing& listing, std::size_t n) {
  const std::string text = replaced(listing.text(), ".L", fmt::format(".L{}_", n));
  return replaced(text, "        .text\n", fmt::format("        .section .text.{},\"ax\",@progbits\n", n));
}

// What GNU as makes of listings: one run for all, as most of its time goes into starting.
std::vector<std::vector<std::uint8_t>> assembled(const std::vector<Listing>& listings) {
  const TempDirectory directory;
  std::string text;
  for (std::size_t n = 0; n < listings.size(); ++n) text += as_section(listings[n], n);
  const std::string source = directory.write("listings.s", text), object = directory.path() + "/listings.o";
  const ChildResult result = run_child({find_program("as"), source, "-o", object});
  if (result.exit_code != 0) {
    ADD_FAILURE() << result.err.substr(0, 2000);
    return {};
  }
  const ElfFile file = ElfFile::read(object);
  std::vector<std::vector<std::uint8_t>> bytes;
  for (std::size_t n = 0; n < listings.size(); ++n) bytes.push_back(file.content(fmt::format(".text.{}", n)));
  return bytes;
}

class ListingOnTier : public testing::TestWithParam<Tier> {
 protected:
  Isa isa() const { return {GetParam()}; }
};

TEST_P(ListingOnTier, AsMakesTheSameBytesOfIt) {
  LLAMAJIT_REQUIRE_PROGRAM("as");
  std::vector<Listing> listings;
  for (const KernelKey& key : listed_keys()) listings.push_back(make_listing(isa(), key));
  const auto bytes = assembled(listings);
  ASSERT_EQ(bytes.size(), listings.size());
  for (std::size_t n = 0; n < listings.size(); ++n) {
    // Compared as a whole, for a difference in one place moves all that follows.
    EXPECT_TRUE(bytes[n] == listings[n].bytes) << listings[n].name;
    EXPECT_EQ(listings[n].as_bytes, 0) << listings[n].name;
  }
}

TEST_P(ListingOnTier, ShowsEveryByteOnceAndInOrder) {
  for (const KernelKey& key : listed_keys()) {
    const Listing listing = make_listing(isa(), key);
    EXPECT_EQ(listing.bytes, generate_code(isa(), key)) << listing.name;
    std::uint32_t end = 0;
    for (const ListingLine& line : listing.lines) {
      EXPECT_EQ(line.offset, line.kind == Kind::head || line.kind == Kind::directive ? line.offset : end)
          << listing.name << ": " << to_text(line);
      end += line.size;
      if (line.kind == Kind::instruction) {
        EXPECT_LE(end, listing.code_bytes()) << listing.name;
      }
    }
    EXPECT_EQ(end, listing.bytes.size()) << listing.name;
  }
}

TEST_P(ListingOnTier, EveryRegisterThatIsComputedWithHasARole) {
  for (const KernelKey& key : listed_keys()) {
    const Listing listing = make_listing(isa(), key);
    for (const ListingLine& line : listing.lines) {
      if (line.comment.find("mm") == std::string::npos) continue;  // regular expressions take their time
      EXPECT_THAT(line.comment, Not(testing::ContainsRegex("[xyz]mm[0-9]")))
          << listing.name << ": " << to_text(line);
    }
  }
}

TEST_P(ListingOnTier, CountsWhatItShows) {
  const Listing listing = make_listing(isa(), jit::RopeKey{48});
  int instructions = 0;
  for (const ListingLine& line : listing.lines) instructions += line.kind == Kind::instruction ? 1 : 0;
  EXPECT_EQ(listing.instructions, instructions);
  EXPECT_GT(listing.vector_instructions, 0);
  EXPECT_LT(listing.vector_instructions, instructions);
  EXPECT_EQ(listing.vector_registers, isa().wide() ? 3 : 6);  // value, swapped, angle
}

INSTANTIATE_TEST_SUITE_P(Tiers, ListingOnTier, testing::ValuesIn(kGeneratingTiers),
                         [](const auto& tier) { return std::string(to_string(tier.param)); });

TEST(Listing, SpeaksInTheKernelsOwnNames) {
  const std::string text = make_listing({Tier::avx512}, jit::NormKey{77, 1e-5F}).text();
  for (const char* part :
       {"# rmsnorm_77: out = x / sqrt(mean(x^2) + eps) * weight\n",
        "# n 77, eps 1e-05, kind rms, own_weights 0, adds 0\n",
        "# args + 16    float* out                 (vectors, n), may be x unless the key adds\n",
        "# tier avx512; ", "# zmm2-zmm5    sums[way] (4)\n", "  x = args.x\n",
        "# the sum of squares, 4 ways\n", "  sums[3] += value * value\n", "  value{lanes_0_to_12} = [at]\n",
        "  sum += 1e-05\n"}) {
    EXPECT_THAT(text, HasSubstr(part)) << text;
  }
}

TEST(Listing, NamesTheHalvesOfPairs) {
  const std::string text = make_listing({Tier::avx2}, jit::NormKey{64, 1e-5F}).text();
  EXPECT_THAT(text, HasSubstr("# ymm3-ymm10   sums[way] (4), each a lower and an upper half\n"));
  EXPECT_THAT(text, HasSubstr("  sums[1].hi += value.hi * value.hi\n"));
}

TEST(Listing, LoopsAreNamedAfterTheirCounters) {
  const std::string text = make_listing({Tier::avx512vnni}, jit::QuantizeKey{128, 64, 64, 128}).text();
  EXPECT_THAT(text, testing::ContainsRegex("\n\\.Lgroups: +# 2 turns\n"));
  EXPECT_THAT(text, HasSubstr("jnz .Lgroups "));
}

TEST(Listing, NotesStandWhereTheirInstructionsBegin) {
  const Listing listing = make_listing({Tier::avx512}, jit::SoftmaxKey{64});
  for (std::size_t i = 0; i + 1 < listing.lines.size(); ++i) {
    if (listing.lines[i].kind != Kind::note) continue;
    EXPECT_EQ(listing.lines[i].offset, listing.lines[i + 1].offset) << to_text(listing.lines[i]);
  }
}

TEST(Listing, IsTextLineByLine) {
  const Listing listing = make_listing({Tier::avx2}, jit::RopeKey{8});
  std::string text;
  for (const ListingLine& line : listing.lines) text += to_text(line) + "\n";
  EXPECT_EQ(text, listing.text());
}

}  // namespace
}  // namespace llamajit::test::listing_test
