// Which system calls are left.
#pragma once

#include <string>

#include "tools/sandbox/sandbox.h"

namespace llamajit::sandbox {

// For all threads, from now on. Returns why not; "" where they are held.
std::string limit_system_calls(const Needs& needs);

}  // namespace llamajit::sandbox
