#include "tests/support/elf_file.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace llamajit::test {
namespace {

template <class T>
T at(const std::vector<std::uint8_t>& bytes, std::size_t offset) {
  if (offset + sizeof(T) > bytes.size()) throw std::runtime_error("ELF file: cut short");
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

}  // namespace

ElfFile::ElfFile(std::vector<std::uint8_t> bytes) : bytes_(std::move(bytes)) {
  const auto header = at<Elf64_Ehdr>(bytes_, 0);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) throw std::runtime_error("not an ELF file");
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    sections_.push_back(at<Elf64_Shdr>(bytes_, header.e_shoff + i * sizeof(Elf64_Shdr)));
  }
  const std::size_t names = sections_.at(header.e_shstrndx).sh_offset;
  for (const Elf64_Shdr& s : sections_) {
    names_.emplace_back(reinterpret_cast<const char*>(bytes_.data() + names + s.sh_name));
  }
}

ElfFile ElfFile::read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return ElfFile({std::istreambuf_iterator<char>(file), {}});
}

const Elf64_Shdr& ElfFile::section(std::string_view name) const {
  const auto found = std::ranges::find(names_, name);
  if (found == names_.end()) throw std::runtime_error("no section " + std::string(name));
  return sections_[static_cast<std::size_t>(found - names_.begin())];
}

std::vector<std::uint8_t> ElfFile::content(std::string_view section_name) const {
  const Elf64_Shdr& s = section(section_name);
  const auto begin = bytes_.begin() + static_cast<std::ptrdiff_t>(s.sh_offset);
  return {begin, begin + static_cast<std::ptrdiff_t>(s.sh_size)};
}

std::vector<ElfFile::Symbol> ElfFile::symbols() const {
  const Elf64_Shdr& table = section(".symtab");
  const std::size_t strings = sections_.at(table.sh_link).sh_offset;
  std::vector<Symbol> out;
  for (std::size_t i = 0; i < table.sh_size / sizeof(Elf64_Sym); ++i) {
    const auto raw = at<Elf64_Sym>(bytes_, table.sh_offset + i * sizeof(Elf64_Sym));
    out.push_back({reinterpret_cast<const char*>(bytes_.data() + strings + raw.st_name), raw});
  }
  return out;
}

ElfFile::Symbol ElfFile::symbol(std::string_view name) const {
  const std::vector<Symbol> all = symbols();
  const auto found = std::ranges::find(all, name, &Symbol::name);
  if (found == all.end()) throw std::runtime_error("no symbol " + std::string(name));
  return *found;
}

}  // namespace llamajit::test
