// What is said beside the results.
#pragma once

namespace llamajit::cli {

// Makes lines on standard error, "llamajit: " first, of what is logged. A message is one line, whatever a
// file's name or content puts into it.
void log_to_standard_error();

}  // namespace llamajit::cli
