// Makes the manual page of a command line from its help. Pure.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace sluice::client {

// In roff, for section 1. A subsection for each verb; options without a group are hidden, as in the help.
std::string ManPage(const CLI::App& app, const std::string& name, const std::string& version);

}  // namespace sluice::client
