// A process that has what it needs gives up the rest. Whoever takes it over then, through a flaw that a hostile file or
// request finds, reaches no file, no other process and no network, and makes no code.
#pragma once

#include <string>
#include <vector>

namespace llamajit::sandbox {

// What is still to be done.
struct Needs {
  // Whose files are read, made, replaced and removed, theirs included. Without one, no file is opened at all.
  std::vector<std::string> folders;
  bool serves = false;  // connections of the sockets that listen already
};

// In words, for a log.
struct Report {
  std::vector<std::string> held;
  std::vector<std::string> missing;  // what this system does not have, or refuses, and why
};

// Holds all threads, those of later included, and can't be undone. What is refused fails with EPERM or EACCES; a new program
// or process, ptrace and memory that becomes executable end the process by SIGSYS. Call it once, while no other thread
// begins or ends. Throws std::runtime_error where a folder can't be opened, before anything is held.
Report close(const Needs& needs);

// Why this build can't be held: sanitizers look at a process from within; "" where it can.
const char* reason_against();

}  // namespace llamajit::sandbox
