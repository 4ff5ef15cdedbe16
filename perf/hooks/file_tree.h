// A tree of small headers, like a kernel's, and two who read all of it: system calls alone, and a compiler.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace sluice::perf {

class FileTree {
 public:
  // In `directory`. Files that are there are replaced.
  static StatusOr<FileTree> Create(const std::string& directory, int files);

  // CPU time for each file, in ns. Each is looked for where it is not, as a compiler does; then it is opened, asked for
  // its size, read and closed.
  StatusOr<double> Read(int passes);
  // CPU time of `cc` for each file, in ns, when it checks a program that includes the first `files` of them.
  StatusOr<double> Compile(int files) const;

 private:
  Status ReadOnce();

  std::string directory_;
  std::vector<std::string> names_;  // below an include directory: "linux/part-0/file-0.h"
  std::vector<std::string> found_, missing_;
  std::vector<char> buffer_;
};

}  // namespace sluice::perf
