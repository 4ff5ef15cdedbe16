// What a bug report must not have: command lines, and what resources say beside policy. Pure.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "base/status.h"

namespace sluice::client {

// The arguments of every process in `message`, at any depth, are replaced by how many there were.
void RedactArguments(google::protobuf::Message& message);

// A resource as JSON, without annotations and with no more of a container than its name, image and ports.
StatusOr<std::string> RedactResource(const std::string& json);

}  // namespace sluice::client
