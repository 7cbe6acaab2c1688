#include "jit/inspect/publication.h"

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jit/inspect/image.h"
#include "jit/inspect/listing.h"
#include "tests/support/elf_file.h"
#include "tests/support/toy_model.h"

// gdb's side of its JIT interface.
extern "C" {
struct JitCodeEntry {
  JitCodeEntry* next;
  JitCodeEntry* previous;
  const std::uint8_t* image;
  std::uint64_t size;
};
struct JitDescriptor {
  std::uint32_t version;
  std::uint32_t action;
  JitCodeEntry* relevant;
  JitCodeEntry* first;
};
extern JitDescriptor __jit_debug_descriptor;
}

namespace llamajit::test::publication_test {
namespace {

using jit::CodeCache;
using jit::Isa;
using jit::KernelInfo;
using jit::Tier;
using jit::inspect::Publication;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

namespace fs = std::filesystem;

// A few kernels, with constants, loops and frames among them: that each kind has a listing is others' test.
CodeCache published() {
  CodeCache cache(Isa{Tier::avx2});
  const jit::Format q4_0{jit::FormatKind::q4_0, 32};
  cache.get(jit::NormKey{77, 1e-5F});
  cache.get(jit::RopeKey{48});
  cache.get(jit::QuantizeKey{128, 32, 32, 128});
  cache.get(jit::AttentionKey{jit::ElementType::f16, 48, 2, true});
  cache.get(jit::MatvecKey{q4_0, 50, 64, jit::Epilogue::swiglu, 1});
  cache.get(jit::MatmulKey{q4_0, 50, 64, jit::Epilogue::add});
  cache.publish(true);
  return cache;
}

int registered_images() {
  int n = 0;
  for (const JitCodeEntry* entry = __jit_debug_descriptor.first; entry != nullptr; entry = entry->next) ++n;
  return n;
}

ElfFile registered_image() {
  const JitCodeEntry& entry = *__jit_debug_descriptor.first;
  return ElfFile({entry.image, entry.image + entry.size});
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) files.push_back(entry.path());
  return files;
}

unsigned permissions(const fs::path& path) {
  struct stat status {};
  EXPECT_EQ(lstat(path.c_str(), &status), 0);
  return status.st_mode & 07777;
}

class PublicationTest : public testing::Test {
 protected:
  PublicationTest() {
    setenv("XDG_RUNTIME_DIR", runtime_.path().c_str(), 1);
    setenv("TMPDIR", temporary_.path().c_str(), 1);
  }
  ~PublicationTest() override {
    unsetenv("XDG_RUNTIME_DIR");
    unsetenv("TMPDIR");
  }
  PublicationTest(const PublicationTest&) = delete;
  PublicationTest& operator=(const PublicationTest&) = delete;

