// Importance matrices in both forms.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "runtime/files/importance_matrix.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/gguf_writer.h"

namespace llamajit::fuzz {

void run(std::string_view input) {
  const InputFile file(input);
  succeeds([&] {
    const ImportanceMatrix read = read_importance_matrix(file.path());
    ImportanceMatrix sum;
    sum.chunk_size = 512;
    sum.add(read, "f");
    sum.add(read, "f");
    for (const auto& [name, entry] : read.entries) importance_of(entry, "f", name, 2, 3);
  });
}

std::vector<std::string> seeds() {
  const auto text = [](std::string_view of) {
    return test::bytes_of(static_cast<std::int32_t>(of.size())) + std::string(of);
  };
  const auto floats = [](const std::vector<float>& values) {
    return test::encode_tensor(values, test::kF32);
  };
  const std::string entry = text("blk.0.ffn_down_exps.weight") + test::bytes_of(std::int32_t{4}) +
                            test::bytes_of(std::int32_t{6}) + floats({1, 2, 3, 4, 5, 6});
  test::GgufWriter w;
  w.add("general.type", "imatrix");
  w.add("imatrix.datasets", std::vector<std::string>{"one.txt"});
  w.add("imatrix.chunk_count", 4);
  w.add("imatrix.chunk_size", 512);
  w.add_tensor("blk.0.ffn_down_exps.weight.in_sum2", {3, 2}, test::kF32, floats({1, 2, 3, 4, 5, 6}));
  w.add_tensor("blk.0.ffn_down_exps.weight.counts", {1, 2}, test::kF32, floats({9, 0}));
  return {test::bytes_of(std::int32_t{1}) + entry + test::bytes_of(std::int32_t{4}) + text("some text.txt"),
          test::bytes_of(std::int32_t{1}) + entry, w.content()};
}

}  // namespace llamajit::fuzz
