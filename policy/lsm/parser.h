// A document of kind KubeArmorPolicy, KubeArmorHostPolicy or KubeArmorClusterPolicy -> the model, or errors that name
// file, line, field and value. The format is KubeArmor's (security.kubearmor.com/v1); what Sluice adds, refuses or
// reads more strictly is in docs/kubearmor-policy.md. Pure.
//   policy::ParseText(origin, text, {.more_kinds = lsm::KindParsers()});
//
// With Document::lenient, keys that nobody knows and a few misspelt values are warnings and have no effect, as in
// KubeArmor.
#pragma once

#include <memory>
#include <vector>

#include "policy/lsm/model.h"
#include "policy/resource/parser.h"

namespace sluice::policy::lsm {

// `root` is the whole document, `name` its checked name. Error: InvalidArgument, the first problem; the document has
// all of them.
StatusOr<std::shared_ptr<const Policy>> ParsePolicy(const Field& root, Policy::Kind kind, const ObjectName& name);

// The three kinds, for ParseOptions.
std::vector<KindParser> KindParsers();

}  // namespace sluice::policy::lsm
