// What `apply` and `delete` say. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"

namespace sluice::client {

using ResourceChanges = google::protobuf::RepeatedPtrField<v1::ResourceChange>;

// "NetworkPolicy shop/db created", one line a resource, and then "policy revision 7".
std::string ChangesText(const ResourceChanges& changes, std::uint64_t revision);

}  // namespace sluice::client
