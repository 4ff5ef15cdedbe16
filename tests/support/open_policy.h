// A hook policy about opening one file, as Tetragon's users write it.
#pragma once

#include <fmt/format.h>

#include <string>

namespace sluice::test {

struct OpenPolicy {
  std::string kind = "TracingPolicy";
  std::string metadata = "{name: secret}";
  std::string scope;                // fields of spec, each line but the first with two spaces before it
  std::string call = "sys_openat";  // its second argument is the path
  std::string tags;                 // "[files]"; empty: none
  std::string action;               // "{action: Sigkill}"; empty: the event alone
};

inline std::string OpenPolicyYaml(const std::string& file, const OpenPolicy& policy = {}) {
  return fmt::format(R"(---
apiVersion: cilium.io/v1alpha1
kind: {}
metadata: {}
spec:
  {}
  kprobes:
  - call: {}
    syscall: true
    tags: {}
    args:
    - {{index: 0, type: int}}
    - {{index: 1, type: string}}
    selectors:
    - matchArgs: [{{index: 1, operator: Equal, values: [{}]}}]
      matchActions: [{}]
)",
                     policy.kind, policy.metadata, policy.scope, policy.call, policy.tags.empty() ? "[]" : policy.tags,
                     file, policy.action);
}

}  // namespace sluice::test
