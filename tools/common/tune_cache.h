// Tunings that were measured before, in the user's cache folder.
#pragma once

#include "jit/base/isa.h"
#include "runtime/forward/engine.h"

namespace llamajit::cli {

// Returns what earlier runs with --tune have found on this CPU, for these threads, from
// $XDG_CACHE_HOME/llamajit/tuning.json, else ~/.cache/llamajit/tuning.json. A file that is missing says
// nothing; one that is damaged says nothing either, with a warning in the log: the worst it costs is speed.
Tuning remembered_tuning(jit::Isa isa, int threads);

// Tunes the engine, and adds what was found to the file; one that can't be written costs a warning.
void tune_and_remember(Engine& engine);

}  // namespace llamajit::cli
