#include "runtime/base/file_replacement.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/toy_model.h"

namespace llamajit::file_replacement_test {
namespace {

namespace fs = std::filesystem;

class FileReplacementTest : public ::testing::Test {
 protected:
  fs::path at(const std::string& name) const { return folder_ / name; }
  std::string content(const std::string& name) const {
    std::ifstream file(at(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) names.push_back(entry.path().filename());
    return names;
  }
  void replace(const std::string& name, const std::string& text) const {
    FileReplacement file(at(name));
    file.write(text);
    file.commit();
  }

  test::TempDirectory directory_;
  fs::path folder_{directory_.path()};
};

TEST_F(FileReplacementTest, MakesAndReplacesFiles) {
  replace("model", "new");
  EXPECT_EQ(content("model"), "new");
  replace("model", "newer");
  EXPECT_EQ(content("model"), "newer");
  EXPECT_THAT(names(), ::testing::ElementsAre("model"));
}

TEST_F(FileReplacementTest, KeepsPermissionsAndFollowsLinks) {
  directory_.write("model", "old");
  fs::permissions(at("model"), fs::perms{0640});
  fs::create_symlink("model", at("link"));
  replace("link", "new");
  EXPECT_EQ(content("model"), "new");
  EXPECT_TRUE(fs::is_symlink(at("link")));
  EXPECT_EQ(fs::status(at("model")).permissions(), fs::perms{0640});
}

TEST_F(FileReplacementTest, MakesWhatALinkLeadsTo) {
  fs::create_directory(at("there"));
  fs::create_symlink("next", at("link"));
  fs::create_symlink(at("there") / "model", at("next"));
  EXPECT_EQ(written_file(at("link")), at("there") / "model");
  replace("link", "new");
  EXPECT_EQ(content("there/model"), "new");
  EXPECT_TRUE(fs::is_symlink(at("link")) && fs::is_symlink(at("next")));
  EXPECT_THAT(names(), ::testing::UnorderedElementsAre("link", "next", "there"));
  EXPECT_EQ(written_file("model"), "model") << "nothing is there, and no link";
}

TEST_F(FileReplacementTest, SaysWhereALinkLeadsThatCannotBeFollowed) {
  fs::create_symlink(at("none") / "model", at("link"));
  EXPECT_THAT(
      [&] { const FileReplacement file(at("link")); },
      ::testing::ThrowsMessage<std::runtime_error>(
          at("link").string() + " (a link to " + at("none").string() + "/model): No such file or directory"));
  fs::create_symlink("loop", at("loop"));
  EXPECT_THAT([&] { const FileReplacement file(at("loop")); },
              ::testing::ThrowsMessage<std::runtime_error>(at("loop").string() +
                                                           ": Too many levels of symbolic links"));
  EXPECT_THAT(names(), ::testing::UnorderedElementsAre("link", "loop"));
}

TEST_F(FileReplacementTest, WithoutCommitNothingHasHappened) {
  directory_.write("model", "old");
  {
    FileReplacement file(at("model"));
    file.write("half");
    EXPECT_EQ(content("model"), "old");
    EXPECT_EQ(file.size(), 4U);
  }
  EXPECT_EQ(content("model"), "old");
  EXPECT_THAT(names(), ::testing::ElementsAre("model"));
}

TEST_F(FileReplacementTest, RefusesWhatIsNoRegularFile) {
  for (const fs::path& path : {folder_, at("none") / "model", fs::path("/dev/null")}) {
    EXPECT_THAT([&] { const FileReplacement file(path); },
                ::testing::ThrowsMessage<std::runtime_error>(::testing::HasSubstr(path.string())))
        << path;
  }
}

TEST_F(FileReplacementTest, OfAKilledProgramNothingIsLeft) {
  const int nameless = open(folder_.c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
  if (nameless < 0) {
    ASSERT_TRUE(errno == EOPNOTSUPP || errno == EISDIR) << std::strerror(errno);
    GTEST_SKIP() << folder_ << " is on a file system without nameless files";
  }
  close(nameless);
  directory_.write("model", "old");
  const pid_t child = fork();
  if (child == 0) {
    FileReplacement file(at("model"));
    file.write("half");
    raise(SIGKILL);
  }
  ASSERT_GT(child, 0);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(content("model"), "old");
  EXPECT_THAT(names(), ::testing::ElementsAre("model"));
}

}  // namespace
}  // namespace llamajit::file_replacement_test
