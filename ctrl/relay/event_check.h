// What an agent sends is not believed: one that is wrong or hostile must harm neither the relay's clients nor other
// nodes. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"

namespace sluice::cluster {

// Whether clients can print it: no time and no duration in it is out of range, or deeper than any of ours.
bool IsPrintable(const google::protobuf::Message& message);

enum class EventFault { kNone, kRenamed, kRefused };

// Makes the event one of `node`. kRenamed: it named another node. kRefused: it is of no known type, or has a time or a
// duration that is none, which clients could not print; it must not be passed on.
EventFault CheckEvent(const std::string& node, v1::Event* event);

}  // namespace sluice::cluster