  TempDirectory runtime_, temporary_;
  CodeCache cache_ = published();
};

TEST_F(PublicationTest, NothingIsWrittenOrRegisteredUnasked) {
  const Publication publication(cache_, {});
  EXPECT_EQ(registered_images(), 0);
  EXPECT_THAT(files_in(runtime_.path()), IsEmpty());
  EXPECT_THAT(files_in(temporary_.path()), IsEmpty());
  EXPECT_FALSE(fs::exists(fmt::format("/tmp/perf-{}.map", getpid())));
}

TEST_F(PublicationTest, OneImageHoldsAllKernels) {
  const Publication publication(cache_, {.gdb = true});
  ASSERT_EQ(registered_images(), 1);
  EXPECT_EQ(__jit_debug_descriptor.version, 1U);
  const ElfFile image = registered_image();
  const Elf64_Shdr& text = image.section(".text");
  EXPECT_EQ(text.sh_type, static_cast<std::uint32_t>(SHT_NOBITS));
  EXPECT_EQ(text.sh_addr, reinterpret_cast<std::uintptr_t>(cache_.address()));
  EXPECT_EQ(text.sh_size, cache_.code_bytes());
  for (const KernelInfo& kernel : cache_.kernels()) {
    EXPECT_EQ(image.symbol(kernel.name).raw.st_value, kernel.offset);
  }
}

TEST_F(PublicationTest, ListingsAreForThisUserAloneAndGoAway) {
  {
    const Publication publication(cache_, {.gdb = true});
    const std::string folder = publication.gdb_listings();
    EXPECT_EQ(fs::path(folder).parent_path(), fs::canonical(runtime_.path()));
    EXPECT_EQ(permissions(folder), 0700U);
    EXPECT_THAT(files_in(folder), SizeIs(cache_.kernels().size()));
    for (const fs::path& file : files_in(folder)) EXPECT_EQ(permissions(file), 0600U);
  }
  EXPECT_EQ(registered_images(), 0);
  EXPECT_THAT(files_in(runtime_.path()), IsEmpty());
}

TEST_F(PublicationTest, ListingsStayWhereTheyAreToBeKept) {
  const std::string keep = temporary_.path() + "/keep";
  std::string folder;
  {
    const Publication publication(cache_, {.gdb = true, .keep_listings = keep});
    folder = publication.gdb_listings();
  }
  EXPECT_EQ(fs::path(folder).parent_path(), fs::canonical(keep));
  EXPECT_THAT(files_in(folder), SizeIs(cache_.kernels().size()));
  EXPECT_THAT(files_in(runtime_.path()), IsEmpty());
}

TEST_F(PublicationTest, SeveralLeaveInAnyOrder) {
  auto first = std::make_unique<Publication>(cache_, jit::inspect::PublicationOptions{.gdb = true});
  auto second = std::make_unique<Publication>(cache_, jit::inspect::PublicationOptions{.gdb = true});
  auto third = std::make_unique<Publication>(cache_, jit::inspect::PublicationOptions{.gdb = true});
  EXPECT_EQ(registered_images(), 3);
  second.reset();
  EXPECT_EQ(registered_images(), 2);
  third.reset();
  EXPECT_EQ(registered_images(), 1);
  first.reset();
  EXPECT_EQ(registered_images(), 0);
}

TEST_F(PublicationTest, CoreFilesWillHoldTheCode) {
  const Publication publication(cache_, {.gdb = true});
  unsigned filter = 0;
  std::ifstream("/proc/self/coredump_filter") >> std::hex >> filter;
  EXPECT_NE(filter & 4U, 0U);
}

TEST_F(PublicationTest, TheScalarTierHasNothingToTell) {
  CodeCache scalar(Isa{Tier::scalar});
  scalar.get(jit::NormKey{64, 1e-5F});
  scalar.publish(true);
  const Publication publication(scalar, {.gdb = true, .perf = temporary_.path(), .perf_map = true});
  EXPECT_EQ(registered_images(), 0);
  EXPECT_THAT(files_in(temporary_.path()), IsEmpty());
}

TEST_F(PublicationTest, AFolderThatCannotBeMadeIsNamed) {
  const std::string file = temporary_.write("file", "");
  EXPECT_THAT([&] { Publication(cache_, {.perf = file + "/below"}); },
              testing::ThrowsMessage<std::runtime_error>(HasSubstr(file)));
}

// --- jitdump

template <class T>
T number_at(const std::string& bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

struct Record {
  std::uint32_t kind;
  std::string content;
};

std::vector<Record> records_of(const std::string& dump) {
  std::vector<Record> records;
  for (std::size_t at = 40; at < dump.size();) {
    const auto size = number_at<std::uint32_t>(dump, at + 4);
    records.push_back({number_at<std::uint32_t>(dump, at), dump.substr(at + 16, size - 16)});
    at += size;
  }
  return records;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Whether a mapping of the file, executable, is there for perf to see.
bool is_mapped(const std::string& path) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.ends_with(path) && line.find(" r-xp ") != std::string::npos) return true;
  }
  return false;
}

