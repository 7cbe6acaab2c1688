// widen_model IN OUT HIDDEN LAYERS [--copies [TOKEN OTHER]]: see write_widened(). With two tokens, by their ids, it says
// the other one where it copies the first.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>

#include "tests/support/widened_model.h"

int main(int argc, char** argv) {
  const bool copies = argc >= 6 && std::string_view(argv[5]) == "--copies", renames = copies && argc == 8;
  if (argc != (renames ? 8 : copies ? 6 : 5)) {
    std::fputs("widen_model: expected IN.gguf OUT.gguf HIDDEN LAYERS [--copies [TOKEN OTHER]]\n", stderr);
    return 2;
  }
  try {
    llamajit::Widening to{std::atoi(argv[3]), std::atoi(argv[4]), copies};
    if (renames) to.renaming = {std::atoi(argv[6]), std::atoi(argv[7])};
    llamajit::write_widened(argv[1], argv[2], to);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "widen_model: %s\n", error.what());
    return 1;
  }
  return 0;
}
