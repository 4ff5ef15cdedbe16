#include "ctrl/relay/node_file.h"

#include <fstream>

#include "base/log.h"

namespace sluice::cluster {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookAtFile = 1s;
constexpr std::size_t kMostLines = 100'000;

}  // namespace

StatusOr<std::vector<NodeAddress>> ReadNodeFile(const std::string& path) {
  std::ifstream in(path);
  if (!in) return InvalidError("{}: cannot be opened: {}", path, std::generic_category().message(errno));
  std::vector<NodeAddress> nodes;
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (number > kMostLines)
      return InvalidError("{}:{}: a list of nodes has at most {} lines", path, number, kMostLines);
    line.erase(std::min(line.find('#'), line.size()));
    constexpr const char* kSpace = " \t\r";
    line.erase(0, std::min(line.find_first_not_of(kSpace), line.size()));
    line.erase(line.find_last_not_of(kSpace) + 1);
    if (line.empty()) continue;
    auto node = ParseNodeAddress(line);
    if (!node.ok()) return Annotate(node.status(), fmt::format("{}:{}", path, number));
    nodes.push_back(*std::move(node));
  }
  if (in.bad()) return InvalidError("{}: cannot be read", path);
  return nodes;
}

StatusOr<std::unique_ptr<NodeFile>> NodeFile::Start(const std::string& path, std::vector<NodeAddress> more,
                                                    Nodes* nodes) {
  SL_ASSIGN_OR_RETURN(std::vector<NodeAddress> listed, ReadNodeFile(path));
  std::unique_ptr<NodeFile> file(new NodeFile(path, std::move(more), nodes));
  file->Take(std::move(listed));
  file->thread_ = std::thread(&NodeFile::Follow, file.get());
  return file;
}

NodeFile::~NodeFile() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void NodeFile::Take(std::vector<NodeAddress> listed) {
  std::vector<NodeAddress> all = listed;
  all.insert(all.end(), more_.begin(), more_.end());
  listed_ = std::move(listed);
  nodes_->Set(std::move(all), "file " + path_);
}

void NodeFile::Follow() {
  std::string told;
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, kLookAtFile, [this] { return stopping_; })) {
    auto listed = ReadNodeFile(path_);
    const std::string problem = listed.ok() ? "" : Message(listed.status());
    if (problem != told) nodes_->SetProblem(problem);
    if (!problem.empty() && problem != told) LogError("{}; the nodes from before stay", problem);
    told = problem;
    if (listed.ok() && *listed != listed_) {
      LogInfo("{} has changed: {} nodes", path_, listed->size());
      Take(*std::move(listed));
    }
  }
}

}  // namespace sluice::cluster
