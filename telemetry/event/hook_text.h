// Events of hook policies for people. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"

namespace sluice::telemetry {

// "/etc/shadow", "10.1.0.2:40112->10.1.0.3:5432 TCP", "CAP_NET_RAW", "?" if it could not be read.
std::string HookArgumentText(const v1::HookArgument& argument);

// One line without a line feed: "HOOK   shop/web-0 4242 /usr/bin/cat /etc/shadow: openat(-100, /etc/shadow) = -1 ->
// SIGNAL SIGKILL [shop/guard]".
std::string HookText(const v1::Hook& hook);

}  // namespace sluice::telemetry
