// The real sluice-cni as a process: with an environment and standard input of its own, as a runtime starts it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"

namespace sluice::test {

std::string PluginPath();

struct PluginRun {
  int exit_code = -1;  // 128 + signal when a signal ended it
  std::string out;
  std::string err;
};

// In the network namespace of the calling thread, without any other variable.
PluginRun RunPluginProcess(const std::map<std::string, std::string>& environment, const std::string& input,
                           const std::vector<std::string>& arguments = {});

// A directory of its own below the temporary one; gone with the object.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  std::string path(const std::string& name = "") const { return name.empty() ? path_ : path_ + "/" + name; }
  void Write(const std::string& name, const std::string& text) const;  // as other installers do: not in one step
  std::string Read(const std::string& name) const;                     // "" where there is none
  bool Has(const std::string& name) const { return std::filesystem::exists(path(name)); }
  std::vector<std::string> List(const std::string& name = "") const;  // sorted; hidden ones too

 private:
  std::string path_;
};

}  // namespace sluice::test
