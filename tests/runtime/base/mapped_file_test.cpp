#include "runtime/base/mapped_file.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/temp_file.h"

namespace llamajit::mapped_file_test {
namespace {

using test::TempFile;
using ::testing::HasSubstr;

const auto kPage = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));

std::string error_of(const std::string& path) {
  try {
    MappedFile file(path);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "no error";
}

std::string error_of(const MappedFile& file) {
  try {
    file.check_intact();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "no error";
}

TEST(MappedFile, ShowsTheWholeFile) {
  const TempFile temp("hello");
  const MappedFile file(temp.path());
  ASSERT_EQ(file.bytes().size(), 5U);
  EXPECT_EQ(std::memcmp(file.bytes().data(), "hello", 5), 0);
  EXPECT_EQ(file.path(), temp.path());
  EXPECT_EQ(error_of(file), "no error");
}

TEST(MappedFile, MovesItsMapping) {
  const TempFile temp("hello"), other("world!");
  MappedFile first(temp.path());
  MappedFile second(std::move(first));
  EXPECT_TRUE(first.bytes().empty());  // NOLINT: a moved-from mapping is empty by contract
  EXPECT_EQ(second.bytes().size(), 5U);
  second = MappedFile(other.path());
  EXPECT_EQ(second.bytes().size(), 6U);
  second = MappedFile();
  EXPECT_TRUE(second.bytes().empty());
  EXPECT_EQ(error_of(second), "no error");
}

TEST(MappedFile, SaysWhyItCannotMap) {
  EXPECT_THAT(error_of("/nonexistent/model.bin"),
              HasSubstr("/nonexistent/model.bin: cannot open: No such file"));
  EXPECT_THAT(error_of("/tmp"), HasSubstr("/tmp: expected a regular file, found a directory"));
  EXPECT_THAT(error_of("/dev/null"), HasSubstr("expected a regular file"));
  const TempFile empty("");
  EXPECT_THAT(error_of(empty.path()), HasSubstr(empty.path() + ": expected data, found an empty file"));
  if (::geteuid() != 0) {
    const TempFile secret("x");
    ::chmod(secret.path().c_str(), 0);
    EXPECT_THAT(error_of(secret.path()), HasSubstr("Permission denied"));
  }
}

TEST(MappedFile, DoesNotWaitForAPipe) {
  const TempFile temp("");
  const std::string pipe = temp.path() + ".pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(error_of(pipe), HasSubstr("expected a regular file"));
  std::filesystem::remove(pipe);
}

TEST(MappedFile, TruncatedWhileMappedReadsZerosAndIsReported) {
  TempFile temp(std::string(64 * kPage, 'x'));
  const MappedFile file(temp.path());
  temp.resize(kPage);
  EXPECT_EQ(file.bytes()[3 * kPage + 5], std::byte{0});
  for (const std::byte b : file.bytes().subspan(kPage)) ASSERT_EQ(b, std::byte{0});
  EXPECT_EQ(file.bytes()[5], std::byte{'x'});  // what is still there stays
  EXPECT_THAT(error_of(file), HasSubstr(temp.path()));
  EXPECT_THAT(error_of(file), HasSubstr("truncated"));
}

TEST(MappedFile, NoticesATruncationBeforeAnyFault) {
  TempFile temp(std::string(100, 'x'));
  const MappedFile file(temp.path());
  temp.resize(99);
  EXPECT_THAT(error_of(file), HasSubstr("expected 100 bytes, found 99"));
}

TEST(MappedFile, RemembersAFaultWhenTheFileGrewAgain) {
  TempFile temp(std::string(4 * kPage, 'x'));
  MappedFile file(temp.path());
  temp.resize(kPage);
  EXPECT_EQ(file.bytes()[2 * kPage], std::byte{0});
  temp.resize(4 * kPage);
  EXPECT_THAT(error_of(file), HasSubstr(temp.path()));
  file = MappedFile(temp.path());  // a new mapping is a new start
  EXPECT_EQ(error_of(file), "no error");
}

TEST(MappedFile, ThreadsMayMeetTheTruncationTogether) {
  TempFile temp(std::string(256 * kPage, 'x'));
  const MappedFile file(temp.path());
  temp.resize(kPage);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t page = 255 - t; page >= 2; page -= 2)
        EXPECT_EQ(file.bytes()[page * kPage], std::byte{0});
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(error_of(file), HasSubstr(temp.path()));
}

// Returns how much of the mapping is in this process's memory, in KiB.
int resident_kib(const MappedFile& file) {
  std::ifstream smaps("/proc/self/smaps");
  const std::string begin = fmt::format("{:x}-", reinterpret_cast<std::uintptr_t>(file.bytes().data()));
  bool found = false;
  for (std::string line; std::getline(smaps, line);) {
    found = found || line.starts_with(begin);
    if (found && line.starts_with("Rss:")) return std::stoi(line.substr(4));
  }
  return -1;
}

TEST(MappedFile, DroppedPagesAreReadAgain) {
  const TempFile temp(std::string(kPage * 64, 'x'));
  const MappedFile file(temp.path());
  EXPECT_EQ(std::ranges::count(file.bytes(), std::byte{'x'}), static_cast<std::ptrdiff_t>(kPage * 64));
  EXPECT_GE(resident_kib(file), static_cast<int>(kPage * 64 / 1024));
  file.drop_pages();
  EXPECT_EQ(resident_kib(file), 0);
  EXPECT_EQ(file.bytes().back(), std::byte{'x'});
  EXPECT_EQ(error_of(file), "no error");
}

// Only pages that lie in the bytes as a whole are let go, and only this file's.
TEST(MappedFile, PagesOfSomeBytesAreDropped) {
  const TempFile temp(std::string(kPage * 64, 'x')), other_temp(std::string(kPage * 64, 'y'));
  const MappedFile file(temp.path()), other(other_temp.path());
  const auto touch = [](const MappedFile& f) { return std::ranges::count(f.bytes(), f.bytes().front()); };
  ASSERT_EQ(touch(file), static_cast<std::ptrdiff_t>(kPage * 64));
  ASSERT_EQ(touch(other), static_cast<std::ptrdiff_t>(kPage * 64));
  const int kAll = static_cast<int>(kPage * 64 / 1024), kOne = static_cast<int>(kPage / 1024);
  file.drop_pages(file.bytes().subspan(1, 2 * kPage - 2));  // no whole page
  file.drop_pages(other.bytes());
  file.drop_pages({});
  EXPECT_EQ(resident_kib(file), kAll);
  EXPECT_EQ(resident_kib(other), kAll);
  file.drop_pages(file.bytes().subspan(kPage - 1, 3 * kPage));  // pages 1 and 2
  EXPECT_EQ(resident_kib(file), kAll - 2 * kOne);
  file.drop_pages(file.bytes().subspan(32 * kPage));
  EXPECT_EQ(resident_kib(file), kAll - 34 * kOne);
  EXPECT_EQ(touch(file), static_cast<std::ptrdiff_t>(kPage * 64));
  EXPECT_EQ(error_of(file), "no error");
}

TEST(MappedFile, HasALimitOfMappingsAndFreesThem) {
  const TempFile temp("hello");
  for (int round = 0; round < 2; ++round) {
    std::vector<MappedFile> files;
    std::string error = "no error";
    try {
      for (int i = 0; i < 257; ++i) files.emplace_back(temp.path());
    } catch (const std::runtime_error& e) {
      error = e.what();
    }
    EXPECT_EQ(files.size(), 256U);
    EXPECT_THAT(error, HasSubstr("at most 256 mapped files"));
  }
}

// Reads a page that a truncation took away from a mapping that is none of ours.
void fault_elsewhere() {
  TempFile temp(std::string(2 * kPage, 'x'));
  const int fd = ::open(temp.path().c_str(), O_RDONLY);
  const auto* data =
      static_cast<const volatile char*>(::mmap(nullptr, 2 * kPage, PROT_READ, MAP_PRIVATE, fd, 0));
  temp.resize(0);
  const char lost = data[kPage];
  static_cast<void>(lost);
}

// These run in a fresh process, where no handler is installed yet.
class MappedFileDeathTest : public ::testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(MappedFileDeathTest, AFaultElsewhereStillKills) {
  const TempFile temp("hello");
  EXPECT_DEATH(
      {
        const MappedFile file(temp.path());
        fault_elsewhere();
      },
      "");
}

TEST_F(MappedFileDeathTest, ASignalSentStillKills) {
  const TempFile temp("hello");
  EXPECT_DEATH(
      {
        const MappedFile file(temp.path());
        ::kill(::getpid(), SIGBUS);
        std::this_thread::sleep_for(std::chrono::seconds(5));
      },
      "");
}

TEST_F(MappedFileDeathTest, TheEarlierHandlerGetsWhatIsNotOurs) {
  const TempFile temp("hello");
  EXPECT_EXIT(
      {
        ::signal(SIGBUS, [](int) { ::_exit(42); });
        const MappedFile file(temp.path());
        fault_elsewhere();
      },
      ::testing::ExitedWithCode(42), "");
}

}  // namespace
}  // namespace llamajit::mapped_file_test
