// A container as the runtime lists it -> as detection rules ask for it. Pure.
#pragma once

#include "ctrl/cri/sandbox_watch.h"
#include "policy/rules/event.h"

namespace sluice {

// All but `id`, which ContainerFacts makes, and what the runtime does not say.
policy::rules::Container ForRules(const cri::Container& container);

}  // namespace sluice
