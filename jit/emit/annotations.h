// The emitter records here, for people to read, what it does while it emits a
// kernel: which register holds what, what comes next, where loops are. Offsets
// are in bytes from the kernel's first. inspect/ makes listings of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llamajit::jit {

struct Annotations {
  struct Note {
    std::uint32_t at;
    std::string text;
  };
  struct Label {
    std::uint32_t at;
    std::string name;  // not unique
  };
  struct Loop {
    std::uint32_t begin;
    std::uint32_t end;
    std::string name;    // the role of its counter
    std::int64_t turns;  // 0: known only when it runs
  };
  enum class File : std::uint8_t { general, vector, mask, tile };
  // Consecutive registers of one file and what they hold in [begin, end).
  struct Role {
    File file;
    int first;
    int count;
    int registers_each;      // 2 where a value takes a pair: its lower and its upper half
    std::string name;        // "scale"; of several values "acc[tile][token]"
    std::vector<int> shape;  // of several values, in the order of the indices in the name
    std::uint32_t begin;
    std::uint32_t end;

    bool holds(File of, int index, std::uint32_t at) const {
      return file == of && first <= index && index < first + count && begin <= at && at < end;
    }
  };
  // A slot lies at rsp + offset once the frame is built.
  struct StackSlot {
    int offset;
    std::string name;
  };
  // 32-bit values in the data behind the code.
  struct Constant {
    std::uint32_t at;
    std::vector<std::uint32_t> values;
    std::string meaning;  // "": one number, as often as a vector has lanes

    bool holds(std::uint32_t offset) const {
      return at <= offset && offset < at + 4 * static_cast<std::uint32_t>(values.size());
    }
  };
  // Where the stack changes, each offset being that of the next instruction. The frame pointer is rbp.
  struct Frame {
    struct Change {
      std::uint32_t at;
      int gpr;  // as instructions number it
    };
    std::uint32_t rbp_pushed = 0;
    std::uint32_t rbp_set = 0;
    std::vector<Change> saved;  // pushed in this order, right after rbp
    std::vector<Change> restored;
    std::uint32_t rbp_popped = 0;
  };

  std::vector<Note> notes;
  std::vector<Label> labels;
  std::vector<Loop> loops;
  std::vector<Role> roles;
  std::vector<Constant> constants;
  std::vector<StackSlot> stack;
  Frame frame;
  std::uint32_t code_bytes = 0;  // constants and padding lie behind

  // Returns what a register holds at an offset, or nullptr where nobody said.
  const Role* find_role(File file, int index, std::uint32_t at) const;
  // Its name, as "acc[1][3].hi"; "" where it has none.
  std::string role_of(File file, int index, std::uint32_t at) const;
  // Registers `first` and up of a file are free from here on.
  void end_roles(File file, int first, std::uint32_t at);
};

}  // namespace llamajit::jit
