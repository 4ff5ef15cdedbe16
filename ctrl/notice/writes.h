// The requests that tell the API server something. Pure. The adapter of nlohmann::json for requests.
#pragma once

#include <cstdint>
#include <string>

#include "ctrl/kube/environment.h"
#include "ctrl/kube/writer.h"

namespace sluice::notice {

struct ObjectRef {
  std::string api_version;  // "sluice.dev/v1alpha1"
  std::string kind;
  std::string ns;  // empty: of the cluster
  std::string name;
  std::string uid;
};

struct Event {
  ObjectRef about;
  std::int64_t generation = 0;  // of the object; 0: it has none
  std::string reason;           // "PolicyRefused"
  std::string message;          // cut at kMaxMessage
  std::string node;             // of the writer
};
inline constexpr std::size_t kMaxMessage = 1000;

// A core/v1 Event of type Warning. Its name says what it is about, so a second agent, or the same one after a restart,
// does not make another one: that it is there already counts as success.
kube::Write EventWrite(const Event& event, kube::WallTime now);

// A condition, as it stands in status.conditions.
struct Condition {
  std::string status;  // "True", "False"
  std::string reason;
  std::string message;  // cut at kMaxMessage
  std::int64_t generation = 0;
  std::string since;  // lastTransitionTime
  // The same verdict on the same generation, whatever its words.
  bool Says(const Condition& other) const;
};

// Sets the condition Enforced of a NetworkPolicy or ClusterNetworkPolicy of Sluice's, the only one of the object, if it
// is still of `resource_version`. `former`: its condition; null: none.
kube::Write ConditionWrite(const ObjectRef& about, const std::string& resource_version, const Condition& condition,
                           const Condition* former, kube::WallTime now);

}  // namespace sluice::notice
