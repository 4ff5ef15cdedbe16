// The API server's JSON -> resources, by the same parsers as files (policy/resource). Pure.
//
// Of each object only the fields that those parsers and KubePod read are taken: pods come without volumes, environment
// and managedFields. The `spec` of a policy is taken whole, so that a field of a newer API is refused and not ignored.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "policy/resource/model.h"
#include "policy/resource/parser.h"

namespace simdjson::dom {
class element;
}  // namespace simdjson::dom

namespace sluice::kube {

// What a policy::Pod does not have.
struct KubePod {
  struct Container {
    std::string name;
    std::string id;  // of the runtime, without "containerd://"; empty: not created yet
    bool running = false;
  };
  std::string node;   // empty: not scheduled yet
  std::string phase;  // "Running"
  bool deleting = false;
  // Its addresses may belong to another pod by now: it has finished, or it is being deleted and no container of it
  // runs. In the second case the policy::Pod has no addresses; one that has finished says so itself.
  bool gave_up_ips = false;
  std::vector<Container> containers;  // of the status: also init and ephemeral ones
};

struct KubeObject {
  policy::Resource resource;
  std::optional<KubePod> pod;  // of kind kPod
};

// An item of status.conditions.
struct KubeCondition {
  std::string status;  // "True"
  std::string reason;
  std::string message;
  std::int64_t generation = 0;  // observedGeneration
  std::string since;            // lastTransitionTime
};
// Nothing: the object has no such condition.
std::optional<KubeCondition> ReadCondition(const simdjson::dom::element& object, std::string_view type);

// `kind`: not kWorkload. `more`: the parsers of kinds that another directory parses (policy/kinds). An error names
// the object and the field, and all that is wrong, a line each:
//   NetworkPolicy shop/db: spec.ingress[0].ports[0].endPort: 79 is below port 80
StatusOr<std::shared_ptr<const KubeObject>> ConvertObject(policy::Kind kind, const simdjson::dom::element& object,
                                                          const std::vector<policy::KindParser>& more = {});

}  // namespace sluice::kube
