#include "tests/support/foreseeing_model.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "tests/support/temp_file.h"

namespace llamajit::test {
namespace {

// The identity beside zeros.
std::string left_half(std::int64_t n) {
  std::vector<float> weights(static_cast<std::size_t>(2 * n * n));
  for (std::int64_t i = 0; i < n; ++i) weights[static_cast<std::size_t>(2 * n * i + i)] = 1;
  return encode_tensor(weights, kF32);
}

std::string bytes_of_tensor(const GgufTensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size()};
}

}  // namespace

GgufWriter foreseeing_gguf(const FamilyFile& family, const Config& config, std::uint64_t seed) {
  GgufWriter writer = family_gguf(family, config, seed, {});
  const TempFile temp(writer.content());
  const GgufFile file(temp.path());
  const auto set = [&](const GgufTensor& tensor, const std::string& data) {
    std::vector<std::uint64_t> dims;
    for (int i = 0; i < tensor.n_dims; ++i) {
      dims.push_back(static_cast<std::uint64_t>(tensor.dims[static_cast<std::size_t>(i)]));
    }
    writer.remove_tensor(tensor.name);
    writer.add_tensor(tensor.name, dims, kF32, data);
  };
  for (const GgufTensor& tensor : file.tensors()) {
    const std::string_view name = tensor.name;
    if (name.ends_with("attn_output.weight") || name.find("ffn_down") != name.npos) {
      set(tensor, std::string(tensor.data.size(), '\0'));
    } else if (name.ends_with("nextn.eh_proj.weight")) {
      set(tensor, left_half(config.dim));
    } else if (name.ends_with("nextn.enorm.weight")) {
      set(tensor, encode_tensor(std::vector<float>(static_cast<std::size_t>(config.dim), 1), kF32));
    } else if (name.ends_with("nextn.shared_head_norm.weight")) {
      set(tensor, bytes_of_tensor(*file.find_tensor("output_norm.weight")));
    }
  }
  return writer;
}

const FamilyFile& family_named(std::string_view name) {
  return *std::ranges::find(kFamilyFiles, name, &FamilyFile::name);
}

}  // namespace llamajit::test
