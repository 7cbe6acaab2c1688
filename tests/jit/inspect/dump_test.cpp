// The folder that other programs read: kernels.o is linked and run, its lines and frames are read back.
#include "jit/inspect/dump.h"

#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include <dlfcn.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "jit/code/code_cache.h"
#include "tests/support/elf_file.h"
#include "tests/support/find_program.h"
#include "tests/support/some_keys.h"
#include "tests/support/subprocess.h"
#include "tests/support/toy_model.h"

namespace llamajit::test::dump_test {
namespace {

using jit::Isa;
using jit::KernelKey;
using jit::Tier;
using jit::inspect::dump_kernels;
using jit::inspect::Listing;
using jit::inspect::ListingLine;
using testing::HasSubstr;

std::vector<Listing> some_listings(Isa isa) {
  std::vector<Listing> out;
  for (const KernelKey& key : some_keys()) out.push_back(jit::inspect::make_listing(isa, key));
  return out;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class Dump : public testing::Test {
 protected:
  // A dump of some kernels, the same for each test.
  static void SetUpTestSuite() {
    directory_ = std::make_unique<TempDirectory>();
    listings_ = some_listings({Tier::avx2});
    dump_kernels(listings_, {Tier::avx2}, "model.bin", path());
  }
  static void TearDownTestSuite() { directory_.reset(); }
  static std::string path() { return directory_->path() + "/dump"; }

  static inline std::unique_ptr<TempDirectory> directory_;
  static inline std::vector<Listing> listings_;
};

TEST_F(Dump, HashesAndSizesAreThoseOfTheFiles) {
  LLAMAJIT_REQUIRE_PROGRAM("sha256sum");
  const auto manifest = nlohmann::json::parse(read_file(path() + "/manifest.json"));
  EXPECT_EQ(manifest["model"], "model.bin");
  EXPECT_EQ(manifest["isa"], "avx2");
  ASSERT_EQ(manifest["kernels"].size(), listings_.size());
  std::string expected;
  for (const auto& kernel : manifest["kernels"]) {
    const std::string file = fmt::format("{}/{}.bin", path(), kernel["name"].get<std::string>());
    expected += fmt::format("{}  {}\n", kernel["sha256"].get<std::string>(), file);
    EXPECT_EQ(kernel["size"], std::filesystem::file_size(file));
  }
  const std::string list = directory_->write("hashes", expected);
  const ChildResult result = run_child({find_program("sha256sum"), "--quiet", "-c", list});
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
}

TEST_F(Dump, KeysAreWrittenOut) {
  const auto manifest = nlohmann::json::parse(read_file(path() + "/manifest.json"));
  for (const auto& kernel : manifest["kernels"]) {
    if (kernel["name"] != "matvec_int8_43_50x172_swiglu_streams2") continue;
    EXPECT_EQ(kernel["key"], (nlohmann::json{{"format", "int8/43"},
                                             {"rows", 50},
                                             {"cols", 172},
                                             {"epilogue", "swiglu"},
                                             {"streams", 2},
                                             {"affine", "none"},
                                             {"tokens", 1}}));
    return;
  }
  ADD_FAILURE() << "no such kernel";
}

TEST_F(Dump, TheObjectHoldsEachKernelAtItsOffset) {
  const auto manifest = nlohmann::json::parse(read_file(path() + "/manifest.json"));
  const ElfFile object = ElfFile::read(path() + "/kernels.o");
  const std::vector<std::uint8_t> text = object.content(".text");
  for (std::size_t i = 0; i < listings_.size(); ++i) {
    const std::size_t offset = manifest["kernels"][i]["offset"];
    const std::vector<std::uint8_t>& bytes = listings_[i].bytes;
    const Elf64_Sym symbol = object.symbol(listings_[i].name).raw;
    EXPECT_EQ(symbol.st_value, offset);
    EXPECT_EQ(symbol.st_size, listings_[i].code_bytes());
    ASSERT_LE(offset + bytes.size(), text.size());
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), text.begin() + static_cast<std::ptrdiff_t>(offset)));
  }
}

// The lines are compared for every instruction of every kernel.
TEST_F(Dump, LinesAreThoseOfTheListings) {
  LLAMAJIT_REQUIRE_PROGRAM("addr2line");
  const ElfFile object = ElfFile::read(path() + "/kernels.o");
  std::string addresses, expected;
  for (const Listing& listing : listings_) {
    const std::uint64_t begin = object.symbol(listing.name).raw.st_value;
    for (std::size_t i = 0; i < listing.lines.size(); ++i) {
      if (listing.lines[i].kind != ListingLine::Kind::instruction) continue;
      addresses += fmt::format("{:#x}\n", begin + listing.lines[i].offset);
      expected += fmt::format("{0}\n{1}/{0}.s:{2}\n", listing.name,
                              std::filesystem::canonical(path()).string(), i + 1);
    }
  }
  ChildOptions options;
  options.input = addresses;
  const ChildResult result =
      run_child({find_program("addr2line"), "-f", "-j", ".text", "-e", path() + "/kernels.o"}, options);
  EXPECT_TRUE(result.out == expected) << result.out.substr(0, 500) << result.err;
}

TEST_F(Dump, FramesAreUnderstood) {
  LLAMAJIT_REQUIRE_PROGRAM("readelf");
  const ChildResult result =
      run_child({find_program("readelf"), "--debug-dump=frames-interp", path() + "/kernels.o"});
  EXPECT_EQ(result.err, "");
  // A kernel that saves all that there is, in the middle and at its end.
  EXPECT_THAT(result.out, HasSubstr("rbp+16   c-24  c-16  c-32  c-40  c-48  c-56  c-8"));
  EXPECT_THAT(result.out, HasSubstr("rsp+8    u     u     u     u     u     u     c-8"));
}

// With a linker the kernels become functions of any program.
TEST_F(Dump, LinkedKernelsComputeWhatTheirTwinsDo) {
  LLAMAJIT_REQUIRE_PROGRAM("ld");
  if (jit::host_tiers().size() == 1) GTEST_SKIP() << "this CPU has no AVX2";
  const std::string library = directory_->path() + "/kernels.so";
  const ChildResult linked =
      run_child({find_program("ld"), "-shared", "-z", "text", path() + "/kernels.o", "-o", library});
  ASSERT_EQ(linked.exit_code, 0) << linked.err;
  EXPECT_EQ(linked.err, "");
  void* const handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(handle, nullptr) << dlerror();
  const jit::NormKey key{77, 1e-5F};
  const auto kernel = reinterpret_cast<jit::KernelEntry>(dlsym(handle, "rmsnorm_77"));
  ASSERT_NE(kernel, nullptr);
  std::vector<float> x(77), weight(77, 1.5F), out(77), expected(77);
  std::iota(x.begin(), x.end(), -30.0F);
  const jit::NormArgs args{x.data(), weight.data(), out.data()};
  kernel(&args, nullptr);
  const jit::NormArgs twin{x.data(), weight.data(), expected.data()};
  jit::run_reference(key, &twin);
  EXPECT_EQ(out, expected);
  dlclose(handle);
}

TEST_F(Dump, AFolderWithFilesIsLeftAlone) {
  EXPECT_THAT([&] { dump_kernels(listings_, {Tier::avx2}, "model.bin", directory_->path()); },
              testing::ThrowsMessage<std::runtime_error>(
                  testing::AllOf(HasSubstr(directory_->path()), HasSubstr("empty folder"))));
}

}  // namespace
}  // namespace llamajit::test::dump_test
