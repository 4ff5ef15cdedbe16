// Programs of others that a benchmark runs.
#pragma once

#include <string>

namespace sluice::perf {

bool IsInstalled(const std::string& program);

// From now on namespaces are called slbench-..., unless the environment says otherwise. Before threads are started.
void NameNamespaces();

}  // namespace sluice::perf
