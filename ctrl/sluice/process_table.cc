#include "ctrl/sluice/process_table.h"

#include <map>
#include <set>

#include "telemetry/event/event_time.h"
#include "telemetry/event/process_text.h"

namespace sluice::client {
namespace {

// Command lines can be very long; -o json has them whole.
constexpr std::size_t kMaxCommand = 160;

std::string Shortened(std::string text) {
  if (text.size() <= kMaxCommand) return text;
  std::size_t end = kMaxCommand;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // not inside a character
  return text.substr(0, end) + "...";
}

class Tree {
 public:
  explicit Tree(const std::vector<v1::Object>& objects) {
    std::set<std::uint32_t> pids;
    for (const v1::Object& object : objects) pids.insert(object.process().process().pid());
    for (const v1::Object& object : objects) {
      const v1::RunningProcess& process = object.process();
      const bool below = process.has_parent_pid() && pids.contains(process.parent_pid()) &&
                         process.parent_pid() != process.process().pid();
      (below ? children_[process.parent_pid()] : roots_).push_back(&process);
    }
  }

  Table ToTable() {
    for (const v1::RunningProcess* root : roots_) Add(*root);
    return std::move(table_);
  }

 private:
  using Processes = std::vector<const v1::RunningProcess*>;

  // A loop, not recursion: a chain of forks may be of any length.
  void Add(const v1::RunningProcess& root) {
    std::vector<std::pair<const v1::RunningProcess*, std::size_t>> waiting{{&root, 0}};
    while (!waiting.empty()) {
      const auto [process, depth] = waiting.back();
      waiting.pop_back();
      AddRow(*process, depth);
      const auto found = children_.find(process->process().pid());
      if (found == children_.end()) continue;
      const Processes children = std::move(found->second);
      children_.erase(found);
      for (auto child = children.rbegin(); child != children.rend(); ++child) waiting.emplace_back(*child, depth + 1);
    }
  }

  void AddRow(const v1::RunningProcess& running, std::size_t depth) {
    const v1::Process& process = running.process();
    table_.Add({std::to_string(process.pid()), process.has_uid() ? std::to_string(process.uid()) : "-",
                running.workload().empty() ? "-" : running.namespace_() + "/" + running.workload(),
                process.has_start_time() ? telemetry::TimeText(process.start_time()) : "-",
                std::string(2 * depth, ' ') + Shortened(telemetry::CommandText(process))});
  }

  Table table_{{{"PID", Align::kRight}, {"UID", Align::kRight}, {"WORKLOAD"}, {"STARTED"}, {"COMMAND"}}};
  Processes roots_;
  std::map<std::uint32_t, Processes> children_;
};

}  // namespace

Table MakeProcessTable(const std::vector<v1::Object>& objects) { return Tree(objects).ToTable(); }

}  // namespace sluice::client
