// The files of `apply`, `delete`, `check` and `explain`, and how they are read.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/status.h"
#include "ctrl/resources/resource_directory.h"

namespace sluice::client {

struct ResourceArgs {
  std::vector<std::string> paths;
  std::string default_namespace;  // empty: "default", with a notice
  bool recursive = false;
  bool skip_unknown = false;
  bool lenient = false;
};

// -n, -R, --skip-unknown and --lenient; `args` outlives the parsed command.
void AddResourceOptions(CLI::App& verb, ResourceArgs& args);
// Also -f. `what` is appended to its help.
CLI::Option* AddResourceArgs(CLI::App& verb, ResourceArgs& args, const std::string& what = "");

policy::ParseOptions ParseOptionsOf(const ResourceArgs& args);

// All files that `args` names, "-" as "stdin". Errors name the file: it cannot be read or is too large, or a directory
// has no resource files.
StatusOr<std::vector<resources::ResourceFile>> ReadAll(const ResourceArgs& args);

}  // namespace sluice::client
