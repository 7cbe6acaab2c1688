// Files of importance matrices: both forms, what is added up, and what is refused.
#include "runtime/files/importance_matrix.h"

#include <fstream>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "tests/support/damage.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::test::importance_matrix_test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string floats(const std::vector<float>& values) {
  std::string bytes;
  for (const float value : values) bytes += bytes_of(value);
  return bytes;
}

std::string text(std::string_view of) {
  return bytes_of(static_cast<std::int32_t>(of.size())) + std::string(of);
}

std::string dat_entry(std::string_view name, std::int32_t chunks, const std::vector<float>& values) {
  return text(name) + bytes_of(chunks) + bytes_of(static_cast<std::int32_t>(values.size())) + floats(values);
}

// As llama.cpp writes them.
std::string dat_file() {
  return bytes_of(std::int32_t{2}) + dat_entry("blk.0.attn_q.weight", 4, {4, 8, 0.5F}) +
         dat_entry("blk.0.ffn_down_exps.weight", 4, {1, 2, 3, 4, 5, 6}) + bytes_of(std::int32_t{4}) +
         text("some text.txt");
}

GgufWriter gguf_file() {
  GgufWriter w;
  w.add("general.type", "imatrix");
  w.add("imatrix.datasets", std::vector<std::string>{"one.txt", "two.txt"});
  w.add("imatrix.chunk_count", 4);
  w.add("imatrix.chunk_size", 512);
  w.add_tensor("blk.0.attn_q.weight.in_sum2", {3, 1}, kF32, floats({4, 8, 0.5F}));
  w.add_tensor("blk.0.attn_q.weight.counts", {1, 1}, kF32, floats({2048}));
  w.add_tensor("blk.0.attn_q.weight.in_sum", {3, 1}, kF32, floats({-4, 8, 0.5F}));
  w.add_tensor("blk.0.ffn_down_exps.weight.in_sum2", {3, 2}, kF32, floats({1, 2, 3, 4, 5, 6}));
  w.add_tensor("blk.0.ffn_down_exps.weight.counts", {1, 2}, kF32, floats({9, 0}));
  return w;
}

void expect_refused(const std::string& content, const std::string& message) {
  const TempFile temp(content);
  try {
    read_importance_matrix(temp.path());
    ADD_FAILURE() << "expected: " << message;
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr(temp.path() + ": "), HasSubstr(message)));
  }
}

TEST(ImportanceMatrixFile, OfTheOlderForm) {
  const TempFile temp(dat_file());
  const ImportanceMatrix matrix = read_importance_matrix(temp.path());
  ASSERT_EQ(matrix.entries.size(), 2);
  EXPECT_THAT(matrix.entries.at("blk.0.attn_q.weight").sums, ElementsAre(4, 8, 0.5F));
  EXPECT_THAT(matrix.entries.at("blk.0.attn_q.weight").counts, ElementsAre(4));
  EXPECT_EQ(matrix.entries.at("blk.0.ffn_down_exps.weight").sums.size(), 6);
  EXPECT_EQ(matrix.chunks, 4);
  EXPECT_EQ(matrix.chunk_size, 0);
  EXPECT_THAT(matrix.datasets, ElementsAre("some text.txt"));
}

// Files of 2023 have neither chunks nor dataset.
TEST(ImportanceMatrixFile, OfTheOldestForm) {
  const std::string entries = bytes_of(std::int32_t{1}) + dat_entry("output.weight", 7, {1});
  const TempFile temp(entries), with_chunks(entries + bytes_of(std::int32_t{7}));
  EXPECT_EQ(read_importance_matrix(temp.path()).chunks, 0);
  EXPECT_EQ(read_importance_matrix(with_chunks.path()).chunks, 7);
}

TEST(ImportanceMatrixFile, OfTheNewerForm) {
  const TempFile temp(gguf_file().content());
  const ImportanceMatrix matrix = read_importance_matrix(temp.path());
  ASSERT_EQ(matrix.entries.size(), 2);
  EXPECT_THAT(matrix.entries.at("blk.0.attn_q.weight").sums, ElementsAre(4, 8, 0.5F));
  EXPECT_THAT(matrix.entries.at("blk.0.attn_q.weight").counts, ElementsAre(2048));
  EXPECT_THAT(matrix.entries.at("blk.0.ffn_down_exps.weight").counts, ElementsAre(9, 0));
  EXPECT_EQ(matrix.chunks, 4);
  EXPECT_EQ(matrix.chunk_size, 512);
  EXPECT_THAT(matrix.datasets, ElementsAre("one.txt", "two.txt"));
}

