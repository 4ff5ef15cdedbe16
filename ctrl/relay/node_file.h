// Nodes that a file lists: an agent in each line, as ADDRESS or NAME=ADDRESS; "#" begins a comment. The file is read
// again when it changes. A file that cannot be read, or has a bad line, changes nothing.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ctrl/relay/nodes.h"

namespace sluice::cluster {

// InvalidArgument names file and line.
StatusOr<std::vector<NodeAddress>> ReadNodeFile(const std::string& path);

class NodeFile {
 public:
  // Error: as ReadNodeFile. `more`: nodes beside the file's. `nodes` outlives this.
  static StatusOr<std::unique_ptr<NodeFile>> Start(const std::string& path, std::vector<NodeAddress> more,
                                                   Nodes* nodes);
  ~NodeFile();

 private:
  NodeFile(std::string path, std::vector<NodeAddress> more, Nodes* nodes)
      : path_(std::move(path)), more_(std::move(more)), nodes_(nodes) {}
  void Take(std::vector<NodeAddress> listed);
  void Follow();

  const std::string path_;
  const std::vector<NodeAddress> more_;
  Nodes* const nodes_;
  std::vector<NodeAddress> listed_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;  // by mutex_
  std::thread thread_;
};

}  // namespace sluice::cluster
