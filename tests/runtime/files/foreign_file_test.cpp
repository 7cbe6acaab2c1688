// Files that people give for models, each as its kind begins.
#include "runtime/files/foreign_file.h"

#include <functional>

#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "runtime/files/gguf.h"
#include "runtime/files/model_reader.h"
#include "runtime/files/tokenizer_bin.h"
#include "tests/support/temp_file.h"

namespace llamajit::foreign_file_test {
namespace {

using std::string_literals::operator""s;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string error_of(const std::function<void()>& read) {
  try {
    read();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "no error";
}

struct Foreign {
  const char* name;
  std::string content;
  const char* kind;    // what a message says of it
  const char* advice;  // part of what to do
};

const std::vector<Foreign>& foreign_files() {
  const std::string rest(600, '\xF0');
  static const std::vector<Foreign> kFiles = {
      {"png", "\x89PNG\r\n\x1A\n"s + rest, "a picture (PNG)", "no model"},
      {"jpeg", "\xFF\xD8\xFF\xE0"s + rest, "a picture (JPEG)", "no model"},
      {"zip", "PK\3\4"s + rest, "a zip archive", "unpack"},
      {"torch", "\x80\2\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19"s + rest, "a PyTorch checkpoint",
       "convert"},
      {"pickle", "\x80\2}q"s + rest, "a Python pickle", "convert"},
      {"7z", "7z\xBC\xAF\x27\x1C"s + rest, "a 7-Zip archive", "unpack"},
      {"gzip", "\x1F\x8B\x08"s + rest, "gzip", "unpack"},
      {"xz", "\xFD\x37zXZ\0"s + rest, "xz", "unpack"},
      {"zstd", "\x28\xB5\x2F\xFD"s + rest, "zstd", "unpack"},
      {"tar", std::string(257, 'a') + "ustar" + std::string(400, '\0'), "a tar archive", "unpack"},
      {"elf",
       "\x7F"
       "ELF"s +
           rest,
       "a program (ELF)", "no model"},
      {"llamafile", "MZqFpD='\n"s + rest, "a llamafile", "unpack"},
      {"ggjt", "tjgg\1\0\0\0"s + rest, "a ggjt file", "before GGUF; convert"},
      {"ggmf", "fmgg\1\0\0\0"s + rest, "a ggmf file", "before GGUF; convert"},
      {"ggla", "algg\1\0\0\0"s + rest, "an adapter", "merge"},
      {"lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 16091\n",
       "a pointer of Git LFS", "git lfs pull"},
      {"safetensors", "\x40\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F16\",\"shape\":[2]}}"s + rest,
       "a safetensors file", "convert"},
      {"html", "\n<!DOCTYPE html>\n<html lang=en>", "a web page (HTML)", "download the file itself"},
      {"html without a type", "<HTML><head>", "a web page (HTML)", "download the file itself"},
      {"xml", "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "XML", "download"},
      {"json", "{\n  \"architectures\": [\"LlamaForCausalLM\"]\n}\n", "JSON", "configuration or an index"},
      {"answer", "Invalid username or password.", "text that begins 'Invalid username or password.'",
       "download"},
      {"long text", std::string(50, 'w') + " and more", "text that begins", "download"},
      {"zeros", std::string(4096, '\0'), "zeros", "did not finish"},
      {"sentencepiece", "\x0A\x0E\x0A\x05<unk>\x15\0\0\0\0\x18\2\x0A\x0C\x0A\3<s>\x15\0\0\0\0"s + rest,
       "sentencepiece's tokenizer.model", "tokenizer.py"},
  };
  return kFiles;
}

TEST(ForeignFile, IsNamedWhereAModelIsExpected) {
  for (const Foreign& file : foreign_files()) {
    const test::TempFile temp(file.content);
    const std::string error = error_of([&] { read_model(temp.path()); });
    EXPECT_THAT(error, AllOf(HasSubstr(temp.path() + ": content: expected a model"), HasSubstr(file.kind),
                             HasSubstr(file.advice)))
        << file.name;
    EXPECT_EQ(error.find('\n'), std::string::npos) << file.name;
    EXPECT_THAT(error_of([&] { GgufFile gguf(temp.path()); }), HasSubstr(file.kind)) << file.name;
  }
}

TEST(ForeignFile, IsNamedWhereATokenizerIsExpected) {
  for (const Foreign& file : foreign_files()) {
    if (file.name == "json"s) continue;
    const test::TempFile temp(file.content);
    EXPECT_THAT(error_of([&] { read_tokenizer_bin(temp.path(), -1); }),
                AllOf(HasSubstr("content: expected llama2.c's tokenizer.bin"), HasSubstr(file.kind)))
        << file.name;
  }
  const test::TempFile json("{\"version\": \"1.0\"}"), gguf("GGUF\3\0\0\0"s + std::string(100, '\0'));
  EXPECT_THAT(error_of([&] { read_tokenizer_bin(json.path(), -1); }), HasSubstr("tokenizer.json"));
  EXPECT_THAT(error_of([&] { read_tokenizer_bin(gguf.path(), -1); }), HasSubstr("found a model; -z takes"));
}

// A checkpoint of version 0 begins with its width; no width that models have may be taken for a signature.
TEST(ForeignFile, IsNoCheckpoint) {
  for (std::uint32_t dim = 2; dim <= 1 << 20; dim += 2) {
    std::array<std::uint32_t, 32> header{dim, 4 * dim, 12, 8, 8, 32000, 2048, 0x3C23D70A, 0xBC23D70A};
    if (dim % 64 != 0 && dim > 4096) continue;
    const auto described = describe_foreign_file(std::as_bytes(std::span(header)), WantedFile::model);
    EXPECT_FALSE(described.has_value()) << dim << ": " << described.value_or("");
  }
}

}  // namespace
}  // namespace llamajit::foreign_file_test
