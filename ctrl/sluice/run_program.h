// Another program, run to its end.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/status.h"

namespace sluice::client {

// `arguments` begins with the program, which is looked for in PATH. It has this program's standard streams, and Ctrl-C
// is for it alone. Its exit code; an error when it cannot be started, or a signal ended it.
StatusOr<int> RunInTerminal(const std::vector<std::string>& arguments);

// Likewise, and also looked for where administrators' programs are. Standard output and error go to `file`, which is
// made. Error: it cannot be started, did not end in time and was killed, or ended with another code than 0; it says the
// first line that the program wrote.
Status RunIntoFile(std::vector<std::string> arguments, const std::string& file,
                   std::chrono::seconds patience = std::chrono::seconds(30));

}  // namespace sluice::client
