// The command line as a whole: the verbs, what is common to them, and what helps to type it.
#pragma once

#include "ctrl/sluice/verb.h"

namespace sluice::client {

// Adds options and verbs; `line` outlives `app`.
void FillCommandLine(CLI::App& app, CommandLine& line);

// What stands where a verb has to, if it is none: "aply: there is no such verb; did you mean apply?". Else "".
std::string WrongVerb(const CLI::App& app, int argc, const char* const* argv);

}  // namespace sluice::client
