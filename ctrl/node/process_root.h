// Resolves a path and its symbolic links in the file system that a process sees.
//
// The process may be hostile. Nothing there leads out of its root; names are opened with O_PATH, and only regular files
// are read, their first bytes; mounts that another program serves (FUSE, networks) are not entered, so that the caller
// never waits; and each path takes a bounded number of steps.
//   SL_ASSIGN_OR_RETURN(const auto root, ProcessRoot::Open(pid, mount_namespace));
//   root.Find("/usr/bin/python3")->path;  // "/usr/bin/python3.11"
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"

namespace sluice::node {

class ProcessRoot {
 public:
  struct File {
    std::string path;        // without links
    bool is_script = false;  // it begins with "#!"
  };

  // `mount_namespace`: its inode number. NotFound: the process has gone, or is in another one.
  static StatusOr<ProcessRoot> Open(pid_t pid, std::uint64_t mount_namespace);

  // `path`: absolute. Nothing: there is no such file, or it cannot be known.
  std::optional<File> Find(const std::string& path) const;

 private:
  ProcessRoot(Fd root, std::vector<std::string> avoided) : root_(std::move(root)), avoided_(std::move(avoided)) {}
  Fd OpenName(const std::string& path) const;
  bool IsAvoided(const std::string& path) const;

  Fd root_;
  std::vector<std::string> avoided_;  // mount points
};

}  // namespace sluice::node
