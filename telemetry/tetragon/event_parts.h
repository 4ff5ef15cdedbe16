// The parts of an event in Tetragon's form that its filters look at. Pure.
#pragma once

#include <string>
#include <vector>

#include "api/tetragon_service.pb.h"

namespace sluice::telemetry {

// An event, and what filters know of it beyond its fields.
struct TetragonEvent {
  tetragon::GetEventsResponse message;
  std::vector<std::string> ancestors;  // binaries of those before the parent, nearest first
};

// UNDEF: no event.
tetragon::EventType TypeOf(const tetragon::GetEventsResponse& event);
// Null: the event has none.
const tetragon::Process* ProcessOf(const tetragon::GetEventsResponse& event);
tetragon::Process* MutableProcessOf(tetragon::GetEventsResponse* event);
const tetragon::Process* ParentOf(const tetragon::GetEventsResponse& event);
// Empty: it is of no policy.
std::string PolicyNameOf(const tetragon::GetEventsResponse& event);

}  // namespace sluice::telemetry
