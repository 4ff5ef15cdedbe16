// Paths in process rules that lead through a symbolic link in a workload's file system. A program is known by its path
// without links, so such a path matches no program.
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
  bool is_script = false;  // it begins with "#!"
};

// What `path` leads to in each file system that the workload's processes have. Empty: to nothing, or it is not known.
using FindProgram =
    std::function<std::vector<ProgramFile>(const policy::ObjectName& workload, const std::string& path)>;

// The path to use instead; nothing: `pattern` may match in one of the workload's file systems, or that is not known. Of
// a pattern with wildcards, only the directories before the first one are resolved. A link to a script matches by its
// own path.
std::optional<std::string> FindTarget(const policy::ObjectName& workload, const std::string& pattern,
                                      const FindProgram& find);

v1::ProgramLink& AddLink(const policy::ObjectName& workload, const std::string& path, const std::string& target,
                         ProgramLinks* links);
// Adds those of all rules of `policy` in that direction.
void AddLinks(const policy::NetworkPolicy& policy, policy::Direction direction, const policy::ObjectName& workload,
              const FindProgram& find, ProgramLinks* links);

}  // namespace sluice::explain
