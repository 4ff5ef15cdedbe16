// The CNI plugin: one call, from the environment and standard input to what is printed.
#pragma once

#include <map>
#include <string>

namespace sluice::cni {

struct PluginOutput {
  int exit_code = 0;
  std::string out;  // standard output: the result or the error, as CNI has them
  std::string err;  // standard error: for the runtime's log
};

// `environment`: what of it begins with "CNI_". `config`: standard input.
PluginOutput RunPlugin(const std::map<std::string, std::string>& environment, const std::string& config);

}  // namespace sluice::cni
