// A container for the length of one function, made as runtimes make it: in a pod's network namespace and a cgroup of
// its own, with its own mounts, processes and root. The root is an overlay: what the machine has is the image, with
// more programs in /usr/local/bin, and what the function writes is the container's.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace sluice::test {

// A program of this machine under another name: {"nginx", "/bin/sh"}.
using NamedPrograms = std::vector<std::pair<std::string, std::string>>;

// What the function inside has to say.
class ContainerNotes {
 public:
  explicit ContainerNotes(int fd) : fd_(fd) {}
  // For the map that RunInContainer returns. Neither has a line break; the key has no "=".
  void Note(const std::string& key, const std::string& value) const;
  int fd() const { return fd_; }  // a program's output may go there, too: "key=value" lines

 private:
  int fd_;
};

struct TestContainer {
  int netns_fd = -1;
  std::string cgroup;     // its directory; empty: this process's, and the function sees the machine's own root
  std::string directory;  // an empty directory of the test's, where the root is put together
  NamedPrograms programs;
};

// Runs `body` as the first process of the container; its notes. It must not return where it could not do what it
// should: see Check. An error: it did not end with 0 within half a minute.
StatusOr<std::map<std::string, std::string>> RunInContainer(const TestContainer& container,
                                                            const std::function<void(const ContainerNotes&)>& body);

// For functions inside: ends the process, with the error's text, unless `ok`.
void Check(bool ok, const char* what);

}  // namespace sluice::test