TEST(ImportanceMatrixFile, WrittenAndReadAgain) {
  const TempDirectory directory;
  const std::string gguf = directory.path() + "/a.gguf", dat = directory.path() + "/a.dat";
  const TempFile temp(gguf_file().content());
  const ImportanceMatrix matrix = read_importance_matrix(temp.path());
  write_importance_matrix(matrix, gguf, ImportanceForm::gguf);
  const ImportanceMatrix again = read_importance_matrix(gguf);
  EXPECT_EQ(again.datasets, matrix.datasets);
  EXPECT_EQ(again.chunks, 4);
  EXPECT_EQ(again.chunk_size, 512);
  for (const auto& [name, entry] : matrix.entries) {
    EXPECT_EQ(again.entries.at(name).sums, entry.sums);
    EXPECT_EQ(again.entries.at(name).counts, entry.counts);
  }
  write_importance_matrix(matrix, dat, ImportanceForm::dat);
  const ImportanceMatrix older = read_importance_matrix(dat);
  EXPECT_THAT(older.datasets, ElementsAre("two.txt"));
  // Means times chunks, of which 9 inputs begin one; and 1 where there was no input.
  EXPECT_THAT(older.entries.at("blk.0.attn_q.weight").sums, ElementsAre(4.0F / 512, 8.0F / 512, 0.5F / 512));
  EXPECT_THAT(older.entries.at("blk.0.ffn_down_exps.weight").sums,
              ElementsAre(1.0F / 9, 2.0F / 9, 3.0F / 9, 1, 1, 1));
  EXPECT_THAT(older.entries.at("blk.0.ffn_down_exps.weight").counts, ElementsAre(1));
  EXPECT_THAT(content_of(dat).substr(0, 4), bytes_of(std::int32_t{2}));
}

TEST(ImportanceMatrixSum, TakesBothForms) {
  const TempFile newer(gguf_file().content()), older(dat_file());
  ImportanceMatrix sum;
  sum.chunk_size = 512;
  for (const TempFile* const file : {&newer, &older})
    sum.add(read_importance_matrix(file->path()), file->path());
  EXPECT_EQ(sum.chunks, 8);
  EXPECT_THAT(sum.datasets, ElementsAre("one.txt", "two.txt", "some text.txt"));
  EXPECT_THAT(sum.entries.at("blk.0.attn_q.weight").sums, ElementsAre(4 + 4 * 512, 8 + 8 * 512, 256.5F));
  EXPECT_THAT(sum.entries.at("blk.0.attn_q.weight").counts, ElementsAre(2048 + 4 * 512));
  EXPECT_THAT(sum.entries.at("blk.0.ffn_down_exps.weight").counts, ElementsAre(9 + 2048, 2048));
}

