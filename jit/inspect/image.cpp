#include "jit/inspect/image.h"

#include <cstring>
#include <utility>

#include <elf.h>

#include "jit/inspect/byte_buffer.h"
#include "jit/inspect/dwarf.h"
#include "jit/inspect/unwind.h"

namespace llamajit::jit::inspect {
namespace {

constexpr std::uint64_t kTextAlignment = 64;

// An ELF object's sections, then the file.
class ElfObject {
 public:
  ElfObject() {
    sections_.push_back({});
    strings_.u8(0);
    names_.u8(0);
    add_symbol("", 0, SHN_UNDEF, 0, 0);
  }

  // Returns the section's index.
  std::uint16_t add_section(std::string_view name, std::uint32_t type, std::uint64_t flags,
                            std::vector<std::uint8_t> content) {
    Section& section = sections_.emplace_back();
    section.header.sh_name = static_cast<std::uint32_t>(names_.size());
    names_.string(name);
    section.header.sh_type = type;
    section.header.sh_flags = flags;
    section.header.sh_size = content.size();
    section.header.sh_addralign = 1;
    section.content = std::move(content);
    return static_cast<std::uint16_t>(sections_.size() - 1);
  }
  Elf64_Shdr& header(std::uint16_t index) { return sections_[index].header; }

  // Local symbols come first. Returns the symbol's index.
  std::uint32_t add_symbol(std::string_view name, std::uint8_t info, std::uint16_t section,
                           std::uint64_t value, std::uint64_t size) {
    if (ELF64_ST_BIND(info) == STB_LOCAL) ++local_symbols_;
    const auto name_at = static_cast<std::uint32_t>(name.empty() ? 0 : strings_.size());
    if (!name.empty()) strings_.string(name);
    symbols_.raw(Elf64_Sym{name_at, info, STV_DEFAULT, section, value, size});
    return static_cast<std::uint32_t>(symbols_.size() / sizeof(Elf64_Sym) - 1);
  }

  // Says where linkers are to correct section `of`, and by which of the target symbols.
  void add_relocations(std::string_view name, std::uint16_t of, const std::vector<Relocation>& relocations,
                       const std::vector<std::uint32_t>& target_symbols) {
    ByteBuffer entries;
    for (const Relocation& r : relocations) {
      const std::uint64_t symbol = target_symbols[static_cast<std::size_t>(r.target)];
      entries.raw(Elf64_Rela{r.at, ELF64_R_INFO(symbol, r.type), r.addend});
    }
    const std::uint16_t index = add_section(name, SHT_RELA, SHF_INFO_LINK, entries.data());
    header(index).sh_info = of;
    header(index).sh_entsize = sizeof(Elf64_Rela);
    header(index).sh_addralign = 8;
    relocation_sections_.push_back(index);
  }

  std::vector<std::uint8_t> finish() {
    const std::uint16_t strings = add_section(".strtab", SHT_STRTAB, 0, strings_.data());
    const std::uint16_t symbols = add_section(".symtab", SHT_SYMTAB, 0, symbols_.data());
    header(symbols).sh_link = strings;
    header(symbols).sh_info = local_symbols_;
    header(symbols).sh_entsize = sizeof(Elf64_Sym);
    header(symbols).sh_addralign = 8;
    for (const std::uint16_t index : relocation_sections_) header(index).sh_link = symbols;
    const std::uint16_t names = add_section(".shstrtab", SHT_STRTAB, 0, {});
    sections_[names].content = names_.data();
    header(names).sh_size = names_.size();
    return file(names);
  }

 private:
  struct Section {
    Elf64_Shdr header{};
    std::vector<std::uint8_t> content;
  };

  std::vector<std::uint8_t> file(std::uint16_t names) {
    ByteBuffer content;  // of all sections, behind the ELF header
    for (Section& section : sections_) {
      if (section.header.sh_type == SHT_NULL || section.header.sh_type == SHT_NOBITS) continue;
      while ((sizeof(Elf64_Ehdr) + content.size()) % section.header.sh_addralign != 0) content.u8(0);
      section.header.sh_offset = sizeof(Elf64_Ehdr) + content.size();
      content.bytes(section.content);
    }
    content.align(8);
    Elf64_Ehdr elf{};
    std::memcpy(elf.e_ident, ELFMAG, SELFMAG);
    elf.e_ident[EI_CLASS] = ELFCLASS64;
    elf.e_ident[EI_DATA] = ELFDATA2LSB;
    elf.e_ident[EI_VERSION] = EV_CURRENT;
    elf.e_type = ET_REL;
    elf.e_machine = EM_X86_64;
    elf.e_version = EV_CURRENT;
    elf.e_ehsize = sizeof(Elf64_Ehdr);
    elf.e_shentsize = sizeof(Elf64_Shdr);
    elf.e_shoff = sizeof(Elf64_Ehdr) + content.size();
    elf.e_shnum = static_cast<std::uint16_t>(sections_.size());
    elf.e_shstrndx = names;
    ByteBuffer out;
    out.raw(elf);
    out.bytes(content.data());
    for (const Section& section : sections_) out.raw(section.header);
    return out.data();
  }

