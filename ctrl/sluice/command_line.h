// The whole command line: the verbs, their common options, and help with wrong verbs.
#pragma once

#include "ctrl/sluice/verb.h"

namespace sluice::client {

// Adds options and verbs; `line` outlives `app`.
void FillCommandLine(CLI::App& app, CommandLine& line);

// An error for a first word that is no verb: "aply: there is no such verb; did you mean apply?". Else "".
std::string WrongVerb(const CLI::App& app, int argc, const char* const* argv);

}  // namespace sluice::client
