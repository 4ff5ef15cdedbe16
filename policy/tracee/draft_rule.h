// Rules as text, and how they become rules of policy/rules: by way of a rules file, so that the loader's checks are the
// only ones. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/resource/yaml.h"
#include "policy/rules/rule.h"

namespace sluice::policy::tracee {

struct DraftRule {
  std::string name;
  std::string description;
  std::string condition;
  std::string output;
  std::string_view priority;
  std::vector<std::string> tags;  // besides "tracee"
  Place place;
};

// What every rule's output says of the process, its file and its container.
inline constexpr std::string_view kCommonOutput =
    "process=%proc.exepath command=%proc.cmdline parent=%proc.pname user=%user.name file=%fd.name result=%evt.res "
    "container=%container.id pod=%k8s.pod.name namespace=%k8s.ns.name";

// In their order. InvalidArgument: what the loader says.
StatusOr<std::vector<rules::Rule>> CompileDrafts(const std::string& file, const std::vector<DraftRule>& drafts);

}  // namespace sluice::policy::tracee
