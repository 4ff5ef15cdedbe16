// Removes what a bug report must not contain: command lines, and parts of resources that are not for policy. Pure.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "base/status.h"

namespace sluice::client {

// Replaces the arguments of every process in `message`, at any depth, by their number.
void RedactArguments(google::protobuf::Message& message);

// The resource as JSON, without annotations, and with only the name, image and ports of each container.
StatusOr<std::string> RedactResource(const std::string& json);

}  // namespace sluice::client