TEST(ImportanceMatrixSum, RefusesOtherSizes) {
  ImportanceMatrix sum, other, counts;
  sum.entries["a"] = {{1, 2, 3, 4, 5, 6}, {1, 2}};
  other.entries["a"] = {{1, 2}, {1, 2}};
  counts.entries["a"] = {{1, 2, 3, 4, 5, 6}, {1, 2, 3}};
  const auto message = [&](const ImportanceMatrix& added) -> std::string {
    try {
      sum.add(added, "b.dat");
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message(other), "b.dat: a: expected 6 sums, found 2");
  EXPECT_EQ(message(counts), "b.dat: a: expected 2 counts, found 3");
  ImportanceMatrix large;
  large.entries["a"] = {std::vector<float>(6, std::numeric_limits<float>::max()), {1, 2}};
  EXPECT_EQ(message(large), "");
  EXPECT_EQ(message(large), "b.dat: a: expected sums in F32's range, found more at 0");
}

TEST(ImportanceOfATensor, IsHeldToItsShape) {
  const ImportanceMatrix::Entry entry{{1, 2, 3, 4, 5, 6}, {9, 0}};
  EXPECT_THAT(importance_of(entry, "f", "t", 2, 3), ElementsAre(1, 2, 3, 0, 0, 0));
  EXPECT_THAT(importance_of({{1, 2, 3, 4, 5, 6}, {7}}, "f", "t", 2, 3), ElementsAre(1, 2, 3, 4, 5, 6));
  const auto message = [&](std::int64_t matrices, std::int64_t cols) -> std::string {
    try {
      importance_of(entry, "f", "t", matrices, cols);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message(1, 4), "f: t: expected 4 sums, one for each column of the model's tensor, found 6");
  EXPECT_EQ(message(2, 4),
            "f: t: expected 8 sums, one for each column of the 2 matrices of the model's tensor, found 6");
  EXPECT_EQ(message(3, 2), "f: t: expected a count, or one for each of the tensor's 3 matrices, found 2");
}

TEST(ImportanceMatrixFile, RefusesWhatIsWrong) {
  const auto n = [](std::int32_t value) { return bytes_of(value); };
  expect_refused(n(0) + std::string(20, 'x'), "n_entries: expected 1 to ");
  expect_refused(n(1) + text(std::string(4097, 'n')),
                 "entries[0].name: expected 1 to 4096 bytes, found 4097");
  expect_refused(n(1) + text("a\nb") + std::string(20, '\0'),
                 "entries[0].name: expected no control characters");
  expect_refused(n(1) + text("a") + n(-1) + n(1) + floats({1}) + n(0) + n(0),
                 "entries[0].ncall: expected 0 to");
  expect_refused(n(1) + text("a") + n(1) + n(0) + floats({1}) + n(0) + n(0),
                 "entries[0].nval: expected 1 to");
  expect_refused(n(1) + text("a") + n(1) + n(9) + floats({1, 2}) + n(0) + n(0),
                 "entries[0].values: expected 36 bytes");
  expect_refused(n(2) + dat_entry("a", 1, {1}) + dat_entry("a", 1, {1}),
                 "entries[1].name: expected a name that no entry before has, found 'a'");
  for (const float bad :
       {-1.0F, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    expect_refused(n(1) + dat_entry("a", 1, {1, bad}),
                   "a: expected finite numbers that are not negative, found ");
    GgufWriter w = gguf_file();
    w.remove_tensor("blk.0.attn_q.weight.counts");
    w.add_tensor("blk.0.attn_q.weight.counts", {1, 1}, kF32, floats({bad}));
    expect_refused(w.content(),
                   "blk.0.attn_q.weight.counts: expected finite numbers that are not negative, found ");
  }
  expect_refused(dat_file() + "x", "dataset: expected the end of the file behind it, found 1 bytes more");
}

TEST(ImportanceMatrixFile, RefusesWhatIsWrongInGguf) {
  const auto without = [](std::string_view tensor) {
    GgufWriter w = gguf_file();
    w.remove_tensor(tensor);
    return w;
  };
  GgufWriter w = without("blk.0.attn_q.weight.counts");
  expect_refused(w.content(), "blk.0.attn_q.weight.counts: expected a tensor of this name, found none");
  w.add_tensor("blk.0.attn_q.weight.counts", {2, 1}, kF32, floats({1, 1}));
  expect_refused(w.content(),
                 "blk.0.attn_q.weight.in_sum2: expected a number of sums that 2 counts divide, found 3");
  w.remove_tensor("blk.0.attn_q.weight.counts");
  w.add_tensor("blk.0.attn_q.weight.counts", {1, 1}, kF16, std::string(2, '\0'));
  expect_refused(w.content(), "blk.0.attn_q.weight.counts: expected F32, found F16");
  w.remove_tensor("blk.0.attn_q.weight.counts");
  w.add_tensor("blk.0.attn_q.weight.counts", {1, 1}, kF32, floats({1e30F}));
  expect_refused(w.content(),
                 "blk.0.attn_q.weight.counts: expected at most 281474976710656 inputs, found 1e+30");
  w = gguf_file();
  w.remove("general.type");
  expect_refused(w.content(), "general.type: expected imatrix, found none");
  w.add("general.type", "model");
  expect_refused(w.content(), "general.type: expected imatrix, found 'model'");
  w = gguf_file();
  w.remove("imatrix.chunk_size");
  expect_refused(w.content(), "imatrix.chunk_size: expected an integer from 1 to 16777216, found none");
  w = without("blk.0.attn_q.weight.in_sum2");
  w.remove_tensor("blk.0.ffn_down_exps.weight.in_sum2");
  expect_refused(w.content(), "tensors: expected some whose names end with .in_sum2, found none");
}

void load(const std::string& path) {
  const ImportanceMatrix matrix = read_importance_matrix(path);
  for (const auto& [name, entry] : matrix.entries)
    importance_of(entry, path, name, std::ssize(entry.counts),
                  std::ssize(entry.sums) / std::ssize(entry.counts));
  ImportanceMatrix sum;
  sum.chunk_size = 512;
  sum.add(matrix, path);
  sum.add(matrix, path);
}

class DamagedImportanceMatrix : public ::testing::TestWithParam<std::string> {};

TEST_P(DamagedImportanceMatrix, CutOffOrFlippedIsAnErrorOrAMatrix) {
  TempFile temp(GetParam());
  load(temp.path());
  std::size_t matrices = 0;
  for (std::size_t bit = 0; bit < GetParam().size() * 8; ++bit) {
    temp.flip_bit(bit);
    if (!fails_cleanly(temp.path(), fmt::format("bit {} of byte {}", bit % 8, bit / 8), load)) ++matrices;
    temp.flip_bit(bit);
  }
  EXPECT_GT(matrices, 0) << "names and numbers may be others";
  for (std::size_t size = GetParam().size(); size-- > 0;) {
    temp.resize(size);
    fails_cleanly(temp.path(), fmt::format("cut to {}", size), load);
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, DamagedImportanceMatrix, ::testing::Values(dat_file(), gguf_file().content()),
                         [](const auto& form) { return form.index == 0 ? "dat" : "gguf"; });

}  // namespace
}  // namespace llamajit::test::importance_matrix_test
