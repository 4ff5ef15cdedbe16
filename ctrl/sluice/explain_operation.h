// `explain --exec PATH` and `--open PATH`: who would stop a program, or the opening of a file, in a workload?
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "ctrl/sluice/client.h"
#include "ctrl/sluice/resource_args.h"
#include "ctrl/sluice/verb.h"

namespace sluice::client {

struct OperationOptions {
  std::string exec;  // one of these two
  std::string open;
  bool write = false;
  std::vector<std::string> arguments;
  std::string container;
  std::uint32_t uid = 0;
  std::uint32_t owner = 0;
  bool terminal = false;
  std::string node;                      // offline only
  std::vector<std::string> node_labels;  // likewise, KEY=VALUE

  bool asked() const { return !exec.empty() || !open.empty(); }
};

// What `explain` has for flows, too.
struct OperationContext {
  std::string from;
  std::string process;
  std::string output;  // "table" or "json"
  const ResourceArgs& resources;
};

void AddOperationOptions(CLI::App& verb, OperationOptions& options);

StatusOr<ExitCode> ExplainOperation(const AgentAddress& server, const OperationOptions& options,
                                    const OperationContext& context);

}  // namespace sluice::client