TEST_F(PublicationTest, TheJitdumpHoldsLinesFramesAndCodeOfEachKernel) {
  std::string path;
  {
    const Publication publication(cache_, {.perf = temporary_.path()});
    path = publication.jitdump();
    EXPECT_TRUE(is_mapped(path));
    EXPECT_EQ(registered_images(), 0);
  }
  EXPECT_FALSE(is_mapped(path));
  EXPECT_EQ(permissions(path), 0600U);
  EXPECT_EQ(permissions(fs::path(path).parent_path()), 0700U);
  EXPECT_EQ(fs::path(path).filename(), fmt::format("jit-{}.dump", getpid()));

  const std::string dump = read_file(path);
  EXPECT_EQ(number_at<std::uint32_t>(dump, 0), 0x4A695444U);
  EXPECT_EQ(number_at<std::uint32_t>(dump, 12), 62U);  // x86-64
  EXPECT_EQ(number_at<std::uint32_t>(dump, 20), static_cast<std::uint32_t>(getpid()));
  const std::vector<Record> records = records_of(dump);
  ASSERT_EQ(records.size(), 3 * cache_.kernels().size() + 1);
  std::size_t at = 0;
  for (const KernelInfo& kernel : cache_.kernels()) {
    const Record &lines = records[at], &unwinding = records[at + 1], &load = records[at + 2];
    at += 3;
    EXPECT_EQ(lines.kind, 2U);
    EXPECT_EQ(unwinding.kind, 4U);
    EXPECT_EQ(load.kind, 0U);
    const auto address = reinterpret_cast<std::uintptr_t>(kernel.entry);
    EXPECT_EQ(number_at<std::uint64_t>(lines.content, 0), address);
    EXPECT_EQ(number_at<std::uint64_t>(load.content, 16), address);
    EXPECT_EQ(load.content.substr(40, kernel.name.size() + 1), kernel.name + '\0');
    const std::string code = load.content.substr(40 + kernel.name.size() + 1);
    EXPECT_EQ(std::memcmp(code.data(), reinterpret_cast<const void*>(kernel.entry), code.size()), 0);
    const std::string file = fmt::format("{}/{}.s", fs::path(path).parent_path().string(), kernel.name);
    EXPECT_THAT(lines.content, HasSubstr(file));
    EXPECT_TRUE(fs::exists(file));
  }
  EXPECT_EQ(records.back().kind, 3U);
}

// --- the perf map

class PerfMap : public PublicationTest {
 protected:
  PerfMap() { fs::remove(path_); }
  ~PerfMap() override { fs::remove(path_); }
  PerfMap(const PerfMap&) = delete;
  PerfMap& operator=(const PerfMap&) = delete;

  const std::string path_ = fmt::format("/tmp/perf-{}.map", getpid());
};

TEST_F(PerfMap, NamesEachKernelsAddresses) {
  const Publication publication(cache_, {.perf_map = true});
  EXPECT_EQ(permissions(path_), 0600U);
  std::map<std::uintptr_t, std::string> names;
  std::ifstream map(path_);
  std::uintptr_t begin = 0, size = 0;
  for (std::string name; map >> std::hex >> begin >> size >> name;) names[begin] = name;
  ASSERT_EQ(names.size(), cache_.kernels().size());
  for (const KernelInfo& kernel : cache_.kernels()) {
    EXPECT_EQ(names[reinterpret_cast<std::uintptr_t>(kernel.entry)], kernel.name);
  }
}

// Anybody may make a file of that name beforehand.
TEST_F(PerfMap, IsWrittenThroughNobodysLink) {
  const std::string target = temporary_.write("target", "untouched");
  fs::create_symlink(target, path_);
  EXPECT_THAT([&] { Publication(cache_, {.perf_map = true}); },
              testing::ThrowsMessage<std::system_error>(HasSubstr(path_)));
  EXPECT_EQ(read_file(target), "untouched");
}

// --- cost

// gdb and we take one image of a thousand kernels in little time; a thousand images would take it seconds.
TEST(Publishing, AThousandKernelsInOneImage) {
  using Clock = std::chrono::steady_clock;
  constexpr int kKernels = 1000;
  CodeCache cache(Isa{Tier::avx2});
  for (int n = 1; n <= kKernels; ++n) cache.get(jit::NormKey{n, 1e-5F});
  cache.publish(true);
  std::vector<jit::inspect::ImageKernel> kernels;
  for (const KernelInfo& kernel : cache.kernels()) {
    kernels.emplace_back(jit::inspect::make_listing(cache.isa(), kernel.key), kernel.offset);
  }
  double best = 1e9;  // of several, as the machine may be busy
  for (int i = 0; i < 5; ++i) {
    const auto start = Clock::now();
    const jit::inspect::GdbRegistration registration(make_debug_image(
        kernels, "/listings", reinterpret_cast<std::uintptr_t>(cache.address()), cache.code_bytes()));
    best = std::min(best, std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    EXPECT_EQ(registered_images(), 1);
  }
  EXPECT_LT(best, 50);
}

}  // namespace
}  // namespace llamajit::test::publication_test