  std::vector<Section> sections_;
  std::vector<std::uint16_t> relocation_sections_;
  ByteBuffer strings_, names_, symbols_;
  std::uint32_t local_symbols_ = 0;
};

// NAME, and NAME_constants for what lies behind its code.
void add_kernel_symbols(ElfObject& elf, const std::vector<ImageKernel>& kernels, std::uint16_t text) {
  for (const ImageKernel& kernel : kernels) {
    if (kernel.bytes == kernel.constants) continue;
    elf.add_symbol(kernel.name + "_constants", ELF64_ST_INFO(STB_LOCAL, STT_OBJECT), text,
                   kernel.offset + kernel.constants, kernel.bytes - kernel.constants);
  }
  for (const ImageKernel& kernel : kernels) {
    elf.add_symbol(kernel.name, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), text, kernel.offset, kernel.code_bytes);
  }
}

std::uint16_t add_progbits(ElfObject& elf, std::string_view name, const DebugSection& section) {
  return elf.add_section(name, SHT_PROGBITS, 0, section.data());
}

}  // namespace

ImageKernel::ImageKernel(const Listing& listing, std::uint64_t offset_in_text)
    : name(listing.name),
      offset(offset_in_text),
      bytes(static_cast<std::uint32_t>(listing.bytes.size())),
      code_bytes(listing.code_bytes()),
      constants(listing.annotations.constants.empty() ? bytes : listing.annotations.constants.front().at),
      source(listing.name + ".s"),
      frame(listing.annotations.frame) {
  for (std::size_t i = 0; i < listing.lines.size(); ++i) {
    if (listing.lines[i].kind != ListingLine::Kind::instruction) continue;
    rows.push_back({listing.lines[i].offset, static_cast<int>(i + 1)});
  }
  for (const Annotations::Role& role : listing.annotations.roles) {
    if (role.file == Annotations::File::general) variables.push_back({role.name, role.first});
  }
}

std::vector<std::uint8_t> make_debug_image(const std::vector<ImageKernel>& kernels,
                                           const std::string& listing_directory, std::uint64_t address,
                                           std::uint64_t text_bytes) {
  ElfObject elf;
  const std::uint16_t text = elf.add_section(".text", SHT_NOBITS, SHF_ALLOC | SHF_EXECINSTR, {});
  elf.header(text).sh_addr = address;
  elf.header(text).sh_size = text_bytes;
  elf.header(text).sh_addralign = kTextAlignment;
  const DebugInfo debug = make_debug_info(kernels, listing_directory, address, text_bytes);
  add_progbits(elf, ".debug_info", debug.info);
  add_progbits(elf, ".debug_abbrev", debug.abbrev);
  add_progbits(elf, ".debug_line", debug.line);
  add_progbits(elf, ".debug_frame", make_debug_frame(kernels, address));
  add_kernel_symbols(elf, kernels, text);
  return elf.finish();
}

std::vector<std::uint8_t> make_object_file(const std::vector<ImageKernel>& kernels,
                                           const std::string& listing_directory,
                                           std::span<const std::uint8_t> text_bytes) {
  ElfObject elf;
  const std::uint16_t text = elf.add_section(".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR,
                                             {text_bytes.begin(), text_bytes.end()});
  elf.header(text).sh_addralign = kTextAlignment;
  const DebugInfo debug = make_debug_info(kernels, listing_directory, 0, text_bytes.size());
  const DebugSection frames = make_eh_frame(kernels, 0);
  const std::uint16_t info = add_progbits(elf, ".debug_info", debug.info);
  const std::uint16_t abbrev = add_progbits(elf, ".debug_abbrev", debug.abbrev);
  const std::uint16_t line = add_progbits(elf, ".debug_line", debug.line);
  const std::uint16_t eh_frame = elf.add_section(".eh_frame", SHT_PROGBITS, SHF_ALLOC, frames.data());
  elf.header(eh_frame).sh_addralign = 8;
  elf.add_section(".note.GNU-stack", SHT_PROGBITS, 0, {});  // the code wants no executable stack

  std::vector<std::uint32_t> targets;  // in the order of RelocationTarget
  for (const std::uint16_t section : {text, abbrev, line}) {
    targets.push_back(elf.add_symbol("", ELF64_ST_INFO(STB_LOCAL, STT_SECTION), section, 0, 0));
  }
  add_kernel_symbols(elf, kernels, text);
  elf.add_relocations(".rela.debug_info", info, debug.info.relocations, targets);
  elf.add_relocations(".rela.debug_line", line, debug.line.relocations, targets);
  elf.add_relocations(".rela.eh_frame", eh_frame, frames.relocations, targets);
  return elf.finish();
}

}  // namespace llamajit::jit::inspect
