// Another program, run to its end with its output in a file.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/status.h"

namespace sluice::client {

// `arguments` begins with the program, which is looked for in PATH and where administrators' programs are. Standard
// output and error go to `file`, which is made. Error: it cannot be started, did not end in time and was killed, or
// ended with another code than 0; it says the first line that the program wrote.
Status RunProgram(std::vector<std::string> arguments, const std::string& file,
                  std::chrono::seconds patience = std::chrono::seconds(30));

}  // namespace sluice::client
