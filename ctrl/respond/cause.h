// Events -> what a Response may answer. Pure.
#pragma once

#include <optional>

#include "api/sluice.pb.h"
#include "policy/response/match.h"

namespace sluice::respond {

struct Noticed {
  policy::response::Cause cause;  // its labels are those in the event: only flows and alerts have any
  bool only_watched = false;      // the policy is in monitor or audit mode: whatever answers it, only says so
  v1::ResponseCause told;         // for the record, without its text
  // These point into the event. Null: not known.
  const v1::Process* process = nullptr;
  const v1::Owner* owner = nullptr;
};

// Nothing: no Response answers such an event. Of a denied flow, the workload is the one that opened it: a stranger's
// packets must not decide about the workload that they are sent to.
std::optional<Noticed> NoticedIn(const v1::Event& event);

// The event in one line, for ResponseCause.text.
std::string TextOf(const v1::Event& event);

}  // namespace sluice::respond
