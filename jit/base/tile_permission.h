// Linux saves the tiles of a process only where it has asked for them.
#pragma once

#include <optional>
#include <string>

namespace llamajit::jit {

// Asks the system to let this process use tiles; it does so once, and all threads and forked children have them then.
// Returns why it refuses, and nothing where it agrees. An instruction with tiles raises SIGILL in a process that was
// not allowed them. Afterwards sigaltstack() wants stacks of sysconf(_SC_SIGSTKSZ) bytes.
const std::optional<std::string>& tiles_refused();

}  // namespace llamajit::jit
