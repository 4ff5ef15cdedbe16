// What is told about hook policies to Tetragon's clients. Pure.
#pragma once

#include "api/tetragon_service.pb.h"
#include "ctrl/hooks/hook_controller.h"
#include "ctrl/reconcile/view.h"

namespace sluice::tetra {

// By where the policy comes from: "grpc" (applied), "static" (the resources directory), "k8s".
const char* DomainOf(const policy::ResourceId& id, const reconcile::View& view);

// Of each policy of `view`, in the order of names; `domain` empty: of all domains.
void ListPolicies(const reconcile::View& view, const hooks::PolicyReports& reports, const std::string& domain,
                  tetragon::ListTracingPoliciesResponse* out);

}  // namespace sluice::tetra
