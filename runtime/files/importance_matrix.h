// Importance matrices: of a model's matrices, how large their inputs were over some text, column by column. The files
// are those of llama.cpp, its own form ("imatrix.dat") and the newer one, which is GGUF.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace llamajit {

struct ImportanceMatrix {
  // Of a tensor. One that consists of several matrices, those of experts, may have a count for each of them.
  struct Entry {
    std::vector<float> sums;           // of squared inputs: (matrices, cols)
    std::vector<std::int64_t> counts;  // of inputs: (matrices), or one for all
  };
  std::map<std::string, Entry, std::less<>> entries;  // by the tensor's name
  std::vector<std::string> datasets;                  // texts, as who made the file called them
  std::int64_t chunks = 0;
  std::int64_t chunk_size = 0;  // tokens; 0: unknown, and counts are of chunks instead of inputs

  // Adds sums and counts; those of chunks become counts of inputs by this one's chunk_size. Throws
  // std::runtime_error that names `file`, the entry, what was expected and what was found, where sizes differ.
  void add(const ImportanceMatrix& other, std::string_view file);
};

// Of a tensor's entry, held to its shape: sums of squares, for each of `matrices` those of `cols` columns. All are zero
// for a matrix that had no input. Throws as add().
std::vector<float> importance_of(const ImportanceMatrix::Entry& entry, std::string_view file,
                                 std::string_view tensor, std::int64_t matrices, std::int64_t cols);

// Either form, told by its first bytes. Throws std::runtime_error that names the file, the field, what was expected
// and what was found.
ImportanceMatrix read_importance_matrix(const std::string& path);

// The older form has no counts of single matrices, so that those without an input have an importance of 1 there, and
// has only the last dataset.
enum class ImportanceForm : std::uint8_t { gguf, dat };
void write_importance_matrix(const ImportanceMatrix& matrix, const std::string& path, ImportanceForm form);

}  // namespace llamajit
