// llamajit: text from Llama-family checkpoints through machine code generated for them.
#include "tools/enter.h"

int main(int argc, char** argv) {
  return llamajit::cli::enter(argc, argv);
}
