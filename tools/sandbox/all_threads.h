// What the kernel keeps for each thread, done on all.
#pragma once

namespace llamajit::sandbox {

// Calls act(argument) on every thread but this one, in the handler of a signal, as C libraries do for setuid(); so it may
// do system calls alone. False where one returned false, or did not answer. No other thread may begin or end meanwhile.
bool on_other_threads(bool (*act)(int argument), int argument);

}  // namespace llamajit::sandbox
