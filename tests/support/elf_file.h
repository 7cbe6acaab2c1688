// An ElfFile says what is in an ELF object, as far as tests ask.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <elf.h>

namespace llamajit::test {

class ElfFile {
 public:
  struct Symbol {
    std::string name;
    Elf64_Sym raw;
  };

  explicit ElfFile(std::vector<std::uint8_t> bytes);
  // Throws std::runtime_error if it can't be read.
  static ElfFile read(const std::string& path);

  // Throws std::runtime_error if there is none.
  const Elf64_Shdr& section(std::string_view name) const;
  std::vector<std::uint8_t> content(std::string_view section_name) const;
  std::vector<Symbol> symbols() const;
  // The one of that name. Throws std::runtime_error if there is none.
  Symbol symbol(std::string_view name) const;

 private:
  std::vector<std::uint8_t> bytes_;
  std::vector<Elf64_Shdr> sections_;
  std::vector<std::string> names_;
};

}  // namespace llamajit::test
