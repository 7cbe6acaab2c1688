#include "jit/inspect/dump.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "jit/inspect/contract.h"
#include "jit/inspect/folder.h"
#include "jit/inspect/image.h"
#include "jit/inspect/sha256.h"

namespace llamajit::jit::inspect {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::uint8_t kFiller = 0xCC;  // int3

std::string prepare(const std::string& directory) {
  std::string path = make_directory(directory);
  if (std::filesystem::is_empty(path)) return path;
  throw std::runtime_error(fmt::format("{}: expected a new or empty folder, found files in it", directory));
}

void write(const std::string& path, std::span<const std::uint8_t> content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
  if (!file.flush()) throw std::system_error(errno, std::generic_category(), path);
}

void write(const std::string& path, std::string_view content) {
  write(path, std::span(reinterpret_cast<const std::uint8_t*>(content.data()), content.size()));
}

nlohmann::ordered_json args_entry(const KernelKey& key) {
  nlohmann::ordered_json fields = nlohmann::ordered_json::array();
  for (const ArgsField& field : args_fields(key)) {
    fields.push_back(
        {{"name", field.name}, {"offset", field.offset}, {"type", field.type}, {"meaning", field.meaning}});
  }
  return fields;
}

nlohmann::ordered_json entry(const Listing& kernel, std::size_t offset) {
  nlohmann::ordered_json key;
  for (const auto& [name, value] : key_fields(kernel.key)) {
    std::visit([&, &field = key[name]](const auto& v) { field = v; }, value);
  }
  return {{"name", kernel.name},
          {"formula", kernel_formula(kernel.key)},
          {"key", key},
          {"isa", to_string(kernel.isa.tier)},
          {"size", kernel.bytes.size()},
          {"code_size", kernel.code_bytes()},
          {"sha256", sha256(kernel.bytes)},
          {"offset", offset},
          {"args", args_entry(kernel.key)}};
}

}  // namespace

void dump_kernels(const std::vector<Listing>& kernels, Isa isa, const std::string& origin,
                  const std::string& directory) {
  const std::string path = prepare(directory);
  nlohmann::ordered_json manifest = {{"model", origin},
                                     {"isa", to_string(isa.tier)},
                                     {"object", "kernels.o"},  // offsets are from its text's begin
                                     {"kernels", nlohmann::ordered_json::array()}};
  std::vector<std::uint8_t> text;
  std::vector<ImageKernel> in_image;
  for (const Listing& kernel : kernels) {
    text.resize((text.size() + kAlignment - 1) / kAlignment * kAlignment, kFiller);
    manifest["kernels"].push_back(entry(kernel, text.size()));
    in_image.emplace_back(kernel, text.size());
    text.insert(text.end(), kernel.bytes.begin(), kernel.bytes.end());
    write(fmt::format("{}/{}.bin", path, kernel.name), kernel.bytes);
    write(fmt::format("{}/{}.s", path, kernel.name), kernel.text());
  }
  write(path + "/kernels.o", make_object_file(in_image, path, text));
  write(path + "/manifest.json", manifest.dump(2) + "\n");
}

}  // namespace llamajit::jit::inspect
