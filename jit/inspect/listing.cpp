#include "jit/inspect/listing.h"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "jit/code/code_cache.h"
#include "jit/inspect/assembler.h"
#include "jit/inspect/contract.h"
#include "jit/inspect/formula.h"
#include "jit/inspect/instruction.h"
#include "jit/inspect/labels.h"
#include "jit/inspect/roles.h"

namespace llamajit::jit::inspect {
namespace {

using Kind = ListingLine::Kind;

class ListingWriter {
 public:
  explicit ListingWriter(Listing& listing)
      : l_(listing),
        a_(listing.annotations),
        code_(decode(l_.bytes, 0, a_.code_bytes)),
        labels_(a_, code_),
        label_at_([this](std::uint32_t offset) { return labels_.reference(offset); }) {}

  void write() {
    count();
    head();
    directives();
    for (const Instruction& instruction : code_) code_line(instruction);
    line({Kind::directive, a_.code_bytes, 0, 0, fmt::format(".size {0}, . - {0}", l_.name)});
    constants();
  }

 private:
  void count() {
    std::set<RegisterId> used;
    for (const Instruction& instruction : code_) {
      instruction.for_each_register([&](const RegisterId& id) { used.insert(id); });
      if (instruction.is_vector()) ++l_.vector_instructions;
    }
    l_.instructions = static_cast<int>(code_.size());
    const auto of = [&](Annotations::File file) {
      return static_cast<int>(std::ranges::count(used, file, &RegisterId::file));
    };
    l_.general_registers = of(Annotations::File::general);
    l_.vector_registers = of(Annotations::File::vector);
    l_.mask_registers = of(Annotations::File::mask);
  }

  void head() {
    say(fmt::format("{}: {}", l_.name, kernel_formula(l_.key)));
    say(key_text(l_.key));
    const std::size_t behind = l_.bytes.size() - a_.code_bytes;
    say(fmt::format("tier {}; {} bytes of code{}", to_string(l_.isa.tier), a_.code_bytes,
                    behind > 0 ? fmt::format(", {} of constants and what lies between", behind) : ""));
    say(fmt::format("{} instructions, {} of them with vectors", l_.instructions, l_.vector_instructions));
    say("");
    for (const std::string& field : args_table(l_.key)) say(field);
    say("");
    for (const std::string& role : role_table(a_, l_.isa)) say(role);
  }
  void say(std::string words) { line({Kind::head, 0, 0, 0, std::move(words)}); }

  void directives() {
    for (std::string text :
         {std::string(".intel_syntax noprefix"), std::string(".text"), std::string(".p2align 6"),
          ".globl " + l_.name, fmt::format(".type {}, @function", l_.name)}) {
      line({Kind::directive, 0, 0, 0, std::move(text)});
    }
    line({Kind::label, 0, 0, 0, l_.name + ":"});
  }

  void code_line(const Instruction& instruction) {
    const std::uint32_t at = instruction.offset;
    if (const Labels::Label* label = labels_.at(at)) {
      line({Kind::label, at, 0, 0, label->name + ":", label->comment});
    }
    while (next_note_ < a_.notes.size() && a_.notes[next_note_].at <= at) {
      line({Kind::note, at, 0, depth(at), a_.notes[next_note_++].text});
    }
    line({Kind::instruction, at, instruction.is.length, depth(at), text_of(instruction),
          formula(instruction, a_, l_.key)});
  }

  std::string text_of(const Instruction& instruction) {
    if (auto text = assembler_text(instruction, label_at_)) return *std::move(text);
    ++l_.as_bytes;
    return byte_directive(bytes(instruction.offset, instruction.is.length));
  }

  void constants() {
    std::uint32_t at = a_.code_bytes;
    for (const Annotations::Constant& constant : a_.constants) {
      padding(at, constant.at);
      line({Kind::label, constant.at, 0, 0, labels_.reference(constant.at) + ":"});
      data(constant);
      at = constant.at + 4 * static_cast<std::uint32_t>(constant.values.size());
    }
    padding(at, static_cast<std::uint32_t>(l_.bytes.size()));
  }
  void data(const Annotations::Constant& constant) {
    const std::string comment =
        constant.meaning.empty() ? constant_text(constant.values.front()) : constant.meaning;
    for (std::size_t i = 0; i < constant.values.size(); i += kValuesInLine) {
      const std::span<const std::uint32_t> values =
          std::span(constant.values).subspan(i, std::min(kValuesInLine, constant.values.size() - i));
      line({Kind::data, constant.at + static_cast<std::uint32_t>(4 * i),
            static_cast<std::uint32_t>(4 * values.size()), 0,
            fmt::format(".long {:#x}", fmt::join(values, ", ")), comment});
    }
  }
  void padding(std::uint32_t begin, std::uint32_t end) {
    for (const Instruction& nop : decode(l_.bytes, begin, end)) {
      const auto text = assembler_text(nop, label_at_);
      line({Kind::padding, nop.offset, nop.is.length, 0,
            text ? *text : byte_directive(bytes(nop.offset, nop.is.length))});
    }
  }

  std::span<const std::uint8_t> bytes(std::uint32_t at, std::size_t size) const {
    return std::span(l_.bytes).subspan(at, size);
  }
  int depth(std::uint32_t at) const {
    return static_cast<int>(std::ranges::count_if(
        a_.loops, [&](const Annotations::Loop& loop) { return loop.begin <= at && at < loop.end; }));
  }
  void line(ListingLine line) { l_.lines.push_back(std::move(line)); }

  static constexpr std::size_t kValuesInLine = 8;

  Listing& l_;
  const Annotations& a_;
  const std::vector<Instruction> code_;
  const Labels labels_;
  const LabelAt label_at_;
  std::size_t next_note_ = 0;
};

constexpr std::size_t kIndent = 8;
constexpr std::size_t kCommentColumn = 64;

void append_comment(std::string& out, std::size_t line_begin, std::string_view comment) {
  const std::size_t used = out.size() - line_begin;
  if (used < kCommentColumn) out.append(kCommentColumn - used, ' ');
  out += " # ";
  out += comment;
}

void append(std::string& out, const ListingLine& line) {
  const std::size_t begin = out.size();
  if (line.kind == Kind::head) {
    out += line.text.empty() ? "#" : "# " + line.text;
    return;
  }
  if (line.kind != Kind::label) out.append(kIndent + 2 * static_cast<std::size_t>(line.depth), ' ');
  if (line.kind == Kind::note) out += "# ";
  out += line.text;
  if (line.size > 0) {
    append_comment(out, begin, fmt::format("{:04x}", line.offset));
    if (!line.comment.empty()) out.append("  ").append(line.comment);
  } else if (!line.comment.empty()) {
    append_comment(out, begin, line.comment);
  }
}

}  // namespace

std::string to_text(const ListingLine& line) {
  std::string out;
  append(out, line);
  return out;
}

std::string Listing::text() const {
  constexpr std::size_t kTypicalLine = 100;
  std::string out;
  out.reserve(lines.size() * kTypicalLine);
  for (const ListingLine& line : lines) {
    append(out, line);
    out += '\n';
  }
  return out;
}

Listing make_listing(Isa isa, const KernelKey& key) {
  Listing listing{.name = kernel_name(key), .key = key, .isa = isa};
  listing.bytes = generate_code(isa, key, &listing.annotations);
  try {
    ListingWriter(listing).write();
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(fmt::format("{} for {}: {}", listing.name, to_string(isa.tier), error.what()));
  }
  return listing;
}

}  // namespace llamajit::jit::inspect
