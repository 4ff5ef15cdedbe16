// What other policies would change for past flows: each is evaluated twice by the reference evaluator. Pure; one
// thread.
//   SL_ASSIGN_OR_RETURN(const auto after, WithChange(before, resources, changed, removed));
//   Preview preview(before, after, quarantine);
//   for (const v1::Flow& flow : flows) preview.Add(flow);
//   const web::Preview& answer = preview.answer();
#pragma once

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "api/web.pb.h"
#include "base/status.h"
#include "policy/network/evaluate.h"

namespace sluice::explain {

// The snapshot that `documents` would give: applied, or with `remove` deleted; in `before`, nothing else changes.
// InvalidArgument: one of them is no policy of the network. NotFound: `remove`, and there is no such policy.
StatusOr<std::shared_ptr<const policy::Snapshot>> WithChange(const policy::Snapshot& before,
                                                             const policy::ResourceMap& resources,
                                                             const std::vector<policy::Resource>& documents,
                                                             bool remove);

class Preview {
 public:
  static constexpr std::size_t kMostChanges = 1000;  // entries of the answer

  Preview(std::shared_ptr<const policy::Snapshot> before, std::shared_ptr<const policy::Snapshot> after,
          policy::Quarantine quarantine)
      : before_(std::move(before)), after_(std::move(after)), quarantine_(std::move(quarantine)) {}

  // The verdict that the flow had is not asked: what was denied then may be allowed by now.
  void Add(const v1::Flow& flow);
  const web::Preview& answer() const { return answer_; }

 private:
  // Ends and programs by name; protocol, port, and whether it would be denied.
  using Key = std::tuple<std::string, std::string, std::string, std::string, std::string, std::uint32_t, bool>;

  const std::shared_ptr<const policy::Snapshot> before_, after_;
  const policy::Quarantine quarantine_;
  web::Preview answer_;
  std::map<Key, web::Preview::Change*> changes_;  // in answer_
};

}  // namespace sluice::explain
