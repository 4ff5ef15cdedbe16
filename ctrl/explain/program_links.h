// Paths that rules by process name, and that lead through a symbolic link where a workload's processes run: a program
// is known by the path without links, so that no program has such a one.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "api/sluice.pb.h"
#include "policy/resource/model.h"

namespace sluice::explain {

using ProgramLinks = google::protobuf::RepeatedPtrField<v1::ProgramLink>;

struct ProgramFile {
  std::string path;        // without links
  bool is_script = false;  // its first line names who runs it ("#!")
};

// What `path` leads to in each file system that the workload's processes have. Empty: nobody knows, or nothing.
using FindProgram =
    std::function<std::vector<ProgramFile>(const policy::ObjectName& workload, const std::string& path)>;

// The path to name instead; nothing: `pattern` may match in one of the workload's file systems, or nobody knows. Of a
// pattern with wildcards the directories before the first one count. A link to a script has a name that counts.
std::optional<std::string> FindTarget(const policy::ObjectName& workload, const std::string& pattern,
                                      const FindProgram& find);

v1::ProgramLink& AddLink(const policy::ObjectName& workload, const std::string& path, const std::string& target,
                         ProgramLinks* links);
// Of all rules of `policy` in that direction.
void AddLinks(const policy::NetworkPolicy& policy, policy::Direction direction, const policy::ObjectName& workload,
              const FindProgram& find, ProgramLinks* links);

}  // namespace sluice::explain
