// llamajit: text from Llama-family checkpoints through machine code generated for them.
#include <algorithm>

#include "tools/enter.h"

int main(int argc, char** argv) {
  return llamajit::cli::enter({argv + std::min(argc, 1), argv + argc});
}
