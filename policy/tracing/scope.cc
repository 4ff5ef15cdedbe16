#include "policy/tracing/scope.h"

namespace sluice::policy::tracing {
namespace {

bool SelectsContainer(const Selector& selector, const Subject& subject) {
  Labels fields;
  if (!subject.container.empty()) fields["name"] = subject.container;
  if (!subject.repository.empty()) fields["repo"] = subject.repository;
  return selector.Matches(fields);
}

}  // namespace

bool Includes(const Scope& scope, const ObjectName& policy, const Subject& subject) {
  if (!policy.ns.empty() && (subject.host || subject.ns != policy.ns)) return false;
  if (!scope.pods && !scope.containers && !scope.host) return true;
  if (subject.host) return scope.host;
  if (!scope.pods && !scope.containers) return false;
  if (scope.pods && !scope.pods->Matches(subject.labels)) return false;
  return !scope.containers || SelectsContainer(*scope.containers, subject);
}

}  // namespace sluice::policy::tracing
