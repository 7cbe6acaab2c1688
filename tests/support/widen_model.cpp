// widen_model IN OUT HIDDEN LAYERS: see write_widened().
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "tests/support/widened_model.h"

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fputs("widen_model: expected IN.gguf OUT.gguf HIDDEN LAYERS\n", stderr);
    return 2;
  }
  try {
    llamajit::write_widened(argv[1], argv[2], {std::atoi(argv[3]), std::atoi(argv[4])});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "widen_model: %s\n", error.what());
    return 1;
  }
  return 0;
}
