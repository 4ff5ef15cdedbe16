// Which workloads a policy, or a selector of it, is for. Pure.
#pragma once

#include <string>

#include "policy/tracing/model.h"

namespace sluice::policy::tracing {

// What a scope includes or not: a container, a pod as a whole, or the host. Plain values.
struct Subject {
  bool host = false;  // the processes that belong to no pod; then nothing below is set
  std::string ns;     // of the pod
  Labels labels;      // of the pod
  // Of the container. Empty: the pod as a whole, or not known; a container selector with In does not match then.
  std::string container;   // "web"
  std::string repository;  // of its image, without tag and digest: "docker.io/library/nginx"
};

// Whether `scope` of the policy called `policy` includes the subject. A policy with a namespace is for pods of this
// namespace only.
bool Includes(const Scope& scope, const ObjectName& policy, const Subject& subject);

}  // namespace sluice::policy::tracing
