#include "ctrl/notice/node_notices.h"

#include <utility>

namespace sluice::notice {

std::vector<kube::Write> NodeNotices::Due(const std::vector<NodeProblem>& problems, kube::TimePoint now,
                                          kube::WallTime wall) {
  std::vector<kube::Write> writes;
  std::map<std::string, Known> still;
  for (const NodeProblem& problem : problems) {
    const ObjectRef& about = problem.about;
    const std::string key = fmt::format("{}/{}/{}/{}/{}", about.kind, about.ns, about.name, about.uid, problem.reason);
    const auto before = known_.find(key);
    Known known = before == known_.end() ? Known{.since = now, .told_at = {}, .told = ""} : before->second;
    const bool is_news = known.told.empty() || (known.told != problem.message && now - known.told_at >= kApart);
    if (is_news && now - known.since >= kLasting) {
      writes.push_back(
          EventWrite({.about = about, .reason = problem.reason, .message = problem.message, .node = node_}, wall));
      known.told = problem.message;
      known.told_at = now;
    }
    still.insert_or_assign(key, std::move(known));
  }
  known_ = std::move(still);
  return writes;
}

}  // namespace sluice::notice
